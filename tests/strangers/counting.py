"""What the rules of `claims.py` count in a history."""

from __future__ import annotations

import math

from tests.strangers.told import Line, Report, Request

NUMBER = r"(\d[\d,]*)"
_PRE_PINGS = ("PRE_PING", "HEALTH_CHECKS", "CHECK")  # how a service's variables that look at connections end


def integer(text: str) -> int:
    return int(text.replace(",", ""))


def places(report: Report) -> set[tuple[str, str]]:
    return {(arm, phase) for arm, phase, _ in report.cells()}


def known(report: Report, arm: str, phase: str) -> list[Request]:
    return report.history.counted(arm, phase) if (arm, phase) in places(report) else []


def failed_of(report: Report, arm: str) -> list[Request]:
    return [each for a, phase in places(report) if a == arm for each in report.history.failed(arm, phase)]


def failed_in_all(report: Report, arm: str) -> int:
    return len(failed_of(report, arm))


def failed_share(report: Report, arm: str) -> float:
    """Of an arm's requests in the phases with a fault."""
    phases = [phase for a, phase in places(report) if a == arm and report.fault(phase)]
    asked = sum(len(report.history.counted(arm, phase)) for phase in phases)
    return sum(len(report.history.failed(arm, phase)) for phase in phases) / max(asked, 1)


def is_unexplained(report: Report, request: Request) -> bool:
    """It was answered by an error and the service told nothing of it."""
    told = report.history.testimonies.get((request.arm, request.id))
    stalled = any(line.get("id") == request.id for line in report.history.of("stall"))
    silent = told is None or not (told["errors"] or told["raised"] or told["waiting"])
    return request.failure == "status" and request.status >= 500 and silent and not stalled


def has_connection(report: Report, request: Request) -> bool:
    """A connection that it used is on record, or that it waited for one in the pool's queue."""
    told = report.history.testimonies.get((request.arm, request.id))
    if told is None:
        return False
    met = told["errors"] or ()
    return any(each.get("port") for each in (*(told["checkouts"] or ()), *met)) or any(
        each["where"] == "checkout" for each in met
    )


def met_an_error(line: Line) -> bool:
    """An error that is none of its user's leaving."""
    return not all(
        any("Cancelled" in link["type"] for link in error["chain"]) for error in line["errors"] or ()
    )


def was_dead_when_lent(report: Report, request: Request) -> bool:
    """The link of the connection that failed it had been cut, or ended by its server, before the pool handed it out."""
    told = report.history.testimonies.get((request.arm, request.id))
    for error in (told or {}).get("errors") or ():
        if error.get("handed") and error.get("port"):
            return report.history.ended_before(request.arm, error["port"], error["handed"])
    return False


def moments(cell: Line) -> Line:
    return (cell.get("owed") or {}).get("by_request_phase", {})


def is_struck(link: Line, strikes: list[Line]) -> bool:
    """Whether an act of the scenario's was going on as it was cut, or just over."""
    return any(
        act["arm"] == link["arm"] and act["t0"] - 5e6 <= link["t"] <= act["t1"] + 1e9 for act in strikes
    )


def within(t: int, spans: list[tuple[int, int]]) -> bool:
    return any(t0 <= t < t1 for t0, t1 in spans)


def was_whole(report: Report, close: Line) -> bool:
    """Whether the proxy had the link of a closed connection, and saw its client end it no sooner than that."""
    ends = [
        link["t"]
        for link in report.history.of("link_ended")
        if (link["arm"], link["port"], link["ender"]) == (close["arm"], close["port"], "client")
    ]
    return any(-5e7 <= t - close["t"] <= 1e9 for t in ends)


def pinging_twins(report: Report, arm: str) -> list[str]:
    """The arms that differ from one by looking at a connection before lending it, and in nothing else."""

    def looks(name: str) -> bool:
        return name.endswith(_PRE_PINGS)

    own = report.arms[arm]["env"]
    if any(map(looks, own)):
        return []
    others = ((name, whole["env"]) for name, whole in report.arms.items() if name != arm)
    return [
        name
        for name, env in others
        if any(map(looks, env)) and {key: env[key] for key in env if not looks(key)} == own
    ]


def at_most(count: int, due: float) -> float:
    """How often chance alone shows no more than `count` where `due` are to be expected (Poisson)."""
    return sum(math.exp(-due) * due**k / math.factorial(k) for k in range(count + 1)) if due < 700 else 0.0
