"""The limit of waiting for a part that stands still: waits end early, and the run soon after its planned end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from brokenpipe.drive.watch.watch import SHARED, NoSilenceMonitor, SilenceMonitor

LATE_S = 1.0  # as late as makes Locust starved
GIVE_UP_S = 2.0  # a part that has been silent for so long is not waited for
OVERRUN_S = 5.0  # beyond the plan, if a part without which no arm goes on stands still


class PartHungError(Exception):
    """A part without which no arm goes on stands still, and the plan's time is over."""


@dataclass(slots=True)
class WaitLimit:
    """The limit for one experiment. `server_is_held`: a fault of ours has stopped the server until it is healed."""

    monitor: SilenceMonitor = field(default_factory=NoSilenceMonitor)
    server_is_held: bool = False

    def should_give_up(self) -> bool:
        """Whether to stop waiting, because a part is silent and the end will not come."""
        return not self.server_is_held and self.monitor.silent_for_s() >= GIVE_UP_S

    def raise_if_hung(self, overrun_s: float) -> None:
        """Raises PartHung. `overrun_s`: how long ago all should have been played."""
        silent = overrun_s > OVERRUN_S and self.monitor.silent_for_s(SHARED) >= GIVE_UP_S
        if silent and not self.server_is_held:
            raise PartHungError

    def record_if_late(self, begun: float, nap_s: float) -> None:
        """Record a late loop. `begun`: when its turn began (time.monotonic()); it should have taken `nap_s`."""
        if time.monotonic() - begun > nap_s + LATE_S:
            self.monitor.record_late(round(begun * 1e9), time.monotonic_ns())
