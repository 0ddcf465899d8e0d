"""A builder of findings: what `measure` would say of an experiment, without running one."""

from __future__ import annotations

import random
from collections.abc import Iterable

from tests.report.synthetic_runs import ARMS, PHASES, Plan, cell_of, laid_out, timelines

from brokenpipe.history.records import SelfTest
from brokenpipe.interval import Interval
from brokenpipe.measure.failures.error_classes import ChainedException
from brokenpipe.measure.model.arm_phase import ArmPhaseStats
from brokenpipe.measure.model.findings import FailureGroup, Findings
from brokenpipe.measure.model.pool_settings import PoolSettings
from brokenpipe.measure.model.request_time import TimeBreakdown
from brokenpipe.measure.model.validity import Health, ProcessLoad
from brokenpipe.measure.model.verdict import ArmCost, ArmTotals, Check, Comparison, Recommendation, Verdict

HOSTILE = "</script><script>window.pwned=1</script><img src=x onerror=window.pwned=1>\"'&`${1}"

POOL = PoolSettings("sqlalchemy", "create_async_engine", {"pool_size": 10, "pool_pre_ping": True})
SETTINGS = """create_async_engine(
    DATABASE_URL,
    pool_size=10,
    pool_pre_ping=True,
    # and what else you give it: not recorded
)"""


def _tally(cells: Iterable[ArmPhaseStats]) -> ArmTotals:
    cells = list(cells)
    requests, failed = sum(c.requests for c in cells), sum(c.failed for c in cells)
    return ArmTotals(requests, failed, sum(c.broken for c in cells), failed)


def _best(
    cells: dict[tuple[str, str], ArmPhaseStats], control: str, arm: str, faulty: list[str]
) -> Recommendation:
    theirs, mine = (_tally(cells[a, phase] for phase in faulty) for a in (control, arm))
    first = next(cell.phase for cell in cells.values())
    medians = [cells[a, first].latency_ms.p50 or 0 for a in (control, arm)]
    share = 1 - mine.failed_share / theirs.failed_share if theirs.failed else 0.0
    cost = ArmCost(first, medians[1] - medians[0], Interval(1.2, 4.9))
    better_in = tuple(faulty[-1:])
    return Recommendation(
        arm, control, theirs, mine, share, Interval(share - 0.1, share + 0.1), better_in, cost
    )


def _costs(
    cells: dict[tuple[str, str], ArmPhaseStats], control: str, arms: Iterable[str]
) -> dict[str, ArmCost]:
    first = next((cell.phase for cell in cells.values()), "")
    medians = {arm: cells[arm, first].latency_ms.p50 or 0.0 for arm in arms if (arm, first) in cells}
    added = {arm: median - medians[control] for arm, median in medians.items() if arm != control}
    return {arm: ArmCost(first, ms, Interval(ms - 1.5, ms + 1.5)) for arm, ms in added.items()}


def _failures(
    arms: dict[str, dict[str, str]], cells: dict[tuple[str, str], ArmPhaseStats]
) -> tuple[FailureGroup, ...]:
    groups = []
    for state in ("in use", "stale"):

        def count(cell: ArmPhaseStats, state: str = state) -> int:
            return cell.stale if state == "stale" else cell.in_use

        by_arm = {a: n for a in arms if (n := sum(count(c) for c in cells.values() if c.arm == a))}
        by_phase: dict[str, int] = {}
        for cell in cells.values():
            if count(cell):
                by_phase[cell.phase] = by_phase.get(cell.phase, 0) + count(cell)
        if by_arm:
            groups.append(_group(state, by_arm, by_phase))
    return tuple(groups)


def _group(state: str, by_arm: dict[str, int], by_phase: dict[str, int]) -> FailureGroup:
    chain: tuple[ChainedException, ...] = (
        ChainedException(
            "sqlalchemy.exc.DBAPIError",
            "(sqlalchemy.dialects.postgresql.asyncpg.Error) <class 'asyncpg.exceptions."
            "ConnectionDoesNotExistError'>: connection was closed in the middle of operation\n"
            "[SQL: SELECT messages.id, messages.role, messages.content FROM messages WHERE "
            "messages.conversation_id = $1::UUID ORDER BY messages.id]\n(Background on this error at: "
            "https://sqlalche.me/e/21/dbapi)",
            None,
            None,
        ),
        ChainedException(
            "asyncpg.exceptions.ConnectionDoesNotExistError",
            "connection was closed in the middle of operation",
            "08003",
            None,
        ),
        ChainedException("builtins.ConnectionResetError", "[Errno 104] Connection reset by peer", None, 104),
    )
    if state == "stale":
        chain = (
            ChainedException("sqlalchemy.exc.InterfaceError", "connection is closed", None, None),
            chain[2],
        )
    return FailureGroup(
        error_class="disconnect: reset",
        state=state,
        disconnect=True,
        count_by_arm=by_arm,
        count_by_phase=by_phase,
        example_arm=next(iter(by_arm)),
        example_request="POST /chat",
        example_id="plain-u3-000217",
        example_at_s=14.31,
        chain=chain,
    )


CHECKS = (
    Check("plain", "idle_reset", "broken_pipe_rate", "above 0", 0.0118, Interval(0.007, 0.017), Verdict.PASS,
          "plain loses 1.2 % of its requests in idle_reset (0.7–1.7 %): above 0."),
    Check("pre_ping", "idle_reset", "broken", "equals 0", 0, None, Verdict.PASS,
          "pre_ping has 0 broken requests in idle_reset."),
    Check("both", "idle_reset", "broken", "equals 0", 0, None, Verdict.PASS,
          "both has 0 broken requests in idle_reset."),
)  # fmt: skip

CONTRACT = (
    SelfTest(0, "socket_kill reset", "idle", "reset within 20 ms", "ECONNRESET", 3.1, held=True),
    SelfTest(0, "socket_kill reset", "fresh", "accepted and answered", "answered", 0.9, held=True),
    SelfTest(0, "socket_kill reset", "mid-transfer", "reset within 20 ms", "ECONNRESET", 4.4, held=True),
    SelfTest(
        0, "latency 25 ms downstream", "idle", "answer 25–27 ms later", "25.6 ms later", 25.6, held=True
    ),
    SelfTest(0, "idle_reset 1000 ms", "idle", "reset after 1000–1020 ms", "ECONNRESET", 1001.4, held=True),
)


def _comparisons(
    cells: dict[tuple[str, str], ArmPhaseStats], control: str, arms: Iterable[str]
) -> tuple[Comparison, ...]:
    """One comparison of each kind for every arm and phase; the last is of too few episodes."""
    found = []
    for (arm, phase), cell in cells.items():
        other = cells[control, phase]
        if arm == control or cell.broken_pipe_rate is None or other.broken_pipe_rate is None:
            continue
        added = cell.broken_pipe_rate - other.broken_pipe_rate
        few = cell.episodes < 7
        seen = None if few else 0.006
        ends = Interval(added - 0.004, added + 0.004)
        p = 0.0015 if abs(added) > 0.005 and not few else 0.4
        found.append(
            Comparison(
                arm, phase, "added_broken_pipe_rate", cell.episodes, added, ends, p, seen, episodes_needed=7
            )
        )
        found.append(
            Comparison(
                arm,
                phase,
                "added_p50_ms",
                cell.episodes,
                3.2,
                Interval(-1, 7),
                0.2,
                seen and 4.1,
                episodes_needed=7,
            )
        )
    return tuple(found)


def _health(arms: dict[str, dict[str, str]]) -> Health:
    return Health(
        processes=(
            *(ProcessLoad("target", arm, 0.17, 0.31, 96_000_000) for arm in arms),
            ProcessLoad("locust", None, 0.16, 0.24, 118_000_000),
            ProcessLoad("toxiproxy", None, 0.05, 0.11, 21_000_000),
            ProcessLoad("postgres", None, 0.14, 0.27, 143_000_000),
        ),
        cores=2,
        machine_busy=0.48,
        machine_busy_peak=0.71,
        machine_stolen=0.002,
        worst_lag_ms=11.8,
        median_landing_ms=3.2,
        landings=24,
        landed=24,
    )


def _time_of(cell: ArmPhaseStats) -> TimeBreakdown:
    """Most of it is elsewhere: the agent waits for its language model."""
    total_ms = cell.latency_ms.p50 or 0.0
    ping_ms = (cell.pool_cost.ping_ms or 0.0) if cell.pool_cost else 0.0
    return TimeBreakdown(cell.requests, total_ms, 0.04, 0.6, ping_ms, 0.24 * total_ms, 0.02 * total_ms)


def build(
    arms: dict[str, dict[str, str]] = ARMS, plans: tuple[Plan, ...] = PHASES, seed: int = 1
) -> Findings:
    """Findings of an experiment that ran to its end and passed."""
    rng = random.Random(seed)
    phases = laid_out(plans)
    cells = {(arm, plan.name): cell_of(arm, env, plan, rng) for arm, env in arms.items() for plan in plans}
    control = next(iter(arms))
    return Findings(
        stem="default",
        title="Pre-ping and recycle against socket kills, latency and idle resets",
        question="Which pool settings survive which failure, and what does each cost?",
        target="agent",
        started="2026-03-14T09:26:53Z",
        duration_s=phases[-1].end_s + 2 if phases else 0.0,
        finished="done",
        verdict=Verdict.PASS,
        sentence="With pre_ping, connections that died while idle no longer reach a user: 0 broken requests "
        "instead of 16, for 3 ms more in the median request. Connections that die in use still fail: "
        "no pool setting helps there.",
        users_per_arm=10,
        seed=seed,
        control=control,
        arms=arms,
        shared_env={"DB_POOL_SIZE": "10", "DB_DRIVER": "asyncpg"},
        phases=phases,
        cells=cells,
        checks=CHECKS,
        warnings=(),
        failures=_failures(arms, cells),
        timelines=timelines(phases, cells, rng),
        health=_health(arms),
        contract_results=CONTRACT,
        pool_settings=dict.fromkeys(arms, (POOL,)),
        best=_best(cells, control, "pre_ping", [plan.name for plan in plans if plan.fault])
        if "pre_ping" in arms and plans
        else None,
        costs=_costs(cells, control, arms),
        environment={
            "brokenpipe": "0.1.0",
            "Python": "3.11.7",
            "PostgreSQL": "17.10",
            "Toxiproxy": "2.12.0 with kill_switch, idle_reset, idle_drop",
            "Locust": "2.47.0",
            "SQLAlchemy": "2.1.9",
            "asyncpg": "0.32.0",
            "machine": "Linux 6.1, x86-64, 2 cores, 8 GB",
        },
        command="brokenpipe run scenarios/default.toml --users 10 --seed 1",
        comparisons=_comparisons(cells, control, arms),
        times={place: _time_of(cell) for place, cell in cells.items()},
    )
