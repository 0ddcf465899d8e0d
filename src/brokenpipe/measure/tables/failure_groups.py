"""Failed requests grouped by cause with one real example each, and counted by attribution for each arm and phase."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from brokenpipe.measure.failures.root_cause import FailedRequest, rest_range_s
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.attribution import Attribution, count_attributions
from brokenpipe.measure.model.findings import FailureGroup

AttributedFailure = tuple[FailedRequest, Attribution]


def failure_groups(
    failures: Sequence[FailedRequest], attributions: Sequence[Attribution], *, begin: int
) -> tuple[FailureGroup, ...]:
    """The largest group first. The example is the one with the longest chain: it tells most."""
    grouped: dict[tuple[str, str, bool], list[AttributedFailure]] = defaultdict(list)
    for failure, attribution in zip(failures, attributions, strict=True):
        grouped[failure.error_class.value, failure.state, failure.cause_known].append((failure, attribution))
    return tuple(
        _group(members, begin) for members in sorted(grouped.values(), key=lambda members: -len(members))
    )


def with_attribution_counts(
    cells: Mapping[ArmPhase, ArmPhaseStats],
    failures: Sequence[FailedRequest],
    attributions: Sequence[Attribution],
) -> dict[ArmPhase, ArmPhaseStats]:
    """Add the counts of attributions to each arm and phase."""
    placed: dict[ArmPhase, list[Attribution]] = defaultdict(list)
    for failure, attribution in zip(failures, attributions, strict=True):
        placed[failure.arm, failure.phase].append(attribution)
    return {
        place: replace(cell, attribution=count_attributions(placed[place])) if place in placed else cell
        for place, cell in cells.items()
    }


def _group(attributed: list[AttributedFailure], begin: int) -> FailureGroup:
    members = [failure for failure, _ in attributed]
    example = max(members, key=lambda failure: len(failure.chain))
    return FailureGroup(
        error_class=example.error_class.value,
        state=example.state,
        disconnect=example.error_class.is_disconnect,
        count_by_arm=dict(Counter(failure.arm for failure in members)),
        count_by_phase=dict(Counter(failure.phase for failure in members)),
        example_arm=example.arm,
        example_request=example.name,
        example_id=example.id,
        example_at_s=(example.begin - begin) / 1e9,
        chain=example.chain,
        cause_known=example.cause_known,
        attribution=count_attributions(attribution for _, attribution in attributed),
        rest_s=rest_range_s(members),
    )
