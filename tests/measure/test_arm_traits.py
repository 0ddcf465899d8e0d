"""In what arms differ besides their variables, as it was recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.measure.recorded import Recorded
from tests.unit.plans import STEADY, arms_of, scenario

from brokenpipe.measure.compare.config_differences import config_differences
from brokenpipe.measure.compare.loaded_run import read_run
from brokenpipe.measure.model.findings import Findings
from brokenpipe.report.ci.arm_summary import arm_summary
from brokenpipe.report.run.table import arm_rows

OLD = {"with": ["asyncpg==0.31.0"]}
NEW_PACKAGES = {"asyncpg": "0.32.0", "sqlalchemy": "2.1.9"}


def _installed(*, python: str = "3.11.7", **packages: str) -> dict[str, object]:
    return {"python": python, "packages": {**NEW_PACKAGES, **packages}}


def _folder(folder: Path, arms: Mapping[str, Any], installed: Mapping[str, object] | None) -> Path:
    """A run of these arms, of which that was recorded."""
    made = scenario(STEADY, arms=tuple(arms)).model_copy(update={"arms": arms_of(arms)})
    with Recorded(folder, made) as run:
        run.probe()
        run.phase("steady", [(0, 2, None), (2, 4, None)])
        for arm in arms:
            run.request(arm, 1.0, 20.0)
        run.finish()
    path = folder / "environment.json"
    document = json.loads(path.read_text()) | ({"arms": installed} if installed else {})
    path.write_text(json.dumps(document))
    return folder


def _found(folder: Path, arms: Mapping[str, Any], installed: Mapping[str, object] | None) -> Findings:
    return read_run(_folder(folder, arms, installed)).findings


def test_a_report_names_the_packages_that_differ(tmp_path: Path) -> None:
    """By what was installed: in a note, in the table of arms, and in summary.json."""
    found = _found(
        tmp_path, {"plain": {}, "old": OLD}, {"plain": _installed(), "old": _installed(asyncpg="0.31.0")}
    )
    assert found.traits == {"plain": {"asyncpg": "0.32.0"}, "old": {"asyncpg": "0.31.0"}}
    assert "Arms differ in asyncpg: 0.32.0 in plain, 0.31.0 in old." in found.notes
    assert [row.settings for row in arm_rows(found)] == [(("asyncpg", "0.32.0"),), (("asyncpg", "0.31.0"),)]
    assert arm_summary(found, "old")["differs_in"] == {"asyncpg": "0.31.0"}


def test_what_was_there_anyway_is_no_difference(tmp_path: Path) -> None:
    """An arm that asks for the version which the other has, too, differs in nothing."""
    found = _found(tmp_path, {"plain": {}, "old": OLD}, {"plain": _installed(), "old": _installed()})
    assert found.traits == {"plain": {}, "old": {}}
    assert not [note for note in found.notes if note.startswith("Arms differ")]


def test_what_was_asked_for_is_not_what_was_installed(tmp_path: Path) -> None:
    """Where nothing was recorded, as of a run that ended before, that is said."""
    found = _found(tmp_path, {"plain": {}, "old": OLD}, None)
    assert found.traits["plain"] == {}
    assert found.traits["old"] == {"with": "asyncpg==0.31.0, and what was installed is not recorded"}


def test_target_interpreter_and_pgbouncer(tmp_path: Path) -> None:
    """They are in the plan, and the interpreter's version in the environment."""
    arms = {"plain": {"N": "1"}, "other": {"target": "flask", "pgbouncer": {"pool_mode": "session"}}}
    found = _found(tmp_path, arms, {"plain": _installed(), "other": _installed(python="3.12.1")})
    assert found.traits == {
        "plain": {"target": "agent", "Python": "3.11.7", "PgBouncer": "none"},
        "other": {"target": "flask", "Python": "3.12.1", "PgBouncer": 'pool_mode = "session"'},
    }
    assert found.pool_modes == {"other": "session"}


def test_a_hundred_packages_are_counted(tmp_path: Path) -> None:
    """Those that the scenario names come first; of another interpreter's the rest is a number."""
    more = {f"a{n}": "1" for n in range(30)}
    old = _installed(asyncpg="0.31.0")
    found = _found(tmp_path, {"plain": {}, "old": OLD}, {"plain": _installed(**more), "old": old})
    assert next(iter(found.traits["old"].items())) == ("asyncpg", "0.31.0")
    assert found.traits["old"]["a0"] == "not installed"
    assert found.traits["old"]["others"] == "19 packages of other versions"


def test_arms_that_differ_in_variables_alone(tmp_path: Path) -> None:
    """Nothing is recorded of them, and nothing is said."""
    found = _found(tmp_path, {"plain": {}, "old": {"N": "1"}}, None)
    assert found.traits == {"plain": {}, "old": {}}


def test_two_runs_with_other_packages(tmp_path: Path) -> None:
    """A comparison names the version of each arm in each run, and what the scenarios asked for."""
    older = {"with": ["asyncpg==0.30.0"]}
    runs = [
        read_run(_folder(tmp_path / name, {"plain": {}, "old": asked}, {"plain": _installed(), "old": had}))
        for name, asked, had in (
            ("one", OLD, _installed(asyncpg="0.31.0")),
            ("two", older, _installed(asyncpg="0.30.0")),
        )
    ]
    found = {each.setting: each.values for each in config_differences(runs)}
    assert found["asyncpg of old"] == ("0.31.0", "0.30.0")
    assert found["arms.old.with"] == ("asyncpg==0.31.0", "asyncpg==0.30.0")
    assert "sqlalchemy of old" not in found
    assert "asyncpg of plain" not in found


def test_a_run_without_packages_against_one_with(tmp_path: Path) -> None:
    """Only what differs within a run is held against what is not recorded of the other."""
    installed = {"plain": _installed(), "old": _installed(asyncpg="0.31.0")}
    runs = [
        read_run(_folder(tmp_path / "with", {"plain": {}, "old": OLD}, installed)),
        read_run(_folder(tmp_path / "without", {"plain": {}, "old": {}}, None)),
    ]
    found = {each.setting: each.values for each in config_differences(runs)}
    assert found["asyncpg of old"] == ("0.31.0", "not recorded")
    assert "sqlalchemy of old" not in found
