"""A load worker on this machine: its command, environment and process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from brokenpipe.errors import StackError
from brokenpipe.load import config as load_config
from brokenpipe.load.distributed import protocol
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.ports import LOOPBACK
from brokenpipe.stack.processes.process import Child, child, clean_environment

STOP_TIMEOUT_S = 1  # what Locust gives requests under way when it ends
# -P: what lies in the working folder must not take the place of a library.
LOCUST = (sys.executable, "-P", "-m", "locust", "-f", str(load_config.LOCUSTFILE))


def load_worker(
    number: int, port: int, log_path: Path, janitor: Janitor, extra_environment: Mapping[str, str]
) -> AbstractContextManager[Child]:
    """Start a worker on this machine. Like one on another machine, it gets the master's address and nothing else.

    Raises StackError when Locust cannot be started.
    """
    return child(
        f"worker w{number + 1} of the load",
        worker_argv(LOOPBACK, port),
        log_path=log_path.with_name(f"{log_path.stem}-w{number + 1}{log_path.suffix}"),
        janitor=janitor,
        env=clean_environment(
            {**extra_environment, **worker_environment(LOOPBACK, port), protocol.WANTED_SHARD: str(number)}
        ),
        stop_timeout_s=STOP_TIMEOUT_S + 2.0,
    )


def worker_argv(host: str, port: int) -> list[str]:
    """The command of a worker with its master at this address."""
    return [*LOCUST, "--worker", "--master-host", host, "--master-port", str(port)]


def worker_environment(host: str, port: int) -> dict[str, str]:
    """The environment variable by which a worker knows that brokenpipe's master started the run."""
    return {protocol.MASTER_VARIABLE: f"{host}:{port}"}


def require_running(worker: Child) -> None:
    """Raises StackError if the worker has ended."""
    if not worker.running:
        raise StackError(
            f"{worker.name} ended before its users were ready ({worker.exit_text})",
            remedy=f"See {worker.log_path}.",
            details=worker.last_lines(),
        )
