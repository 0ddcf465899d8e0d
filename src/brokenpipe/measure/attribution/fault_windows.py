"""Windows of time in which faults were active: one for each act of the nemesis on an arm.

    strike      ├┤            from just before the call to just after it
    held        ├──────────┤  from its injection to its healing, or to what cleared it away

The harness itself also ends an arm's connections, between phases and by a restart of the proxy. These are windows too,
so that they are not taken for the fault.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from brokenpipe.faults import Fault, fault_kind
from brokenpipe.faults.contract import SERVER_LATE_S
from brokenpipe.faults.recorded import parse_fault
from brokenpipe.history.reader import History

SLACK_NS = 5_000_000  # from an act to its effect on a socket or its log line
# A session ends when it handles a signal; on a busy machine later than its contract promises.
SERVER_SLACK_NS = int(2.5 * SERVER_LATE_S * 1e9)
HARNESS = "the harness, between phases"


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """`fault` is its name; `begins` and `ends` are monotonic nanoseconds. `episode`: of a strike.

    `injected` is the fault with its parameters; None: they are not known, or it is none of ours.
    """

    fault: str
    injected: Fault | None
    phase: str
    episode: int | None
    begins: int
    ends: int

    @property
    def momentary(self) -> bool:
        """Whether it strikes and is over, rather than lasting until it is healed."""
        return self.fault == HARNESS or _is_strike(self.fault, self.episode)

    @property
    def kind(self) -> type[Fault] | None:
        """The fault without its parameters; None: none that is installed has this name."""
        return fault_kind(self.fault)

    @property
    def is_known(self) -> bool:
        """Whether it is known what it can do: it is no fault of a distribution that is not installed."""
        return self.fault == HARNESS or self.kind is not None

    def overlaps(self, since: int, until: int) -> bool:
        """Whether it was active at some time between two moments, both in monotonic nanoseconds."""
        return self.begins - SLACK_NS <= until and since <= self.ends + SLACK_NS


@dataclass(frozen=True, slots=True)
class FaultWindows:
    """The windows of every arm, in order of their beginning."""

    by_arm: Mapping[str, Sequence[FaultWindow]]
    begins: Mapping[str, Sequence[int]]

    def before(self, arm: str, t: int) -> Iterator[FaultWindow]:
        """Those that had begun at `t`, the latest first."""
        count = bisect_right(self.begins.get(arm, ()), t + SLACK_NS)
        return reversed(self.by_arm.get(arm, ())[:count])

    def during(self, arm: str, since: int, until: int) -> Iterator[FaultWindow]:
        """Those of faults that were active at some time of an interval, the latest first."""
        return (
            window
            for window in self.before(arm, until)
            if window.fault != HARNESS and window.overlaps(since, until)
        )


_ACTS = """
SELECT arm, action, fault, parameters, phase, episode, t0, t1 FROM acts WHERE error IS NULL ORDER BY t0
"""
_ENDING_ACTIONS = frozenset({"heal", "renew", "clear", "restart", "inject"})
_HARNESS_ACTIONS = frozenset({"renew", "clear", "restart"})
_FOR_EVER = 2**63 - 1


def fault_windows(history: History) -> FaultWindows:
    """The windows of each arm, from the acts of the nemesis."""
    by_arm: dict[str, list[FaultWindow]] = defaultdict(list)
    acts: dict[str, list[tuple[str, str, str | None, str, int | None, int, int]]] = defaultdict(list)
    for arm, *act in history.rows(_ACTS):
        acts[arm].append(tuple(act))
    for arm, done in acts.items():
        for n, (action, fault, parameters, phase, episode, t0, t1) in enumerate(done):
            if action in _HARNESS_ACTIONS:
                by_arm[arm].append(FaultWindow(HARNESS, None, phase, None, t0, t1))
            elif action == "inject" and fault:
                over = (later[6] for later in islice(done, n + 1, None) if later[0] in _ENDING_ACTIONS)
                kind = fault_kind(fault)
                late_ns = SERVER_SLACK_NS if kind and kind.place == "server" else 0
                ends = t1 + late_ns if _is_strike(fault, episode) else next(over, _FOR_EVER)
                injected = parse_fault(fault, parameters)
                by_arm[arm].append(FaultWindow(fault, injected, phase, episode, t0, ends))
    return FaultWindows(by_arm, {arm: [window.begins for window in found] for arm, found in by_arm.items()})


def _is_strike(fault: str, episode: int | None) -> bool:
    """Whether it strikes and is over at once. Of a fault that is not installed, only a strike has an episode."""
    kind = fault_kind(fault)
    return episode is not None if kind is None else kind.momentary and not kind.deferred
