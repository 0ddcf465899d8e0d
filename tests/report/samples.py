"""Findings of the kinds that a report must show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.report.building import CHECKS, HOSTILE, build
from tests.report.synthetic_runs import ARMS, PHASES, Plan

from brokenpipe.history.records import SelfTest
from brokenpipe.interval import Interval
from brokenpipe.measure.failures.error_classes import ChainedException
from brokenpipe.measure.model.arm_phase import LatencyPercentiles
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.pool_settings import PoolSettings
from brokenpipe.measure.model.series import Timelines
from brokenpipe.measure.model.validity import Health, ProcessLoad, ValidityWarning
from brokenpipe.measure.model.verdict import ArmTotals, BaselineComparison, Check, Recommendation, Verdict


def default() -> Findings:
    """The default scenario: four arms, four phases, pass."""
    return build()


def large() -> Findings:
    """Eight arms by eight phases, one check failed, one undecided, two warnings."""
    arms = {
        **ARMS,
        "lifo": {"DB_POOL_USE_LIFO": "true"},
        "null_pool": {"DB_POOL_SIZE": "0"},
        "psycopg_pre_ping": {"DB_DRIVER": "psycopg", "DB_POOL_PRE_PING": "true"},
        "session_released_early": {"AGENT_HOLD": "query"},
    }
    extra = (
        Plan("backend_kill", "backend_kill", 18, strikes=12, stale=0.01, in_use=0.02),
        Plan("black_hole", "black_hole", 14, strikes=4, in_use=0.21),
        Plan("server_restart_immediate", "server_restart immediate", 20, strikes=2, stale=0.05, in_use=0.09),
        Plan("refuse", "refuse", 12, strikes=3),
    )
    found = build(arms, PHASES + extra)
    checks = (
        *CHECKS,
        Check("both", "black_hole", "broken_pipe_rate", "below 0.01", 0.208, Interval(0.17, 0.26),
              Verdict.FAIL,
              "both loses 21 % of its requests in black_hole (17–26 %): not below 1 %."),
        Check("lifo", "refuse", "p95_ms", "below 200", None, None, Verdict.UNKNOWN,
              "lifo has no successful request in refuse: there is no p95 to judge."),
    )  # fmt: skip
    warnings = (
        ValidityWarning("machine_busy", "The machine was 86 % busy on average (limit 60 %): latencies are too high.",
             "Run fewer arms with --only, or fewer users with --users.", unknown=True, phase="black_hole"),
        ValidityWarning("few_episodes", "server_restart_immediate has 2 episodes: its intervals are very wide.",
             "Ask for 12 episodes or more.", unknown=False, phase="server_restart_immediate"),
    )  # fmt: skip
    return replace(found, checks=checks, warnings=warnings, verdict=Verdict.FAIL, stem="everything")


def nothing_broke() -> Findings:
    """No failure in any arm and no witness: masked and price unknown, nothing to recommend."""
    found = build({"plain": {}, "pre_ping": ARMS["pre_ping"]}, PHASES[:1])
    cells = {k: replace(c, masked=None, pool_cost=None) for k, c in found.cells.items()}
    lines = replace(found.timelines, pool_out={}, pool_idle={})
    return replace(
        found, cells=cells, timelines=lines, best=None, checks=(), contract_results=(), failures=(),
        verdict=Verdict.UNKNOWN, sentence="Nothing broke in any arm, and nothing was asked for.",
    )  # fmt: skip


def empty() -> Findings:
    """An experiment that ended before its first request."""
    health = Health((), 2, None, None, None, None, None, 0, 0)
    found = build(ARMS, ())
    return replace(
        found, cells={}, checks=(), failures=(), contract_results=(), best=None, health=health, finished="failed",
        timelines=Timelines({}, {}, {}, {}, {}, {}), verdict=Verdict.UNKNOWN, duration_s=0.4, environment={},
        sentence="The experiment ended before its first request.",
    )  # fmt: skip


def held() -> Findings:
    """The default scenario, held against a baseline: one rate is worse, one latency open, one arm not in it."""
    found = build()
    worse = BaselineComparison(0.0, 0.031, 0.0, 0.05, 0.0004)
    open_, good = (
        BaselineComparison(1.31, 1.52, 0.25, 1.0, 0.4),
        BaselineComparison(0.082, 0.079, 0.041, 0.05, None),
    )
    checks = (
        Check("pre_ping", "socket_kill", "rise_of_broken_pipe_rate", "at most 0", 0.031, Interval(0.012, 0.047),
              Verdict.FAIL, "pre_ping, socket_kill: broken-pipe rate 3.1 %, 0 % in the baseline", baseline=worse),
        Check("pre_ping", "latency", "rise_of_p50_against_control", "at most 0.25", 0.16, Interval(-0.4, 1.2),
              Verdict.UNKNOWN, "pre_ping, latency: median latency 152 % of plain's", baseline=open_),
        Check("plain", "socket_kill", "rise_of_broken_pipe_rate", "at most 0.041", -0.003, Interval(-0.02, 0.018),
              Verdict.PASS, "plain, socket_kill: broken-pipe rate 7.9 %, 8.2 % in the baseline", baseline=good),
        Check("both", "idle_reset", "rise_of_p95_against_control", "at most 0.25", None, None,
              Verdict.UNKNOWN, "both, idle_reset: 95th percentile latency not measured",
              baseline=BaselineComparison(1.1, None, 0.25, 1.0, None)),
    )  # fmt: skip
    return replace(
        found, checks=(*found.checks, *checks), verdict=Verdict.FAIL,
        baseline="default/20260313T020000Z of 2026-03-13T02:00:00Z",
    )  # fmt: skip


def cut_off() -> Findings:
    """An experiment of the default scenario that was killed in its second phase."""
    found = build()
    silent = LatencyPercentiles(None, None, None)
    cell = replace(
        found.cells["plain", "steady"], requests=0, failed=0, broken=0, broken_pipe_rate=None, ci95=None,
        episodes=0, latency_ms=silent, latency_by_request={}, recovery_s=(), masked=None, pool_cost=None,
    )  # fmt: skip
    cells = {(a, p): c for (a, p), c in found.cells.items() if p == "steady"}
    cells |= {(a, "socket_kill"): replace(cell, arm=a, phase="socket_kill") for a in ARMS}
    checks = tuple(
        replace(c, value=None, ci95=None, verdict=Verdict.UNKNOWN, text=f"{c.phase} was not measured.")
        for c in CHECKS
    )
    return replace(
        found, cells=cells, phases=found.phases[:2], checks=checks, failures=(), best=None,
        finished="cut off", verdict=Verdict.UNKNOWN,
        sentence="The experiment was cut off after steady: nothing can be decided.",
    )  # fmt: skip


def hostile() -> Findings:
    """Every text that a user, a service or a database can choose tries to run a script."""
    arms = {HOSTILE: {HOSTILE: HOSTILE}, "plain": {}}
    plans = (Plan(HOSTILE, HOSTILE, 18, strikes=12, stale=0.01, in_use=0.03), PHASES[0])
    found = build(arms, plans)
    text: dict[str, Any] = {"text": HOSTILE}
    group = replace(
        found.failures[0], error_class=HOSTILE, example_arm=HOSTILE, example_request=HOSTILE,
        example_id=HOSTILE, chain=(ChainedException(HOSTILE, HOSTILE, HOSTILE, 104),),
    )  # fmt: skip
    return replace(
        found, stem=HOSTILE, title=HOSTILE, question=HOSTILE, target=HOSTILE, sentence=HOSTILE,
        command=HOSTILE, control=HOSTILE, shared_env={HOSTILE: HOSTILE}, environment={HOSTILE: HOSTILE},
        notes=(HOSTILE,),
        pool_settings={HOSTILE: (PoolSettings(HOSTILE, HOSTILE, {HOSTILE: HOSTILE}),)},
        failures=(group,), checks=(replace(CHECKS[0], arm=HOSTILE, phase=HOSTILE, bound=HOSTILE, **text),),
        warnings=(ValidityWarning(HOSTILE, HOSTILE, HOSTILE, unknown=True, phase=HOSTILE, arm=HOSTILE),),
        contract_results=(SelfTest(0, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1.0, held=False),),
        best=Recommendation(HOSTILE, "plain", ArmTotals(9, 3, 3, 3), ArmTotals(9, 1, 1, 1),
            0.66, None, (HOSTILE,), None),
        health=replace(found.health, processes=(ProcessLoad(HOSTILE, HOSTILE, 0.1, 0.2, 1),)),
    )  # fmt: skip


EVERY = {
    "default": default,
    "large": large,
    "nothing_broke": nothing_broke,
    "empty": empty,
    "cut_off": cut_off,
    "held": held,
    "hostile": hostile,
}
