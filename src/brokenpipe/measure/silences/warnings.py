"""Warnings about parts of a run that stood still or gave no answer without a fault of the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from brokenpipe.formatting import seconds
from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.validity_codes.harness import STOPPED_S
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.silences.gaps import GAP, GAUGES, find_gaps
from brokenpipe.measure.silences.periods import SilentPeriod, planned_silences, watched_silences

_CODES: Mapping[str, Code] = {
    "load": Code.LOAD_STOPPED,
    "worker": Code.LOAD_STOPPED,
    "toxiproxy": Code.TOXIPROXY_STOPPED,
    "target": Code.SERVICE_STOPPED,
    "pgbouncer": Code.PGBOUNCER_HUNG,
    "postgres": Code.POSTGRES_HUNG,
    "harness": Code.HARNESS_STOPPED,
    "janitor": Code.JANITOR_LOST,
    "gauges": Code.GAUGES_SILENT,
}
_AT_ONCE = frozenset({"ended", "no_files"})  # however short: what came meanwhile was not served
_NAMES = {
    "load": "Locust",
    "toxiproxy": "Toxiproxy",
    "pgbouncer": "PgBouncer",
    "postgres": "Postgres",
    "harness": "brokenpipe itself",
    "janitor": "the janitor of this run",
}
# Codes for the same cause that are recorded elsewhere.
_ALREADY_RECORDED: Mapping[Code, frozenset[str]] = {
    Code.JANITOR_LOST: frozenset({Code.JANITOR_LOST.value}),
    Code.TOXIPROXY_STOPPED: frozenset({Code.PROXY_HUNG.value, Code.PROXY_RESTARTED.value}),
}


def silence_warnings(history: History) -> tuple[ValidityWarning, ...]:
    """One for each kind and arm, whatever phase it was in: what follows it is as doubtful."""
    told = {code for (code,) in history.rows("SELECT DISTINCT code FROM doubts")}
    paused = {name for (name,) in history.rows("SELECT service FROM disturbed WHERE change = 'paused'")}
    by_code: dict[tuple[Code, str | None], list[SilentPeriod]] = {}
    for silence in unexplained_silences(history):
        code = silence_code(silence)
        if silence.part not in paused and not told & _ALREADY_RECORDED.get(code, frozenset()):
            by_code.setdefault((code, silence.arm), []).append(silence)
    return tuple(ValidityWarning.of(code, _text(found), arm=arm) for (code, arm), found in by_code.items())


def unexplained_silences(history: History) -> Iterator[SilentPeriod]:
    """The silences that lasted long enough apart from the plan's faults."""
    by_plan, seen = planned_silences(history), watched_silences(history)
    for silence in seen:
        if by_plan.unexplained_s(silence) >= STOPPED_S or silence.how in _AT_ONCE:
            yield silence
    yield from find_gaps(history, seen, by_plan)


def silence_code(silence: SilentPeriod) -> Code:
    """The code of its warning."""
    if silence.how == "no_files":
        return Code.OUT_OF_FILES
    return _CODES[silence.part.partition(" ")[0]]


def _text(found: Sequence[SilentPeriod]) -> str:
    longest = max(found, key=lambda each: each.lasted_s)
    others = len({each.pid for each in found} - {longest.pid, None})
    also = f"; so did {others} of its other processes" if others else ""
    return _silence_text(longest) + also


def _silence_text(silence: SilentPeriod) -> str:
    who = _part_text(silence)
    lasted = f"for {seconds(silence.lasted_s)}" + ("" if silence.over else ", until the end")
    match silence.how:
        case "stopped":
            return f"process {silence.pid} of {who} stood still {lasted}"
        case "ended":
            return f"{who} (process {silence.pid}) had ended"
        case "no_answer":
            return f"{who} answered no new connection {lasted}"
        case "no_files":
            return f"{who} had no file descriptor left {lasted}"
        case "late":
            return f"{who} did nothing {lasted}"
        case _:
            return f"{who} wrote nothing {lasted}"


def _part_text(silence: SilentPeriod) -> str:
    if silence.arm is not None:
        return f"the service of {silence.arm}" if silence.how != GAP else f"the witness in {silence.arm}"
    if silence.part.startswith(GAUGES):
        return f"the {silence.part}"
    what, _, arm = silence.part.partition(" ")
    if what == "pgbouncer" and arm:
        return f"the PgBouncer of {arm}"
    return _NAMES.get(silence.part, f"the load's {silence.part}")
