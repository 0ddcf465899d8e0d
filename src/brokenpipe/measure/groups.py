"""Failed requests grouped by cause, each group with one real example."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from brokenpipe.measure.causes import Failure
from brokenpipe.measure.findings import FailureGroup


def failure_groups(failures: Sequence[Failure], *, begin: int) -> tuple[FailureGroup, ...]:
    """The largest group first. The example is the one with the longest chain: it tells most."""
    grouped: dict[tuple[str, str], list[Failure]] = defaultdict(list)
    for failure in failures:
        grouped[failure.error_class.value, failure.state].append(failure)
    return tuple(
        _group(members, begin) for members in sorted(grouped.values(), key=lambda members: -len(members))
    )


def _group(members: list[Failure], begin: int) -> FailureGroup:
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
        example_at_s=(example.at - begin) / 1e9,
        chain=example.chain,
    )
