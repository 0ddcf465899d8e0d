"""How far an experiment is: what a display is shown, a few times a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from brokenpipe.load.messages import Count


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of an experiment. `message` says what is being done while no phase is on."""

    message: str
    phase: str = ""
    fault: str = ""
    episode: int = 0  # counted from 1; 0: none yet
    episodes: int = 0
    elapsed_s: float = 0.0
    total_s: float = 0.0
    arms: Mapping[str, Count] = field(default_factory=dict)  # lead-ins included


OnProgress = Callable[[Progress], None]
