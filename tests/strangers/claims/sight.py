"""What was seen, and what nobody saw."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.strangers.counting import met_an_error, was_whole, within
from tests.strangers.told import Report


def no_witness_means_none(report: Report) -> Iterator[str]:
    """“No witness” only if none ran: one that does not know a pool has seen the rest."""
    said = re.findall(r"no witness|witness did not run", report.text)
    if said and all(arm in report.history.witnessed for arm in report.arms):
        yield f"“{said[0]}”, and the witness wrote of {', '.join(report.arms)}"


def arms_are_seen_alike(report: Report) -> Iterator[str]:
    """What the witness sees of one arm, it sees of another with the same service, if both are asked."""
    seen = {arm: (whole.get("witness") or {}).get("requests") for arm, whole in report.arms.items()}
    asked = {arm for arm, whole in report.arms.items() if whole["requests"]}
    service = {
        arm: (whole["env"].get("SERVICE"), (whole.get("differs_in") or {}).get("target"))
        for arm, whole in report.arms.items()
    }
    for arm in sorted(asked):
        alike = [other for other in asked if service[other] == service[arm] and seen[other]]
        if seen[arm] is False and alike:
            yield f"no request of {arm} was seen, and of {', '.join(alike)} some were"


def masked_were_dead(report: Report) -> Iterator[str]:
    """A connection that its own client ended, while the proxy still had it whole, was no masked disconnect."""
    for arm, phase, cell in report.cells():
        spans = [(each["t0"], each["t1"]) for each in report.history.episodes(phase, arm)]
        closes = [c for c in report.history.of("close") if c["arm"] == arm and within(c["t"], spans)]
        dead = [close for close in closes if not was_whole(report, close)]
        if (cell["masked"] or 0) > len(dead):
            yield f"{arm} in {phase}: {cell['masked']} masked, and {len(dead)} of its connections were dead"


def leaving_is_not_swallowing(report: Report) -> Iterator[str]:
    """A request that its user left is no error that the service kept quiet: its errors are cancellations."""
    for arm, phase, cell in report.cells():
        fine = [each for each in report.history.counted(arm, phase) if not each.failed]
        told = (report.history.testimonies.get((arm, each.id)) for each in fine)
        quiet = sum(met_an_error(line) for line in told if line)
        if (cell["swallowed"] or 0) > quiet:
            yield f"{arm} in {phase}: {cell['swallowed']} errors kept quiet, and {quiet} answered after one"


def pool_holds_no_more_than_it_has(report: Report) -> Iterator[str]:
    """No more connections are in use, on average, than the pool may have."""
    for arm, phase, cell in report.cells():
        pool = cell.get("pool") or {}
        most, used = pool.get("most"), pool.get("mean_out")
        if most and used and used > most * (pool.get("processes") or 1) * 1.02:
            yield f"{arm} in {phase}: {used:.1f} in use of {most}"


def what_was_written_was_seen(report: Report) -> Iterator[str]:
    """“None of its requests”, and no pool, are said only of an arm whose witness wrote of none."""
    for arm, whole in report.arms.items():
        said = whole.get("witness")
        if said is None:
            continue
        requests, pools = report.history.has(arm, "request", "tally"), report.history.has(arm, "connect")
        if (said["requests"], said["pools"]) != (requests, pools):
            yield f"of {arm} {said}, and it wrote of requests: {requests}, of pools: {pools}"
