"""One arm's copy of the service under test, as a child process."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from brokenpipe.errors import RedirectError, TargetNotReady
from brokenpipe.plan.target import Target
from brokenpipe.redaction import secret_values
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.ports import LOOPBACK, free_port, poll
from brokenpipe.stack.processes.process import Child, child, clean_environment

STOP_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Service:
    """A started target. `url` is where the load goes."""

    arm: str
    url: str
    child: Child
    started: float  # time.monotonic()


@contextmanager
def start_service(
    target: Target,
    *,
    arm: str,
    folder: Path,
    python: Path,
    dsn: str,
    env: Mapping[str, str],
    log_path: Path,
    janitor: Janitor,
    host: str = LOOPBACK,
    passed: Collection[str] = (),
) -> Iterator[Service]:
    """The target for as long as the block lasts, in that interpreter; started, but not yet ready: see `wait_ready`.

    `env` is laid over the target's own; `dsn` goes into the variable that the target names. Secrets, and what is
    `passed` on, are kept out of its log. It listens on `host`.
    Raises StackError when the command cannot be started.
    """
    port = free_port()
    own = {**target.env, **env, target.dsn_env: dsn}
    with child(
        f"target of arm {arm}",
        target.argv(python=str(python), host=host, port=str(port)),
        log_path=log_path,
        janitor=janitor,
        env=clean_environment({"PYTHONUNBUFFERED": "1", **own}),
        cwd=folder,
        secrets=secret_values(own, passed),
        stop_timeout_s=STOP_TIMEOUT_S,
    ) as process:
        yield Service(arm, f"http://{host}:{port}", process, time.monotonic())


def wait_ready(started: Service, target: Target) -> None:
    """Return when the service answers its readiness path with 200.

    Raises RedirectError when that leads elsewhere, TargetNotReady, with the end of its log, when the service ends or
    takes longer than `ready_timeout_s`.
    """
    url = started.url + target.ready
    left_s = started.started + target.ready_timeout_s - time.monotonic()
    answer = poll(lambda: _is_ready(url, started.child), timeout_s=max(left_s, 0.1), every_s=0.05)
    if answer is None:
        raise TargetNotReady(
            f"{started.child.name}: {url} did not answer 200 within {target.ready_timeout_s:g} s",
            remedy=f"The whole log is {started.child.log_path}. `ready` and `ready_timeout_s` are set in target.toml.",
            details=started.child.last_lines(),
        )


class _SameOriginSession(requests.Session):
    """An HTTP client that follows redirects within the service, and to no other address."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Raises RedirectError for an address of another scheme, host or port."""
        target = super().get_redirect_target(resp)
        if target is not None:
            requested, location = urlsplit(resp.url), urlsplit(urljoin(resp.url, target))
            if (requested.scheme, requested.netloc) != (location.scheme, location.netloc):
                raise RedirectError(
                    f"the service redirects {requested.path} to {location.geturl()}, which is not its own address "
                    f"({requested.scheme}://{requested.netloc}): nothing is requested there",
                    remedy="Let `ready` in target.toml be a path that the service answers by itself.",
                )
        return target


def _is_ready(url: str, process: Child) -> bool | None:
    if not process.running:
        raise TargetNotReady(
            f"{process.name} ended with {process.exit_text} before it was ready",
            remedy=f"The whole log is {process.log_path}. Its command is set in target.toml.",
            details=process.last_lines(),
        )
    try:
        # No proxies from the shell's environment: this request must not leave the machine.
        with _SameOriginSession() as session:
            session.trust_env = False
            return True if session.get(url, timeout=2).status_code == 200 else None
    except requests.RequestException:
        return None
