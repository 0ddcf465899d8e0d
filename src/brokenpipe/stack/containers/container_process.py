"""A container of the stack as a child process: what `docker start --attach` is, for as long as it runs.

engine ──▶ container ──▶ its output ──▶ docker start --attach ──▶ log
▲                               │ ends when the container does, with its exit code
a signal ──────┘                               ▼
a Child, as of the local stack
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from brokenpipe.errors import EngineError
from brokenpipe.history.containers import describe_out_of_memory
from brokenpipe.stack.containers.engine import Engine
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.ports import poll
from brokenpipe.stack.processes.process import Child, child

START_TIMEOUT_S = 20.0  # measured: 0.4 s on two quiet cores


@dataclass(frozen=True, slots=True)
class ContainerProcess(Child):
    """A running container. `pid` is that of its first process, as this machine counts."""

    engine: Engine = field(kw_only=True)
    container: str = field(kw_only=True)
    root_pid: int = field(kw_only=True)

    @property
    def pid(self) -> int:
        return self.root_pid

    @property
    def exit_text(self) -> str:
        """A short text about its end, with the exit code."""
        code = self.popen.poll()
        if code is None:
            return "no end"
        if self.engine.ran_out_of_memory(self.container):
            return f"exit code {code}: {describe_out_of_memory(self.engine.memory_limit(self.container))}"
        return f"exit code {code}"

    def signal(self, number: int) -> None:
        """Send its first process a signal; one that has ended gets none."""
        self.engine.signal(self.container, number)

    def freeze(self) -> None:
        """Pause all its processes with the kernel's freezer. Raises EngineError."""
        self.engine.pause(self.container)

    def thaw(self) -> None:
        """Resume all its processes. Raises EngineError."""
        self.engine.unpause(self.container)

    def kill(self) -> None:
        """End all its processes: the kernel does, when the first one of a container is gone."""
        self.signal(signal.SIGKILL)


@contextmanager
def container_process(
    name: str,
    container: str,
    engine: Engine,
    *,
    log_path: Path,
    janitor: Janitor,
    stop_signal: int = signal.SIGTERM,
    stop_timeout_s: float = 3.0,
    secrets: Sequence[str] = (),
) -> Iterator[ContainerProcess]:
    """Start a container that was created, and run it for as long as the block lasts. It is not removed.

    `secrets` are kept out of its log.

    The janitor is given the attached program only: the container was registered before it was created.
    Raises EngineError.
    """
    argv = ["docker", "start", "--attach", container]
    with child(
        name, argv, log_path=log_path, janitor=janitor, env=engine.environment, secrets=secrets
    ) as attached:
        running = ContainerProcess(
            name,
            log_path,
            attached.popen,
            attached.pump,
            engine=engine,
            container=container,
            root_pid=_wait_for_root_pid(attached, container, engine),
        )
        try:
            yield running
        finally:
            running.stop(stop_signal, stop_timeout_s)


def _wait_for_root_pid(attached: Child, container: str, engine: Engine) -> int:
    pid = poll(
        lambda: engine.root_pid(container) or (0 if not attached.running else None), timeout_s=START_TIMEOUT_S
    )
    if not pid:
        raise EngineError(
            f"{attached.name}: its container {container} "
            + ("did not start" if pid is None else f"ended at once, with {attached.exit_text}"),
            remedy=f"The whole log is {attached.log_path}.",
            details=attached.last_lines(),
        )
    if not psutil.pid_exists(pid):
        raise EngineError(
            f"{attached.name}: its container runs, but not on this machine's kernel (no process {pid} here)",
            remedy="Use an engine on this machine: one in a virtual machine or elsewhere cannot be measured from here.",
        )
    return pid
