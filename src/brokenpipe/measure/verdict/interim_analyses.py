"""Notes on the interim analyses of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from brokenpipe.formatting import percent
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.stats.intervals import ERROR


def interim_analysis_notes(
    looks: Mapping[str, Sequence[int]], cells: Mapping[ArmPhase, ArmPhaseStats]
) -> Iterator[str]:
    """One note for each phase whose episodes could become more."""
    for phase, planned in looks.items():
        had = max((cell.episodes for (_, name), cell in cells.items() if name == phase), default=0)
        if not had or len(planned) == 1:
            continue
        taken = sum(look <= had for look in planned)
        yield (
            f"{phase}: {had} episodes, judged after {', '.join(map(str, planned[:taken]))}; planned were looks at "
            f"{', '.join(map(str, planned))}. Each of its intervals is one of {percent(1 - ERROR / len(planned))}, "
            f"so that they hold {percent(1 - ERROR)} over all looks together."
        )
