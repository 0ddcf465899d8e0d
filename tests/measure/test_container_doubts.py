"""What the engine tells of containers is doubted in words, once, and only where the stack did not end them itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.measure.recorded import Recorded
from tests.measure.warning_cases import calm, codes_of, measured, out_of_memory, paused, taken_down

from brokenpipe.history import records
from brokenpipe.history.validity_codes import Code


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    with calm(tmp_path / "run") as recorded:
        yield recorded


def test_what_the_engine_tells_is_said_in_words(run: Recorded) -> None:
    """Who ran out of how much memory, how it ended, and for how long somebody stood still."""
    out_of_memory(run)
    run.container(5.1, "agent-plain", "ended", exit_code=137)
    run.experiment(
        replace(records.RecordedDoubt.of(Code.TARGET_DIED, "it ended", arm="plain"), t=run.at(5.2))
    )
    paused(run)
    found = measured(run).warnings
    assert [(each.code, each.arm, each.text) for each in found] == [
        (Code.TARGET_DIED, "plain", "it ended"),  # once, by whoever saw it first
        (
            Code.OUT_OF_MEMORY,
            "plain",
            "target of arm plain was out of memory (limit 96 MiB) once: it ended with exit code 137",
        ),
        (
            Code.CONTAINER_PAUSED,
            None,
            "Toxiproxy was made to stand still once, for up to 1.5 s, and not by the nemesis",
        ),
    ]


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("agent-pre_ping", Code.TARGET_DIED), ("postgres", Code.POSTGRES_DIED), ("postgres-place", Code.POSTGRES_DIED),
        ("toxiproxy", Code.TOXIPROXY_DIED), ("pgbouncer", Code.PGBOUNCER_DIED),
    ],
)  # fmt: skip
def test_a_container_that_ended_and_nobody_told(run: Recorded, service: str, code: Code) -> None:
    """Between two calls of the roll there is room for an end; the engine has told it all the same."""
    run.container(5, service, "ended", exit_code=3)
    (warning,) = measured(run).warnings
    assert (warning.code, "exit code 3" in warning.text) == (code, True)


def test_what_ends_a_part_ends_no_container_by_itself(run: Recorded) -> None:
    """An experiment that was cut off takes its stack down; when it is resumed, a phase follows all the same."""
    taken_down(run)
    run.experiment(records.Resumed(run.at(20), 2, "brokenpipe resume"))
    run.phase("kill", [(21, 22, 21.5)], first=2)
    assert Code.TARGET_DIED not in codes_of(measured(run))
