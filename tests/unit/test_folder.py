"""Report folders: their names, `latest`, and what lies in them before anything runs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from brokenpipe.drive.run_folder import new_report_folder, point_latest_at, write_plan
from brokenpipe.errors import RecordingError
from brokenpipe.plan.plan import Overrides, Plan, make_plan
from brokenpipe.plan.project import Project

PROJECT = Project(Path(__file__).parents[2])


def _newest(reports: Path) -> Path:
    folder = new_report_folder(reports, "default")
    point_latest_at(folder)
    return folder


def test_names_sort_by_time_and_latest_is_the_newest(tmp_path: Path) -> None:
    """reports/STEM/YYYYMMDDTHHMMSSZ; a second run in the same second waits for a name of its own.

    `latest` points at the newest by a relative path, so that the reports can be moved as a whole.
    """
    first = _newest(tmp_path / "before")
    assert first.parent == tmp_path / "before" / "default"
    assert re.fullmatch(r"\d{8}T\d{6}Z", first.name)
    assert (first.parent / "latest").resolve() == first

    (tmp_path / "before").rename(tmp_path / "after")
    latest = tmp_path / "after" / "default" / "latest"
    assert (latest / "logs").is_dir()
    second = _newest(tmp_path / "after")
    assert first.name < second.name
    assert latest.resolve() == second
    assert sorted(path.name for path in second.parent.iterdir()) == sorted(
        [first.name, second.name, "latest"]
    )


def test_a_link_that_a_crash_left_is_in_nobodys_way(tmp_path: Path) -> None:
    """A process with the same number, in a container nearly always, makes its own."""
    folder = new_report_folder(tmp_path, "default")
    (folder.parent / f".latest-{os.getpid()}").symlink_to("of another run")
    point_latest_at(folder)
    assert (folder.parent / "latest").resolve() == folder
    assert not list(folder.parent.glob(".latest-*"))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """The message names the folder and the option by which to choose another."""
    (tmp_path / "reports").touch()
    with pytest.raises(RecordingError, match="reports") as caught:
        new_report_folder(tmp_path / "reports", "default")
    assert "--reports" in caught.value.remedy


def test_the_plan_lies_in_it_from_the_beginning(tmp_path: Path) -> None:
    """scenario.toml is the file as it was read; plan.json is what is run, after every override."""
    plan, sources = make_plan(PROJECT, "default", Overrides(users=3, only=("plain",)))
    write_plan(tmp_path, plan, sources)
    assert (tmp_path / "scenario.toml").read_text(encoding="utf-8") == sources.scenario_text
    text = (tmp_path / "plan.json").read_text(encoding="utf-8")
    assert Plan.model_validate_json(text, strict=False) == plan
    assert plan.scenario.load.users == 3
    assert str(PROJECT.root) not in text, "a plan must be readable on another machine"
