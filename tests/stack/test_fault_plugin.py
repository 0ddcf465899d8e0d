"""Two faults of another distribution, played for real: certified, attributed and drawn; and then not installed.

`tests/fault_plugin` is that distribution: a module and its entry points, on PYTHONPATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.stack.runs import BROKENPIPE, REPOSITORY, Run, Starter, write_scenario

pytestmark = pytest.mark.low_load

PLUGIN = REPOSITORY / "tests/fault_plugin"
# A round trip to the far region takes 1.6 s, and users wait for 1 s.
PHASES = """
[[phases]]
name = "away"
fault = { name = "failover", away_ms = 100 }
episodes = 4
every_s = 1

[[phases]]
name = "far"
fault = { name = "far_region", ms = 800 }
seconds = 4
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Run:
    """One run of both faults, with the distribution installed."""
    folder = tmp_path_factory.mktemp("plugin")
    scenario = write_scenario(
        folder / "plugin.toml",
        PHASES,
        target="pooled",
        locustfile=project / "scenarios/unhurried.py",
        arms="plain = {}\npre_ping = { DB_POOL_PRE_PING = 'true' }",
        users=4,
        timeout_s=1.0,
    )
    done = Starter(folder).run(scenario, cwd=project, env={"PYTHONPATH": str(PLUGIN)}, html=True)
    assert done.popen.returncode == 3, done.out  # nothing was expected
    return done


def test_faults_of_another_distribution_are_certified_and_detected(run: Run) -> None:
    """Before the run raw sockets saw what their contracts say, and in every episode of every arm that they landed."""
    probes = run.history("experiment.ndjson", "probe")
    assert {(probe["fault"], probe["situation"]) for probe in probes} == {
        (fault, situation)
        for fault in ("failover", "far_region")
        for situation in ("idle", "fresh", "mid_transfer")
    }
    assert [probe for probe in probes if not probe["held"]] == []
    landings = run.history("nemesis.ndjson", "landing")
    assert {(landing["phase"], landing["fault"]) for landing in landings} == {
        ("away", "failover"),
        ("far", "far_region"),
    }
    assert [landing for landing in landings if not landing["landed"]] == []


def test_failures_are_attributed_to_them(run: Run) -> None:
    """A strike ends connections, and a delay makes users give up: both are direct causes."""
    causes = _causes(run.summary)
    assert causes["away"]["failover"] > 0, causes
    assert causes["far"]["far_region"] > 0, causes
    assert all(causes[phase]["direct"] > 0 for phase in causes), causes


def test_the_report_draws_them(run: Run) -> None:
    """Each with its parameters, in sentences, in tables, and over time."""
    page = (run.folder / "report.html").read_text()
    assert "failover · 100 ms away" in page
    assert "far_region · 800 ms each way" in page
    assert "Caused by failover: " in page


def test_the_run_records_where_they_came_from(run: Run) -> None:
    """environment.json names the distribution of each, so that another machine can say what to install."""
    recorded = json.loads((run.folder / "environment.json").read_text())["faults"]
    source = {"distribution": "brokenpipe-far", "version": "0.1"}
    assert recorded == {
        "failover": {**source, "momentary": True},
        "far_region": {**source, "momentary": False},
    }


@pytest.fixture(scope="module")
def elsewhere(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The report made again where the distribution is not installed: its folder, and what was printed."""
    folder = tmp_path_factory.mktemp("elsewhere") / "report"
    shutil.copytree(run.folder, folder)
    made = subprocess.run(
        [*BROKENPIPE, "report", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": "", "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder, made.stdout


def test_a_report_made_elsewhere_names_what_is_missing(elsewhere: tuple[Path, str], run: Run) -> None:
    """It counts what it counted before, names the distribution to install, and guesses no cause."""
    folder, _ = elsewhere
    summary = json.loads((folder / "summary.json").read_text())
    notes = [each for each in summary["warnings"] if each["code"] == "fault_not_installed"]
    assert [note["phase"] for note in notes] == ["away", "far"]
    assert all("came from brokenpipe-far 0.1, which is not installed here" in note["text"] for note in notes)
    for arm, figures in summary["arms"].items():
        for phase, found in figures["phases"].items():
            assert found["failed"] == run.summary["arms"][arm]["phases"][phase]["failed"]
    assert all(causes.keys() == {"direct", "unknown"} for causes in _causes(summary).values())
    assert all(causes["direct"] == 0 < causes["unknown"] for causes in _causes(summary).values())
    page = (folder / "report.html").read_text()
    assert "far_region" in page
    assert "brokenpipe-far 0.1" in page


def _causes(summary: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Failed requests of all arms, by phase: how many each fault caused, and how many have an unknown cause."""
    found: dict[str, dict[str, int]] = {}
    for arm in summary["arms"].values():
        for phase, figures in arm["phases"].items():
            counts = found.setdefault(phase, {"unknown": 0, "direct": 0})
            owed = figures["owed"] or {"by_fault": {}, "unknown": 0, "direct": 0}
            for key, count in {
                **owed["by_fault"],
                "unknown": owed["unknown"],
                "direct": owed["direct"],
            }.items():
                counts[key] = counts.get(key, 0) + count
    return found
