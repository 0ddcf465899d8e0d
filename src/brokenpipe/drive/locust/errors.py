"""Why the load cannot go on, as an error that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from brokenpipe.errors import (
    BrokenpipeError,
    LocustfileError,
    RecordingError,
    RedirectError,
    StackError,
    UsageError,
)
from brokenpipe.load.config import LoadConfig
from brokenpipe.load.messages import Refused
from brokenpipe.stack.processes.process import Child

EXIT_WAIT_S = 0.5  # from the end of the channel to the end of its process


def ended_error(process: Child) -> StackError:
    """Locust has ended by itself."""
    with suppress(Exception):
        process.popen.wait(EXIT_WAIT_S)
    code = process.popen.poll()
    return StackError(
        f"locust: the load generator ended by itself ({_exit_text(code)})",
        remedy=f"See {process.log_path}.",
        details=process.last_lines(),
    )


def not_ready_error(process: Child, users: int, timeout_s: float) -> StackError:
    """Not all users exist by then."""
    return StackError(
        f"locust: {users} users were not ready within {timeout_s:g} s",
        remedy="See its log: a user's __init__ may wait for something, or the machine is too busy.",
        details=process.last_lines(),
    )


def foreign_url_error(config: LoadConfig, refused: Refused) -> UsageError:
    """A user asked for an address that is not its arm's."""
    if refused.redirected_by:
        return _redirect_error(refused.redirected_by, refused.url, config.arms)
    addresses = ", ".join(config.arms.values())
    return LocustfileError(
        f"{config.locustfile}: asked for {refused.url}, which is not the address of its arm",
        remedy="Use paths such as /chat: brokenpipe sends requests to the targets that it started, "
        "and to nothing else.",
        details=(f"the arms' addresses: {addresses}",),
    )


def _redirect_error(arm: str, url: str, arms: Mapping[str, str]) -> RedirectError:
    return RedirectError(
        f"the service of arm {arm} redirects to {url}, which is not its own address ({arms.get(arm)}): "
        "nothing is requested there",
        remedy="Have it redirect within itself: by a path, or to the host that it was asked by. "
        "A locustfile that is content with the redirect says allow_redirects=False.",
    )


def reported_error(what: str, text: str) -> BrokenpipeError:
    """The load has reported that it failed."""
    if what == "recording":
        return RecordingError(text, remedy="Make room on that disk and run again; what was recorded is kept.")
    if what == "workers":
        return StackError(f"locust: {text}", remedy="See logs/load-w1.log and those beside it.")
    return LocustfileError(text, remedy="Correct the locustfile; `locust -f FILE --list` loads it alone.")


def _exit_text(code: int | None) -> str:
    if code is None:
        return "it closed its channel and goes on"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
