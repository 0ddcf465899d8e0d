"""The evidence in a few sentences: what could have been prevented, what became of writes, which differences are real.

They stand below the sentence of the verdict, on the first screen of the page and at the end of the terminal, for a
reader who will see no table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from operator import attrgetter

from brokenpipe import formatting
from brokenpipe.error_class import ErrorClass
from brokenpipe.measure.model.attribution import AttributionCounts, Relation
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.lost_slots import REMEDY, lost_slots_text
from brokenpipe.measure.model.nested_checkouts import nested_checkout_texts
from brokenpipe.measure.model.session_growth import growing_session_texts
from brokenpipe.measure.model.verdict import Comparison, RankedBy
from brokenpipe.measure.model.waits_elsewhere import limited_arm_texts
from brokenpipe.measure.model.write_counts import WriteCounts
from brokenpipe.measure.sizing.curve import NoSize, sizing_curve
from brokenpipe.plan.expectations import Metric
from brokenpipe.report import texts
from brokenpipe.report.run.service import describe_standstills, describe_user_disconnects
from brokenpipe.report.run.sizing import knee_sentence


def headline_sentences(findings: Findings) -> tuple[str, ...]:
    """Each says one thing; those with nothing to say are left out."""
    return tuple(
        said
        for say in (
            _wrong_answers,
            _nested,
            _lost_slots,
            _knee,
            _waits_elsewhere,
            _growing_sessions,
            _preventable,
            describe_standstills,
            describe_user_disconnects,
            _unknown_ranking,
            _differences,
            _writes,
            _shared_connections,
        )
        for said in say(findings)
    )


def _knee(findings: Findings) -> Iterator[str]:
    """Of arms whose pools differ in size: which one is large enough."""
    sized = sizing_curve(findings)
    if sized is None or sized.no_size is NoSize.LOST or any(each.waited for each in sized.nested):
        return  # nothing to say, or it is said above
    yield knee_sentence(sized)


def _waits_elsewhere(findings: Findings) -> Iterator[str]:
    """Of arms that work behind a lock or a limit."""
    sized = sizing_curve(findings)
    if sized is None or sized.no_size is not NoSize.ELSEWHERE:
        yield from limited_arm_texts(findings)


def _growing_sessions(findings: Findings) -> Iterator[str]:
    """Of services that open connections and keep them."""
    yield from growing_session_texts(findings.sessions, findings.max_connections)


def _lost_slots(findings: Findings) -> Iterator[str]:
    """Connections that never came back, and who took them."""
    for (arm, phase), cell in findings.cells.items():
        if cell.lost_slots is not None and cell.lost_slots.count:
            yield f"{lost_slots_text(arm, phase, cell.lost_slots)}. {REMEDY}"


def _nested(findings: Findings) -> Iterator[str]:
    """Of requests that waited for a connection while they held one."""
    return nested_checkout_texts(findings.nested)


def _wrong_answers(findings: Findings) -> Iterator[str]:
    """Answers that looked like successes and were not the ones asked for."""
    counts: Counter[str] = Counter()
    for (arm, _), cell in findings.cells.items():
        counts[arm] += cell.failed_by_class.get(ErrorClass.WRONG_RESULT.value, 0)
    told = [f"{count:,} to {arm}" for arm, count in counts.items() if count]
    if told:
        yield f"Wrong results, answers that belong to other questions: {formatting.listed(told)}."


def _shared_connections(findings: Findings) -> Iterator[str]:
    """How many connections of services shared how many at Postgres, where most did."""
    known = [
        (cell.client_connections, cell.server_connections, arm)
        for (arm, _), cell in findings.cells.items()
        if arm in findings.pool_modes and cell.client_connections and cell.server_connections
    ]
    if known:
        client, server, arm = max(known)
        clients, mode = formatting.plural(client, "connection"), findings.pool_modes[arm]
        yield (
            f"Through PgBouncer in {mode} mode up to {clients} of {arm} "
            f"used {formatting.plural(server, 'connection')} at Postgres ({client / server:.0f} : 1)."
        )


def _preventable(findings: Findings) -> Iterator[str]:
    """Of the control's failures: which a pool setting could have prevented, and which none could."""
    owed = [
        cell.attribution
        for (arm, _), cell in findings.cells.items()
        if arm == findings.control and cell.attribution
    ]
    failed = sum(each.failed for each in owed)
    if not failed:
        return
    by_event_loop = sum(each.by_relation.get(Relation.SERVICE, 0) for each in owed)
    parts = [
        f"{count:,} {what}"
        for count, what in (
            (sum(each.preventable for each in owed), "could have been prevented by pre-ping or recycle"),
            (
                sum(each.not_preventable for each in owed) - by_event_loop,
                "by neither: only a retry in the service helps",
            ),
            (by_event_loop, "failed because the service's own event loop stood still"),
            (sum(map(_unattributed, owed)), texts.BY_NO_FAULT),
            (sum(each.unknown - _unattributed(each) for each in owed), texts.CANNOT_BE_DETERMINED),
        )
        if count
    ]
    subject = f"{formatting.plural(failed, 'failed request')} of {findings.control}"
    unseen = texts.describe_missing_coverage(findings, findings.control)
    why = (
        f" ({unseen}, so they cannot be followed)"
        if unseen and not all(each.followed for each in owed)
        else ""
    )
    yield f"Of the {subject}, {', '.join(parts)}{why}."


def _unknown_ranking(findings: Findings) -> Iterator[str]:
    """That arms are compared by all that failed, where it is not known what of it a setting can prevent."""
    best = findings.best
    if best and best.ranked_by is RankedBy.PREVENTABLE and not best.causes_known:
        yield "Arms are compared by all that failed: which of it a setting could have prevented is hardly known."


def _unattributed(owed: AttributionCounts) -> int:
    """Followed, and no fault found, and so neither preventable nor not: a subset of what is unknown."""
    return min(owed.by_relation.get(Relation.UNATTRIBUTED, 0), owed.unknown)


def _differences(findings: Findings) -> Iterator[str]:
    """Which arms failed less, or more, than the control, beyond what chance does; and broke, where that says more."""
    for word, is_so in (("less", attrgetter("is_less")), ("more", attrgetter("is_more"))):
        found = [each for each in findings.comparisons if is_so(each)]
        failed = [each for each in found if each.metric == Metric.ADDED_FAILURE_RATE]
        said = {(each.arm, each.phase) for each in failed}
        broken = [each for each in found if each.metric == Metric.ADDED_BROKEN_PIPE_RATE]
        only_broken = [each for each in broken if (each.arm, each.phase) not in said]
        for verb, some in (("failed", failed), ("broke", only_broken)):
            if some:
                yield f"Not by chance: {_by_phase(some)} {verb} {word} than {findings.control}."


def _by_phase(comparisons: list[Comparison]) -> str:
    """Name them: "pre_ping and both in idle_reset; pre_ping in socket_kill"."""
    phases = dict.fromkeys(each.phase for each in comparisons)
    return "; ".join(
        f"{formatting.listed([each.arm for each in comparisons if each.phase == phase])} in {phase}"
        for phase in phases
    )


def _writes(findings: Findings) -> Iterator[str]:
    """Whether what users were told about their writes is so."""
    books = findings.ledger.values()
    if not books:
        return
    unread = [each.arm for each in books if each.unread]
    if unread:
        yield f"What became of the writes of {formatting.listed(unread)} is not known."
    read = [each for each in books if not each.unread]
    total = sum((each.total for each in read), WriteCounts())
    if not total.asked:
        return
    lost = f"{total.lost:,}" if total.lost else "None"
    arms = formatting.listed([each.arm for each in read])
    of_arms = f" of {arms}" if len(books) < len(findings.arms) else ""
    asked = formatting.plural(total.acknowledged, "acknowledged write")
    said = f"{lost} of {asked}{of_arms} {_was_or_were(total.lost)} lost"
    others = [
        f"{count:,} {what}"
        for count, what in (
            (total.unacknowledged, "stored though never acknowledged"),
            (total.doubled, "stored more than once"),
        )
        if count
    ]
    yield "; ".join([said, *others]) + "."


def _was_or_were(count: int) -> str:
    return "were" if count > 1 else "was"
