"""Consequences of silences: a warning that can follow from one refers to it, and not to the locustfile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from brokenpipe.formatting import listed
from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.silences.periods import SilentPeriod
from brokenpipe.measure.silences.warnings import silence_code, unexplained_silences

_REASONS = frozenset(
    {
        Code.LOAD_STOPPED, Code.TOXIPROXY_STOPPED, Code.SERVICE_STOPPED, Code.PGBOUNCER_HUNG, Code.POSTGRES_HUNG,
        Code.HARNESS_STOPPED, Code.OUT_OF_FILES,
    }
)  # fmt: skip
_CONSEQUENCES = frozenset(
    {
        Code.GENERATOR_STARVED, Code.GENERATOR_LAGGED, Code.ARRIVALS_LATE, Code.ARRIVALS_MISSED, Code.NO_TRAFFIC,
        Code.UNEQUAL_LOAD, Code.NOT_DRAINED, Code.WORKER_LOST, Code.FAULT_DID_NOT_LAND, Code.STRIKE_LATE,
        Code.ACT_FAILED, Code.NOT_BACK_AFTER_RENEWAL, Code.NO_DATABASE_TRAFFIC, Code.SERVICE_BROKEN,
        Code.LEDGER_UNKNOWN, Code.LEDGER_NOT_SETTLED, Code.GAUGES_SILENT,
    }
)  # fmt: skip
CONSEQUENCE_NS = 15_000_000_000  # how long users may still wait for an answer after a silence


def with_silence_reasons(
    history: History, warnings: Sequence[ValidityWarning]
) -> tuple[ValidityWarning, ...]:
    """Change the remedy of warnings that can follow from a silence: look into the silence first."""
    raised = {each.code for each in warnings} & {code.value for code in _REASONS}
    if not raised:
        return tuple(warnings)
    silences = [each for each in unexplained_silences(history) if silence_code(each).value in raised]
    stretches = history.rows("SELECT name, t0, t1 FROM stretches")
    return tuple(_with_reason(each, silences, stretches) for each in warnings)


def _with_reason(
    warn: ValidityWarning, silences: Sequence[SilentPeriod], stretches: Sequence[tuple[str, int, int]]
) -> ValidityWarning:
    if warn.code not in _CONSEQUENCES:
        return warn
    spans = [(t0, t1) for name, t0, t1 in stretches if warn.phase in {None, name}]
    codes = sorted(set(_silences_around(warn, silences, spans)))
    if not codes:
        return warn
    return replace(warn, remedy=f"This can follow from {listed(codes)}: look into that first.")


def _silences_around(
    warn: ValidityWarning, silences: Sequence[SilentPeriod], spans: Sequence[tuple[int, int | None]]
) -> Iterator[str]:
    for silence in silences:
        same = silence.arm is None or warn.arm in {None, silence.arm}
        until = silence.ends + CONSEQUENCE_NS
        if same and any(
            t0 <= until and (t1 is None or silence.begins <= t1 + CONSEQUENCE_NS) for t0, t1 in spans
        ):
            yield silence_code(silence).value
