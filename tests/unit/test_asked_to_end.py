"""SIGTERM and Ctrl-C in the first moments of a run: before anything is recorded, nothing is left of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from brokenpipe.commands.running.execute import execute_run
from brokenpipe.drive import run_folder as folders
from brokenpipe.drive import run_session
from brokenpipe.drive import runner as runs
from brokenpipe.errors import ReportError
from brokenpipe.measure import pipeline as measuring
from brokenpipe.measure.pipeline import measure
from brokenpipe.plan.plan import Overrides, make_plan
from brokenpipe.plan.project import Project

PROJECT = Project(Path(__file__).parents[2])

# After each of these steps of a run's begin the signal arrives.
STEPS: dict[str, tuple[Any, str]] = {
    "folder made": (folders, "_make_unused_folder"),
    "plan written": (folders, "write_plan"),
    "environment written": (runs, "write_environment"),
    "folder held": (runs, "locked"),
    "history begun": (run_session, "open_writer"),
    "latest moved": (runs, "point_latest_at"),
    "janitor there": (runs, "janitor"),
}


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A run leaves its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _then_signal(do: Callable[..., Any], number: int) -> Callable[..., Any]:
    def done(*arguments: Any, **more: Any) -> Any:
        result = do(*arguments, **more)
        os.kill(os.getpid(), number)
        return result

    return done


@pytest.mark.parametrize(
    ("step", "number"),
    [
        *((step, signal.SIGTERM) for step in STEPS),
        ("plan written", signal.SIGINT),
        ("history begun", signal.SIGINT),
    ],
)
def test_latest_can_be_read(step: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whichever moment it is ended: `latest` is a folder that `report` can read, and no other has anything in it."""
    before = folders.new_report_folder(tmp_path, "quick")
    folders.point_latest_at(before)
    module, name = STEPS[step]
    monkeypatch.setattr(module, name, _then_signal(getattr(module, name), number))
    plan, sources = make_plan(PROJECT, "quick", Overrides(only=("plain",)))
    try:
        code = execute_run(plan, sources, PROJECT, tmp_path)
    except KeyboardInterrupt:
        code = 130
    assert code == {signal.SIGTERM: 3, signal.SIGINT: 130}[signal.Signals(number)]
    latest = (tmp_path / "quick" / "latest").resolve()
    folders_now = [
        each for each in (tmp_path / "quick").iterdir() if not each.is_symlink() and each != before
    ]
    left = [each for each in folders_now if any(file.is_file() for file in each.iterdir())]
    for folder in left:
        assert measure(folder).finished in {"terminated", "interrupted", "cut off"}
    assert latest in {before, *left}
    with pytest.raises(ReportError):
        measure(before)


def test_a_run_that_is_refused_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the harness, and then while what there is of it is measured: sentences, exit code 4, and a history."""

    def refused(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(runs, "start_stack", refused)
    monkeypatch.setattr(measuring, "measure", refused)
    plan, sources = make_plan(PROJECT, "quick", Overrides(only=("plain",)))
    assert execute_run(plan, sources, PROJECT, tmp_path) == 4
    monkeypatch.undo()
    assert capsys.readouterr().err.count("out of memory: this process was refused more") == 2
    assert measure(tmp_path / "quick" / "latest").finished == "failed"
