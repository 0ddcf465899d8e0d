"""Warnings about containers that ran out of memory, ended or were paused, and not by the nemesis."""

from __future__ import annotations

from collections.abc import Iterator

from brokenpipe.history.containers import arm_of, describe_out_of_memory, display_name
from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.validity import ValidityWarning

# One whose first process the kernel has chosen ends at once; measured: within 0.1 s.
_OUT_OF_MEMORY = """
SELECT service, count(*), min(limit_bytes), min((
    SELECT min(e.exit_code) FROM container_events e
    WHERE e.service = o.service AND e.change = 'ended' AND e.t BETWEEN o.t - 1000000000 AND o.t + 1000000000))
FROM container_events o WHERE change = 'out_of_memory' AND service NOT LIKE 'scratch%' GROUP BY ALL ORDER BY min(t)
"""
_STOOD_STILL = """
SELECT d.service, count(*), max((
    SELECT min(u.t) FROM container_events u
    WHERE u.service = d.service AND u.change = 'unpaused' AND u.t > d.t) - d.t) / 1e9
FROM disturbed d WHERE d.change = 'paused' GROUP BY ALL ORDER BY min(d.t)
"""
_ENDED = """
SELECT service, arg_min(exit_code, t) FROM disturbed WHERE change = 'ended' GROUP BY ALL ORDER BY min(t)
"""
_CODES = {
    "postgres": Code.POSTGRES_DIED,
    "postgres-place": Code.POSTGRES_DIED,
    "toxiproxy": Code.TOXIPROXY_DIED,
    "pgbouncer": Code.PGBOUNCER_DIED,
}


def container_warnings(history: History) -> tuple[ValidityWarning, ...]:
    """All warnings about the containers of a stack."""
    return (*_out_of_memory(history), *_ended(history), *_stood_still(history))


def _out_of_memory(history: History) -> Iterator[ValidityWarning]:
    for service, times, limit_bytes, exit_code in history.rows(_OUT_OF_MEMORY):
        end = "it went on" if exit_code is None else f"it ended with exit code {exit_code}"
        text = f"{display_name(service)} was {describe_out_of_memory(limit_bytes)} {_often(times)}: {end}"
        yield ValidityWarning.of(Code.OUT_OF_MEMORY, text, arm=arm_of(service))


def _ended(history: History) -> Iterator[ValidityWarning]:
    """Containers that ended, unless this was recorded during the run."""
    told = set(history.rows("SELECT code, arm FROM doubts"))
    for service, exit_code in history.rows(_ENDED):
        code, arm = _CODES.get(service, Code.TARGET_DIED), arm_of(service)
        if (code.value, arm) not in told:
            yield ValidityWarning.of(
                code, f"{display_name(service)} ended with exit code {exit_code}", arm=arm
            )


def _stood_still(history: History) -> Iterator[ValidityWarning]:
    for service, times, longest_s in history.rows(_STOOD_STILL):
        span = "until the end" if longest_s is None else f"for up to {longest_s:.1f} s"
        text = (
            f"{display_name(service)} was made to stand still {_often(times)}, {span}, and not by the nemesis"
        )
        yield ValidityWarning.of(Code.CONTAINER_PAUSED, text, arm=arm_of(service))


def _often(times: int) -> str:
    return "once" if times == 1 else f"{times} times"
