"""A soak that is cut off and resumed, for real. By hand, more: python tests/stack/interrupted_soaks.py --soaks 30"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.stack.interrupted_soaks import cut_one, episodes, lines, soak_scenario
from tests.stack.runs import BROKENPIPE, Run, Starter, eventually

DURATION = "20s"  # of which one round takes 14


def _say(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "300"}
    return subprocess.run(
        [*BROKENPIPE, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def _some_episodes(run: Run) -> None:
    """The moment: three episodes are finished, and nothing else may be recorded into that folder."""
    eventually(lambda: run.popen.poll() is not None or _finished(run) >= 3, "no episodes", timeout_s=90)


def _finished(run: Run) -> int:
    return sum(len(episodes(path)) for path in run.reports.glob("*/[0-9]*"))


def test_killed_and_resumed(brokenpipe: Starter, project: Path, tmp_path: Path) -> None:
    """What was finished is kept, what was not is played, and the report says what happened. Then it is finished."""
    refused = []

    def moment(run: Run) -> None:
        _some_episodes(run)
        refused.append(_say("resume", run.folder, cwd=project))

    cut = cut_one(brokenpipe, project, tmp_path, "kill -9", moment, DURATION)
    assert (cut.outcome, cut.wrong) == ("resumed", ()), str(cut)
    assert refused[0].returncode == 2
    assert "an experiment is being recorded there now" in refused[0].stderr
    (folder,) = (path for path in (tmp_path / "reports").glob("*/*") if not path.is_symlink())
    assert "resumed" in (folder / "summary.json").read_text()
    assert "services and database were new from then on" in (folder / "report.html").read_text()
    ids = [each["id"] for each in lines(folder, "requests*.ndjson", "end") if each["arm"] == "plain"]
    assert len(ids) == len(set(ids)), "no two requests of an arm have the same id, whichever part they are of"
    again = _say("resume", folder, cwd=project)
    assert again.returncode == 2
    assert "this run was finished" in again.stderr


def test_what_cannot_be_resumed(project: Path, tmp_path: Path) -> None:
    """A folder that is not there, and one that is no report: each says so, and what would be one."""
    for folder in (tmp_path / "nowhere", tmp_path):
        refused = _say("resume", folder, cwd=project)
        assert refused.returncode == 2, refused.stderr
        assert str(folder) in refused.stderr
        assert "→ Give" in refused.stderr


def test_too_short_for_a_round(brokenpipe: Starter, project: Path) -> None:
    """Before anything is started."""
    scenario = soak_scenario(brokenpipe.folder, project)
    refused = _say("soak", scenario, "--duration", "5s", cwd=project)
    assert refused.returncode == 2
    assert "too short for one round" in refused.stderr
