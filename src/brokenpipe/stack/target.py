"""One arm's copy of the service under test, as a child process."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import psutil
import requests

from brokenpipe.errors import RedirectError, StackError, TargetNotReady
from brokenpipe.plan.readiness import Readiness
from brokenpipe.plan.target import Target
from brokenpipe.redaction import secret_values
from brokenpipe.stack.postgres.extensions import missing_extension_error
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.ports import LOOPBACK, free_port, poll
from brokenpipe.stack.processes.process import Child, child, clean_environment
from brokenpipe.stack.processes.process_tree import with_descendants

STOP_TIMEOUT_S = 3.0
LAST_LINES = 60  # of a log, in which a cause is looked for
SHOWN_LINES = 12
_NO_TABLE = re.compile(r"(relation|table) [\"'`][^\"'`]+[\"'`] does not exist|UndefinedTable", re.IGNORECASE)
_READY_KEYS = "`ready` and `ready_timeout_s` are set in target.toml."
_PORT_KEY = (
    "Let `command` in target.toml pass {port} on: as an option, or in a variable that the service reads, such as "
    '["env", "PORT={port}", "{python}", "main.py"].'
)
_COMMAND_KEY = "Its command is set in target.toml."


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
    env: Mapping[str, str],
    log_path: Path,
    janitor: Janitor,
    host: str = LOOPBACK,
    secret_names: Collection[str] = (),
) -> Iterator[Service]:
    """The target for as long as the block lasts, in that interpreter; started, but not yet ready: see `wait_ready`.

    `env` is all that it is given. Secrets, and the values of `secret_names`, are kept out of its log. It listens on
    `host`.
    Raises StackError when the command cannot be started.
    """
    port = free_port()
    with child(
        f"target of arm {arm}",
        target.argv(python=str(python), host=host, port=str(port)),
        log_path=log_path,
        janitor=janitor,
        env=clean_environment({"PYTHONUNBUFFERED": "1", **env}),
        cwd=folder,
        secrets=secret_values(env, secret_names),
        stop_timeout_s=STOP_TIMEOUT_S,
    ) as process:
        yield Service(arm, f"http://{host}:{port}", process, time.monotonic())


def wait_ready(started: Service, target: Target) -> None:
    """Return when the service is up, as `ready` of its target.toml says.

    Raises RedirectError when a path leads elsewhere, TargetNotReady, with the end of its log, when the service ends or
    takes longer than `ready_timeout_s`.
    """
    test, sign = _readiness_test(started, target.ready)
    left_s = started.started + target.ready_timeout_s - time.monotonic()
    answer = poll(lambda: _while_running(started.child, test), timeout_s=max(left_s, 0.1), every_s=0.05)
    if answer is None:
        elsewhere = _listens_elsewhere(started)
        what = f": {sign} within {target.ready_timeout_s:g} s{elsewhere and f'; {elsewhere}'}"
        raise _not_ready_error(started.child, what, _PORT_KEY if elsewhere else _READY_KEYS)


def _listens_elsewhere(started: Service) -> str:
    """In words, on which port the service listens instead of the one that it was given; empty if it does not."""
    port = urlsplit(started.url).port
    ports: set[int] = set()
    with suppress(psutil.Error, OSError):
        for each in with_descendants(started.child.pid):
            listening = each.net_connections("tcp")
            ports |= {one.laddr.port for one in listening if one.status == psutil.CONN_LISTEN}
    if not ports or port in ports:
        return ""
    return f"it listens on port {', '.join(map(str, sorted(ports)))} instead of {port}, which it was given"


def _not_ready_error(process: Child, what: str, keys: str) -> StackError:
    """The error for a service that is not up, or for what its last lines say that its database lacks."""
    lines = process.last_lines(LAST_LINES)
    if error := missing_extension_error(lines):
        return error
    if any(_NO_TABLE.search(line) for line in lines):
        keys = f"It misses a table of its database: `prepare` in target.toml makes them, such as by migrations. {keys}"
    return TargetNotReady(
        f"{process.name}{what}",
        remedy=f"{keys} The whole log is {process.log_path}.",
        details=lines[-SHOWN_LINES:],
    )


def _readiness_test(started: Service, ready: str | Readiness) -> tuple[Callable[[], bool], str]:
    """A function that says whether the service is up, and in words what has not happened if it never is."""
    if isinstance(ready, str):
        url = started.url + ready
        return partial(_answers_200, url), f"{url} did not answer 200"
    if ready.log is not None:
        pattern = re.compile(ready.log)
        log = started.child.log_path
        return partial(_has_line, log, pattern), f"its log has no line that matches {ready.log!r}"
    address = urlsplit(started.url)
    place = (str(address.hostname), int(address.port or 0))
    return partial(_accepts, place), f"{place[0]}:{place[1]} did not accept a connection"


def _while_running(process: Child, test: Callable[[], bool]) -> bool | None:
    if not process.running:
        raise _not_ready_error(process, f" ended with {process.exit_text} before it was ready", _COMMAND_KEY)
    return True if test() else None


def _has_line(log: Path, pattern: re.Pattern[str]) -> bool:
    with suppress(OSError):
        return any(pattern.search(line) for line in log.read_text(errors="replace").splitlines())
    return False


def _accepts(address: tuple[str, int]) -> bool:
    with suppress(OSError), socket.create_connection(address, timeout=1):
        return True
    return False


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


def _answers_200(url: str) -> bool:
    try:
        # No proxies from the shell's environment: this request must not leave the machine.
        with _SameOriginSession() as session:
            session.trust_env = False
            return session.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False
