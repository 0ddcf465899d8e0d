"""Reports made beside a sitting: whatever becomes of one, the sitting goes on and knows it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from brokenpipe.drive.interactive import report_worker
from brokenpipe.drive.interactive.report_worker import ReportWorker
from brokenpipe.errors import StackError
from brokenpipe.stack.processes.janitor import NoJanitor


def slow(_: float) -> int:
    raise subprocess.TimeoutExpired("report", 600)


@contextmanager
def never_done(*_: Any, **__: Any) -> Iterator[Any]:
    yield SimpleNamespace(popen=SimpleNamespace(wait=slow))


@contextmanager
def never_begun(*_: Any, **__: Any) -> Iterator[Any]:
    raise StackError("report cannot be started: too many processes")
    yield


@pytest.mark.parametrize(
    ("child", "says"), [(never_done, "not made within 600 s"), (never_begun, "too many processes")]
)
def test_a_report_that_cannot_be_made_has_failed(
    child: Any, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, with the command that makes it later, and the next one may be tried."""
    monkeypatch.setattr(report_worker, "child", child)
    said: list[str] = []
    with ReportWorker(NoJanitor(), tmp_path, said.append) as reports:
        reports.make(tmp_path / "run")
        assert reports.state(tmp_path / "run") == "failed"
        reports.make(tmp_path / "run")
    assert len(said) == 2
    assert says in said[0]
    assert f"brokenpipe report {tmp_path / 'run'}" in said[0]
