"""Texts about a run that the page and the terminal share."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from brokenpipe import formatting
from brokenpipe.measure.failures.request_stage import RequestStage
from brokenpipe.measure.failures.witness_coverage import (
    CONNECTIONS_TEXT,
    COVERAGE_TEXT,
    Plane,
    SeenLibraries,
    WitnessCoverage,
)
from brokenpipe.measure.model.attribution import AttributionCounts, Relation
from brokenpipe.measure.model.findings import FailureGroup, Findings, PhaseFinding
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.report import labels

to_one_line, strip_phase_name = labels.to_one_line, labels.strip_phase_name

MARK = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.UNKNOWN: "?"}

_NUMBERS = re.compile(r"[\d.,]+ \w+|[\d.,]+|\bwas\b|\bwere\b")  # with the noun, singular or not

_ENDING_TEXTS = {
    "interrupted": "was interrupted",
    "terminated": "was terminated from outside",
    "failed": "failed",
    "stopped": "was stopped, because the service failed nearly every request where nothing was broken,",
    "hung": "was ended, because a part of it stood still and would not go on,",
    "cut off": "was cut off: its process died without saying why",
}


def describe_checks(findings: Findings) -> str:
    """Say how the checks came out: "2 of 5 checks failed, 1 undecided"."""
    total = len(findings.checks)
    if total == 0:
        return "the scenario expects nothing"
    by = Counter(check.verdict for check in findings.checks)
    if by[Verdict.PASS] == total:
        return "the one check holds" if total == 1 else f"all {total} checks hold"
    said = []
    if by[Verdict.FAIL]:
        said.append(f"{by[Verdict.FAIL]} of {formatting.plural(total, 'check')} failed")
    if by[Verdict.UNKNOWN]:
        of = "" if said else f" of {formatting.plural(total, 'check')}"
        said.append(f"{by[Verdict.UNKNOWN]}{of} undecided")
    return ", ".join(said)


def describe_early_end(findings: Findings) -> str:
    """Say that the experiment did not reach its end, and how far it came; empty if it did."""
    if findings.finished == "done":
        return ""
    end = _ENDING_TEXTS.get(findings.finished, f"ended early ({findings.finished})")
    after = formatting.seconds(findings.duration_s)
    phases = ", ".join(phase.name for phase in findings.phases) or "none"
    return f"This experiment {end} after {after}. Phases reached: {phases}."


def describe_size(findings: Findings) -> str:
    """Say how large the experiment was: "4 arms × 10 users", or "4 arms × 20 arrivals/s"."""
    arms = formatting.plural(len(findings.arms), "arm")
    if findings.arrivals_per_s is not None:
        return f"{arms} × {findings.arrivals_per_s:g} arrivals/s"
    return f"{arms} × {formatting.plural(findings.users_per_arm, 'user')}"


def describe_fault(phase: PhaseFinding) -> str:
    """Say what was done to the wire, without repeating the phase's own name."""
    return strip_phase_name(phase.fault, phase.name) if phase.fault else "no fault"


def describe_renewals(phase: PhaseFinding) -> str:
    """Say that the harness ended connections before a phase, and how many; empty if it ended none."""
    counts = phase.renewed.values()
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        return "the harness renewed connections before this phase; how many is not on record"
    return (
        f"the harness renewed {formatting.plural(sum(known), 'connection')} before this phase"
        if sum(known)
        else ""
    )


def warning_scope(warning: ValidityWarning) -> str:
    """Say which phase and arm a warning is about, unless its text does."""
    return " · ".join(place for place in (warning.phase, warning.arm) if place and place not in warning.text)


def describe_warning(warning: ValidityWarning, likewise: str = "") -> str:
    """Say a doubt on one line: where, what, and what to do."""
    place = warning_scope(warning)
    said = "; ".join(filter(None, (f"{place}: {warning.text}" if place else warning.text, likewise)))
    return f"{said} → {warning.remedy}"


def run_wide_warnings(findings: Findings) -> list[str]:
    """List the doubts that leave every check undecided: they are not repeated in the checks' own texts."""
    return [
        describe_warning(each)
        for each in findings.warnings
        if each.unknown and not each.phase and not each.arm
    ]


def group_equal_warnings(warnings: Iterable[ValidityWarning]) -> tuple[tuple[ValidityWarning, str], ...]:
    """Put together what is said of several arms: the first of each code and phase, and whom else it is about.

    Only what is said in the same words, but for the arm and the figures: a reason that is another arm's is not its own.
    """
    gathered: dict[tuple[str, str | None, bool, str], list[ValidityWarning]] = defaultdict(list)
    for warning in warnings:
        gathered[warning.code, warning.phase, warning.unknown, _text_without_arm(warning)].append(warning)
    return tuple((first, _name_other_arms(others)) for first, *others in gathered.values())


def _text_without_arm(warning: ValidityWarning) -> str:
    """Its text without arm and figures, if it is about an arm; what is about none is alike by its code."""
    if warning.arm is None:
        return ""
    without_arm = re.sub(rf"(?<!\w){re.escape(warning.arm)}(?!\w)", "", warning.text)
    return _NUMBERS.sub("", without_arm)


def _name_other_arms(others: list[ValidityWarning]) -> str:
    """Name the arms, or count what is about no arm; empty if there is nothing else."""
    if not others:
        return ""
    arms = list(dict.fromkeys(other.arm for other in others if other.arm))
    return f"likewise {', '.join(arms)}" if arms else f"and {len(others)} more like it"


CAUSE_NOT_KNOWN = "cause not known"
NOT_A_DISCONNECT = "not a disconnect"
BY_NO_FAULT = "caused by no fault on record"
CANNOT_BE_DETERMINED = "cannot be determined"
NOT_SEEN = "not seen"

BY_EVENT_LOOP = "caused by the service's own event loop, which stood still"

_RELATION_TEXTS = {
    Relation.SERVICE: BY_EVENT_LOOP,
    Relation.UNATTRIBUTED: BY_NO_FAULT,
    Relation.UNKNOWN: CANNOT_BE_DETERMINED,
}


def describe_relation(one: Relation) -> str:
    """Say how a fault caused failed requests: "direct", or that none did, or that it is not known."""
    return _RELATION_TEXTS.get(one, one.value)


def describe_failure_kind(group: FailureGroup) -> str:
    """Say whether a group of failures is no disconnect, or that nobody knows; empty for disconnects."""
    if not group.cause_known:
        return CAUSE_NOT_KNOWN
    return "" if group.disconnect else NOT_A_DISCONNECT


def describe_coverage(findings: Findings) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Say what the witness saw, and of which arms that is true."""
    gathered: dict[str, list[str]] = defaultdict(list)
    for arm in findings.arms:
        if arm in findings.witness_coverage:
            said = _describe_coverage_of(findings, arm) + _describe_libraries(findings, arm)
            gathered[said].append(arm)
    return tuple((said, tuple(arms)) for said, arms in gathered.items())


def _describe_libraries(findings: Findings, arm: str) -> str:
    """Say "; requests: uvicorn 0.54.0; pools: none", and how many WebSockets there were; empty if neither is known."""
    seen = findings.seen_libraries.get(arm, SeenLibraries())
    parts = [f"{plane}: {', '.join(names) or 'none'}" for plane, names in (seen.by_plane or {}).items()]
    if seen.websockets:
        parts.append(
            f"{formatting.plural(seen.websockets, 'WebSocket connection')}, whose messages are not followed"
        )
    return "".join(f"; {part}" for part in parts)


def describe_missing_coverage(findings: Findings, arm: str) -> str:
    """Say why the requests of an arm cannot be followed; empty if they can be."""
    what = findings.witness_coverage.get(arm, WitnessCoverage.BOTH)
    return "" if what is WitnessCoverage.BOTH else _describe_coverage_of(findings, arm)


def _describe_coverage_of(findings: Findings, arm: str) -> str:
    """Say what the witness saw of an arm whose coverage is known; connections outside of any pool are no pool."""
    coverage, by_plane = (
        findings.witness_coverage[arm],
        findings.seen_libraries.get(arm, SeenLibraries()).by_plane,
    )
    if by_plane and by_plane[Plane.CONNECTIONS] and not by_plane[Plane.POOLS]:
        return CONNECTIONS_TEXT.get(coverage, COVERAGE_TEXT[coverage])
    return COVERAGE_TEXT[coverage]


def describe_first_use(rest_s: tuple[float, float] | None) -> str:
    """Say that a connection ended at its first use: "first use after 1.2–1.4 s of rest"."""
    if rest_s is None:
        return "first use after a rest"
    least, most = (f"{rest:.2g}" if rest < 10 else f"{rest:.0f}" for rest in rest_s)
    return f"first use after {least if least == most else f'{least}–{most}'}{formatting.THIN}s of rest"


def describe_connection_state(group: FailureGroup) -> str:
    """Say what a connection was doing when it ended, as far as that is known."""
    return describe_first_use(group.rest_s) if group.state == "after rest" else group.state


def describe_attribution_briefly(owed: AttributionCounts) -> str:
    """Say in one or two words how a fault caused a group of failures: "direct", "mostly secondary"."""
    most, count = max(owed.by_relation.items(), key=lambda item: item[1])
    return describe_relation(most) if count == owed.failed else f"mostly {describe_relation(most)}"


def describe_attribution(owed: AttributionCounts) -> str:
    """Say which fault caused a group of failures, at which stage of the request, and what could have prevented it."""
    moments = ", ".join(f"{count:,} {name}" for name, count in _sorted_counts(owed.by_stage))
    said = f"{_describe_causes(owed)}. Stage of the request: {moments}. "
    if owed.standstill_s is not None:
        said += f"The service's own event loop stood still for up to {owed.standstill_s:.1f} s. "
    if owed.preventable:
        by = [f"{n:,} by {how}" for n, how in ((owed.pre_ping, "pre-ping"), (owed.recycle, "recycle")) if n]
        said += f"Preventable: {owed.preventable:,} of {owed.failed:,} ({', '.join(by)})."
    elif owed.not_preventable:
        said += "Neither pre-ping nor recycle could have prevented them."
    else:
        said += "Whether pre-ping or recycle could have prevented them is not known."
    return said + (
        " Attributed by times alone: this history has no log of connections through the proxy."
        if owed.by_time
        else ""
    )


def _describe_causes(owed: AttributionCounts) -> str:
    """Say "caused by socket_kill: 3 direct, 1 collateral; 1 caused by no fault on record"."""
    faults = ", ".join(_sorted_by_count(owed.by_fault))
    counted = {
        one: f"{count:,} {describe_relation(one)}"
        for one in Relation
        if (count := owed.by_relation.get(one, 0))
    }
    by_faults = ", ".join(text for one, text in counted.items() if one not in _RELATION_TEXTS)
    others = ", ".join(text for one, text in counted.items() if one in _RELATION_TEXTS)
    return "; ".join(filter(None, (f"Caused by {faults}: {by_faults}" if by_faults else "", others)))


def _sorted_counts(counts: Mapping[RequestStage, int]) -> list[tuple[str, int]]:
    return sorted(((key.value, count) for key, count in counts.items()), key=lambda item: -item[1])


def _sorted_by_count(counts: Mapping[str, int]) -> list[str]:
    return sorted(counts, key=lambda key: -counts[key])
