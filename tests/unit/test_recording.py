"""How a run ended is the last line of its history, whatever ended it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from brokenpipe.drive.run_session import Terminated, recording
from brokenpipe.errors import StackError
from brokenpipe.history.records import RunEnding

ENDINGS: list[tuple[type[BaseException] | None, RunEnding, RunEnding]] = [
    (None, "done", "done"),
    (None, "hung", "hung"),
    (KeyboardInterrupt, "done", "interrupted"),
    (Terminated, "done", "terminated"),
    (StackError, "done", "failed"),
]


def _end(folder: Path, error: type[BaseException] | None, ending: RunEnding, *, absorb_signals: bool) -> None:
    with recording(folder, absorb_signals=absorb_signals) as run:
        run.ending = ending
        if error:
            raise error("it ends here")


@pytest.mark.parametrize(("error", "ending", "recorded"), ENDINGS)
def test_the_last_line_says_how_it_ended(
    tmp_path: Path, error: type[BaseException] | None, ending: RunEnding, recorded: RunEnding
) -> None:
    """An exception outranks what the run would have said, and it goes on to the caller."""
    with pytest.raises(error) if error else nullcontext():
        _end(tmp_path, error, ending, absorb_signals=False)
    lines = (tmp_path / "experiment.ndjson").read_text().splitlines()
    assert json.loads(lines[-1])["how"] == recorded


@pytest.mark.parametrize(
    ("error", "recorded"), [(KeyboardInterrupt, "interrupted"), (Terminated, "terminated")]
)
def test_a_signal_can_end_the_recording_alone(
    tmp_path: Path, error: type[BaseException], recorded: RunEnding
) -> None:
    """A run by file is reported after Ctrl-C: its caller gets no exception, but the ending."""
    _end(tmp_path, error, "done", absorb_signals=True)
    lines = (tmp_path / "experiment.ndjson").read_text().splitlines()
    assert json.loads(lines[-1])["how"] == recorded


def test_an_error_is_never_absorbed(tmp_path: Path) -> None:
    """Only the two signals are."""
    with pytest.raises(StackError):
        _end(tmp_path, StackError, "done", absorb_signals=True)
