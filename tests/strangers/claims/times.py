"""How long it took, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from tests.strangers.told import Report

SMALL_MS = 5.0  # a cost that is called small is smaller than this, or than this share of the median
SMALL_SHARE = 0.05


def recovered_means_answered(report: Report) -> Iterator[str]:
    """An episode has a time of recovery only if a request that began after it, in that episode, succeeded."""
    for arm, phase, cell in report.cells():
        episodes = report.history.episodes(phase, arm)
        if len(cell["recovery_s"]) != len(episodes):
            continue
        for episode, recovery_s in zip(episodes, cell["recovery_s"], strict=True):
            if recovery_s is None or episode["strike"] is None:
                continue
            since = episode["strike"] + recovery_s * 1e9
            asked = [r for r in report.history.counted(arm, phase) if since <= r.start_ns < episode["t1"]]
            if len(asked) > 1 and all(each.failed for each in asked):
                said = f"recovered {recovery_s:.1f} s after strike {episode['n']}"
                yield f"{arm} in {phase}: {said}, and {len(asked)} requests after that all failed"


def small_costs_are_small(report: Report) -> Iterator[str]:
    """A cost is “too small” only if the whole of its interval is: below 5 ms, or 5 % of the control's median."""
    best, control = report.summary["best"], report.summary["control"]
    if best is None or "too small" not in report.summary["sentence"]:
        return
    for each in report.summary["comparisons"]:
        calm = not report.fault(each["phase"])
        if each["arm"] == best["arm"] and each["metric"] == "added_p50_ms" and calm and each["ci95"]:
            median_ms = report.arms[control]["phases"][each["phase"]]["latency_ms"]["p50"] or 0.0
            low, high = each["ci95"]
            if high > max(SMALL_MS, SMALL_SHARE * median_ms):
                yield f"“{report.summary['sentence']}”, and the cost is {low:.1f} to {high:.1f} ms"
            return


def same_is_not_different(report: Report) -> Iterator[str]:
    """“Not by chance” is said of nothing whose own interval lies evenly around no difference, or on the other side.

    The signs of the episodes decide; an interval of the mean may reach 0 beside them where a few episodes are extreme,
    and the report then says that how much is not known.
    """
    for each in report.summary["comparisons"]:
        if each["differs"] and each["ci95"] and each["difference"] is not None:
            low, high = each["ci95"]
            if (low + high) * each["difference"] <= 0:
                yield f"{each['arm']} differs in {each['metric']} in {each['phase']}, by {low:.3g} to {high:.3g}"


def never_means_never(report: Report) -> Iterator[str]:
    """From as many strikes an arm never recovered as episodes whose last request failed."""
    for arm, phase, cell in report.cells():
        if not cell.get("never_recovered"):
            continue
        episodes = report.history.episodes(phase, arm)
        struck = [(each["strike"], each["t1"]) for each in episodes if each["strike"] is not None]
        asked = [
            [r for r in report.history.counted(arm, phase) if t0 <= r.start_ns < t1] for t0, t1 in struck
        ]
        down = sum(bool(some) and max(some, key=lambda r: r.end_ns or inf).failed for some in asked)
        if cell["never_recovered"] > down:
            said = f"never recovered from {cell['never_recovered']} strikes"
            yield f"{arm} in {phase}: {said}, and of {down} episodes the last request failed"


def longest_wait_was_waited(report: Report) -> Iterator[str]:
    """The longest wait is that of a request in the history."""
    for arm, phase, cell in report.cells():
        ends = [each for each in report.history.counted(arm, phase) if each.end_ns is not None]
        said, longest_ms = cell.get("longest_wait_ms"), max((each.ms for each in ends), default=0.0)
        if said is not None and said > longest_ms * 1.01 + 1 and not report.history.never_ended(arm, phase):
            yield f"{arm} in {phase}: longest wait {said:.0f} ms, and none waited longer than {longest_ms:.0f} ms"
