"""Warnings about the test equipment: the machine, its clocks, and the load generator's share of it."""

from __future__ import annotations

from collections.abc import Iterator

from brokenpipe.formatting import percent
from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.validity_codes.load import (
    APART_MS,
    LAG_MS,
    SATURATED_CORES,
    STARVED_MEDIAN_MS,
    STARVED_MS,
)
from brokenpipe.history.validity_codes.machine import (
    BUSY_MACHINE,
    JUMP_S,
    SATURATED_MACHINE,
    STOLEN,
    THROTTLED,
)
from brokenpipe.measure.model.validity import Health, ValidityWarning

# A lag is recorded when it is over; it concerns every phase that it reached into.
_LAGS = """
WITH p AS (FROM stretches)
SELECT p.name, max(l.ms), median(l.ms), count(*)
FROM p JOIN lags l ON l.t >= p.t0 AND l.t - l.ms * 1000000 < coalesce(p.t1, 9223372036854775807)
GROUP BY p.name ORDER BY min(p.t0)
"""
_ENOUGH_LAGS = 4  # half seconds: fewer have no median worth the name

_JUMPS = """
WITH d AS (
    SELECT t, (wall_ns - t - lag(wall_ns - t) OVER w) / 1e9 AS wall,
           coalesce((boot_ns - t - lag(boot_ns - t) OVER w) / 1e9, 0) AS slept, lag(t) OVER w AS before
    FROM ticks WINDOW w AS (ORDER BY t)
)
SELECT coalesce(max(slept), 0), coalesce(arg_max(wall - slept, abs(wall - slept)), 0)
FROM d WHERE t BETWEEN ? AND ? AND NOT EXISTS (FROM resumptions r WHERE r.t BETWEEN d.before AND d.t)
"""


def machine_warnings(history: History, health: Health) -> tuple[ValidityWarning, ...]:
    """From the first phase's begin to the last one's end: starting up may be busy and late."""
    begin, end = history.one("SELECT coalesce(min(t), 0), coalesce(max(t), 0) FROM phase_edges")
    (throttled,) = history.one(
        "SELECT avg(throttled) FROM machine_gauges WHERE t BETWEEN ? AND ?", (begin, end)
    )
    return (
        *_generator(history, health),
        *_workers(health),
        *_machine(health, throttled),
        *_clocks(history, begin, end),
    )


def _generator(history: History, health: Health) -> Iterator[ValidityWarning]:
    for process in health.processes:
        generates = process.role.partition(" ")[0] in {"load", "worker"}
        if generates and process.mean_cores > SATURATED_CORES:
            who = "Locust" if process.role == "load" else f"Locust's {process.role}"
            text = f"{who} used {percent(process.mean_cores)} of its core"
            yield ValidityWarning.of(Code.GENERATOR_SATURATED, text)
    starved = False
    for phase, worst_ms, median_ms, count in history.rows(_LAGS):
        if worst_ms > STARVED_MS:
            text = f"in {phase} Locust's event loop once woke {worst_ms:.0f} ms late"
        elif count >= _ENOUGH_LAGS and median_ms > STARVED_MEDIAN_MS:
            text = f"in {phase} Locust's event loop woke {median_ms:.0f} ms late in half of all half seconds"
        else:
            continue
        starved = True
        yield ValidityWarning.of(Code.GENERATOR_STARVED, text, phase=phase)
    if not starved and health.worst_lag_ms is not None and health.worst_lag_ms > LAG_MS:
        yield ValidityWarning.of(
            Code.GENERATOR_LAGGED, f"Locust's event loop once woke {health.worst_lag_ms:.0f} ms late"
        )


def _workers(health: Health) -> Iterator[ValidityWarning]:
    for clock in health.workers:
        if clock.error_ns is None:
            yield ValidityWarning.of(
                Code.CLOCKS_APART, f"the clock of worker {clock.worker} was never measured"
            )
        elif clock.error_ns > APART_MS * 1e6:
            text = f"the clock of worker {clock.worker} is known to ± {clock.error_ns / 1e6:.1f} ms only"
            yield ValidityWarning.of(Code.CLOCKS_APART, text)


def _machine(health: Health, throttled: float | None) -> Iterator[ValidityWarning]:
    if health.machine_busy is not None and health.machine_busy > BUSY_MACHINE:
        saturated = health.machine_busy > SATURATED_MACHINE
        code = Code.MACHINE_SATURATED if saturated else Code.MACHINE_BUSY
        yield ValidityWarning.of(code, f"the machine was {percent(health.machine_busy)} busy")
    if health.machine_stolen is not None and health.machine_stolen > STOLEN:
        text = f"a hypervisor took {percent(health.machine_stolen)} of the processor away"
        yield ValidityWarning.of(Code.MACHINE_STOLEN, text)
    if throttled is not None and throttled > THROTTLED:
        text = f"the processor quota was used up in {percent(throttled)} of its periods"
        yield ValidityWarning.of(Code.MACHINE_THROTTLED, text)


def _clocks(history: History, begin: int, end: int) -> Iterator[ValidityWarning]:
    slept_s, jumped_s = history.one(_JUMPS, (begin, end))
    if slept_s > JUMP_S:
        yield ValidityWarning.of(
            Code.MACHINE_SUSPENDED, f"the machine slept for {slept_s:.1f} s during the run"
        )
    if abs(jumped_s) > JUMP_S:
        text = f"the wall clock jumped by {jumped_s:+.2f} s during the run"
        yield ValidityWarning.of(Code.CLOCK_JUMPED, text)
