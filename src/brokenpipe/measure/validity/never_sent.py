"""Warnings about requests that Locust could not send, because its process lacked a resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from brokenpipe.formatting import plural
from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.validity import ValidityWarning

_LACKED: Mapping[str, tuple[Code, str]] = {
    "no_files": (Code.GENERATOR_OUT_OF_FILES, "file descriptor"),
    "no_ports": (Code.GENERATOR_OUT_OF_PORTS, "local port"),
    "no_memory": (Code.GENERATOR_OUT_OF_MEMORY, "memory, buffer or thread"),
}
_BY_ARM = "SELECT failure, arm, count(*) FROM never_sent GROUP BY ALL ORDER BY ALL"


def never_sent_warnings(history: History) -> Iterator[ValidityWarning]:
    """One for each thing that was lacking, with how many requests of each arm it concerns."""
    by_lack: dict[str, dict[str, int]] = {}
    for failure, arm, count in history.rows(_BY_ARM):
        by_lack.setdefault(failure, {})[arm] = count
    for failure, by_arm in by_lack.items():
        code, what = _LACKED[failure]
        count = sum(by_arm.values())
        arms = ", ".join(f"{each:,} to {arm}" for arm, each in by_arm.items())
        were = "was" if count == 1 else "were"
        text = f"{plural(count, 'request')} {were} never sent ({arms}), because Locust had no {what} left"
        yield ValidityWarning.of(code, f"{text}: none of them is counted")
