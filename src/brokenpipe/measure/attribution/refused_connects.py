"""Connects without a listening server are classified as refused; drivers report them under several names.

psycopg 3 checks the outcome of a connect once, immediately. A refusal that comes later, as over any real network, is
reported as an unexpected end of a connection that never was, and so is a time-out of the kernel. The log of the proxy
shows that no connection was accepted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from brokenpipe.error_class import ErrorClass
from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.fault_windows import SLACK_NS
from brokenpipe.measure.failures.root_cause import FailedRequest

RETRANSMITTED_NS = 1_000_000_000
"""After a second without any answer a kernel asks again; a refusal is an answer, and comes sooner."""


def reclassify_refused_connects(
    history: History, failures: Sequence[FailedRequest]
) -> tuple[FailedRequest, ...]:
    """Reclassify ends of connections that were never accepted: refused, or connect timeout if it took long.

    They stay as they are where no links were recorded, or another connection of the same arm was opened meanwhile.
    """
    if not any(_may_be_refused(failure) for failure in failures):
        return tuple(failures)
    opened: dict[str, list[int]] = defaultdict(list)
    for arm, t in history.rows("SELECT arm, t FROM links_opened ORDER BY t"):
        opened[arm].append(t)
    return tuple(_reclassified(failure, opened) if opened else failure for failure in failures)


def _may_be_refused(failure: FailedRequest) -> bool:
    return (
        failure.error_class is ErrorClass.EOF
        and failure.operation is not None
        and failure.operation.kind == "connect"
    )


def _reclassified(failure: FailedRequest, opened: Mapping[str, Sequence[int]]) -> FailedRequest:
    act = failure.operation
    if not _may_be_refused(failure) or act is None or act.began is None or act.t is None:
        return failure
    times = opened.get(failure.arm, ())
    nth = bisect_left(times, act.began - SLACK_NS)
    if nth < len(times) and times[nth] <= act.t + SLACK_NS:
        return failure
    took_ns = act.t - act.began
    found = ErrorClass.REFUSED if took_ns < RETRANSMITTED_NS else ErrorClass.CONNECT_TIMEOUT
    return replace(failure, error_class=found)
