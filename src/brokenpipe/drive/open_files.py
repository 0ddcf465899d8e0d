"""The check, before anything starts, that the limit of open files is high enough for a run."""

from __future__ import annotations

import math

from brokenpipe.errors import StackError
from brokenpipe.plan.plan import Plan
from brokenpipe.stack.processes.open_files import OpenFileLimits, open_file_limits
from brokenpipe.stack.stack import required_connections

LOCUST_FILES = (
    32  # beside a connection for each user; measured: under 10, and a locustfile opens what it likes
)
TOXIPROXY_FILES = 40  # beside two for each connection; Postgres lets no more in than it allows
HARNESS_FILES = 40
HARNESS_FILES_PER_ARM = (
    8  # pipes of its service, and the sockets that watch a strike; measured: 26 in all with two arms
)


def check_open_files(plan: Plan, found: OpenFileLimits | None = None) -> None:
    """Raises StackError where Locust, Toxiproxy or the harness would run out: it would look like failures of an arm."""
    found = found or open_file_limits()
    load, arms = plan.scenario.load, len(plan.scenario.arms)
    users = math.ceil(load.users / load.workers)
    _check(
        "Locust", users * arms + LOCUST_FILES, found.reachable, found, f"{users} users on each of {arms} arms"
    )
    connections = required_connections(plan)
    # Whatever is in force when it starts, a Go program raises it to the hard limit.
    _check("Toxiproxy", 2 * connections + TOXIPROXY_FILES, found.hard, found, f"{connections} connections")
    _check("the harness", HARNESS_FILES + HARNESS_FILES_PER_ARM * arms, found.soft, found, f"{arms} arms")


def _check(who: str, needed: int, allowed: int | None, found: OpenFileLimits, why: str) -> None:
    if allowed is not None and needed > allowed:
        raise StackError(
            f"{who} needs up to {needed} open files in one process, for {why}, and the limit is {allowed} "
            f"(soft {found.soft}, hard {found.hard})",
            remedy=f"Raise it (ulimit -n {needed}, or LimitNOFILE= of the unit), lower --users, "
            "run fewer arms (--only), or give the load --workers.",
        )
