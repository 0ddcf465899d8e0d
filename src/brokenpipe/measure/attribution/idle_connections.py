"""First uses of a connection after a rest: whether it had died before, which its socket does not show.

    last use ── rest ──▶ handed out ─▶ first byte ─▶ RST
                  ╰ a relay forgets it here, without a sign

Such an end looks like that of a connection in use. Its own proxy may have a record (`link_forgotten`). Otherwise arms
that ping may show it: a ping that failed on a socket which looked alive met the same. Without either, it is left open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from brokenpipe.error_class import ErrorClass
from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.fault_effects import FaultEffects, spares_active
from brokenpipe.measure.attribution.fault_windows import FaultWindows
from brokenpipe.measure.attribution.proxy_connections import ProxyConnection
from brokenpipe.measure.failures.request_stage import DbOperation, RequestStage
from brokenpipe.measure.failures.root_cause import FailedRequest
from brokenpipe.measure.model.arm_phase import ArmPhase
from brokenpipe.measure.model.attribution import Attribution, Relation
from brokenpipe.measure.stats.distributions import binomial_cdf
from brokenpipe.measure.tables.requests import select_with_episode
from brokenpipe.plan.scenario import Scenario

LEAST_REST_MS = 50.0
"""The shortest idle limit of any fault. In a pool under load, connections rest for less all the time."""

AT_FIRST_BYTE_NS = 1_000_000_000
"""How late the end may be heard of that answers a first byte, where the loop or the machine is busy.
A statement that had run for longer was carried by its connection."""

BY_CHANCE = 0.01
"""How often arms that do not differ may break as unequally before the difference is taken for one."""

_WITHOUT_REASON = frozenset({ErrorClass.RESET, ErrorClass.BROKEN_PIPE, ErrorClass.EOF})


def died_at_first_byte(
    failure: FailedRequest, connection: ProxyConnection | None, windows: FaultWindows, effects: FaultEffects
) -> bool:
    """Whether a connection that looked alive ended with the first byte after a rest, and no fault ended it."""
    act = failure.operation
    if not _unexplained_end(failure, act, connection) or act is None or act.began is None or act.t is None:
        return False
    if act.rest_ms is None or act.rest_ms < LEAST_REST_MS:
        return False
    there = tuple(windows.during(failure.arm, act.began, act.t))
    died = (
        connection.ended
        if connection and connection.ended and connection.closed_by in {"server", "no_server"}
        else act.t
    )
    late_ns = AT_FIRST_BYTE_NS + 2 * sum(map(effects.delay_ns, there))
    if not act.began <= died <= act.began + late_ns:
        return False
    if connection is None:  # a relay before the proxy: what ended its link is not known
        return all(map(spares_active, there))
    return not any(effects.could_end(window, idle=False) for window in there)


def _unexplained_end(
    failure: FailedRequest, operation: DbOperation | None, connection: ProxyConnection | None
) -> bool:
    """A first statement on a connection that looked alive, and that ended without a reason and not by a toxic."""
    ours = connection is not None and not (
        connection.cut is None and connection.silenced is None and connection.forgotten is None
    )
    in_use = failure.state == "in use" and failure.error_class in _WITHOUT_REASON
    return (
        in_use
        and operation is not None
        and operation.is_first_statement
        and not operation.transaction
        and not ours
    )


@dataclass(frozen=True, slots=True)
class _Pings:
    """Arms that ping, in the phases of one run: pings that failed on sockets which looked alive, and what broke."""

    scenario: Scenario
    failed_pings: Mapping[tuple[str, str, int], int]  # arm, phase, episode
    broken: Mapping[ArmPhase, int]
    in_use: Mapping[ArmPhase, int]
    requests: Mapping[ArmPhase, int]
    arms: frozenset[str]

    def comparable_arms(self, arm: str, phase: str) -> list[str]:
        """The arms that ping and met in this phase what this one met."""
        if arm in self.arms:
            return []
        hit = self.scenario.phase(phase).arms
        return [
            each for each in self.arms if not hit or {arm, each} <= set(hit) or not {arm, each} & set(hit)
        ]

    def prove(self, arm: str, phase: str, episode: int) -> bool:
        """Whether an arm met such deaths by its pings in this episode, and nothing of it broke in the phase."""
        return any(
            self.failed_pings.get((each, phase, episode), 0) and not self.broken.get((each, phase), 0)
            for each in self.comparable_arms(arm, phase)
        )

    def contradict(self, arm: str, phase: str) -> bool:
        """Whether connections in use died less in an arm that pings than they can have by chance."""
        mine, of_mine = self.in_use.get((arm, phase), 0), self.requests.get((arm, phase), 0)
        for each in self.comparable_arms(arm, phase):
            theirs, of_theirs = self.in_use.get((each, phase), 0), self.requests.get((each, phase), 0)
            if mine and of_mine and of_theirs:
                share = of_theirs / (of_mine + of_theirs)
                if binomial_cdf(theirs, mine + theirs, share) < BY_CHANCE:
                    return True
        return False


_FAILED_PINGS = f"""
SELECT witness_arm, phase, episode, count(*) FROM ({select_with_episode("FROM ping_failures", "t")})
WHERE phase IS NOT NULL AND dead = false GROUP BY ALL
"""
_PINGING = """
SELECT witness_arm FROM tallies WHERE pings > 0 UNION SELECT witness_arm FROM ping_failures
UNION SELECT witness_arm FROM testimonies WHERE len(list_filter(checkouts, lambda c: c.ping_ms IS NOT NULL)) > 0
"""


def pinging_arms(history: History) -> frozenset[str]:
    """The arms in which a pool pinged."""
    return frozenset(arm for (arm,) in history.rows(_PINGING))


def _pings(history: History, scenario: Scenario, failures: Sequence[FailedRequest]) -> _Pings:
    requests = history.rows("SELECT arm, phase, sum(requests)::BIGINT FROM by_episode GROUP BY ALL")
    return _Pings(
        scenario=scenario,
        failed_pings={(arm, phase, n): count for arm, phase, n, count in history.rows(_FAILED_PINGS)},
        broken=Counter((each.arm, each.phase) for each in failures if each.broken),
        in_use=Counter((each.arm, each.phase) for each in failures if each.broken and each.state == "in use"),
        requests={(arm, phase): count for arm, phase, count in requests},
        arms=pinging_arms(history),
    )


def refine_by_pings(
    history: History,
    scenario: Scenario,
    failures: Sequence[FailedRequest],
    attributions: Sequence[Attribution],
) -> tuple[tuple[FailedRequest, ...], tuple[Attribution, ...]]:
    """Mark first uses after a rest as stale where pings of other arms prove it, as open where they contradict it.

    They contradict it where fewer connections in use die in an arm that pings: then a setting may help after all.
    """
    pings = _pings(history, scenario, failures)
    if not pings.arms:
        return tuple(failures), tuple(attributions)
    told = [_refined(pings, *each) for each in zip(failures, attributions, strict=True)]
    return tuple(failure for failure, _ in told), tuple(owing for _, owing in told)


def _refined(
    pings: _Pings, failure: FailedRequest, attribution: Attribution
) -> tuple[FailedRequest, Attribution]:
    if failure.state == "after rest" and pings.prove(failure.arm, failure.phase, failure.episode):
        return replace(failure, state="stale"), replace(attribution, stage=RequestStage.STALE, pre_ping=True)
    unknown = attribution.relation in {Relation.UNATTRIBUTED, Relation.UNKNOWN} and _unexplained_end(
        failure, failure.operation, None
    )
    if unknown and pings.contradict(failure.arm, failure.phase):
        return replace(failure, state="after rest"), replace(attribution, stage=RequestStage.AFTER_REST)
    return failure, attribution
