"""Arms that are more than variables: what a plan makes of their keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.plans import TARGET, arms_of, scenario
from tests.unit.shell import assert_answers_a_mistake, brokenpipe

from brokenpipe.errors import ScenarioError, UsageError
from brokenpipe.faults.any_fault import RECORDED
from brokenpipe.plan.arms import ArmSettings
from brokenpipe.plan.plan import Overrides, Plan, make_plan, sources_of
from brokenpipe.plan.project import Project
from brokenpipe.plan.secrets.passed_variables import passed_names
from brokenpipe.plan.secrets.redacted_plan import redacted_plan, redacted_toml
from brokenpipe.plan.secrets.restored_plan import restore_secrets

SCENARIO = """
title = "Two services"
question = "Which of them answers?"
target = "one"
control = "first"

[arms]
first = {}
second = { target = "two", POOL = "asyncpg" }

[[phases]]
name = "steady"
seconds = 2
"""
ONE = """
command = ["{python}", "one.py", "{port}"]
ready = "/ready"
dsn_env = "DSN"
dsn = "postgresql://{host}:{port}"
pass_env = ["OF_ONE"]
ledger = "SELECT key, 1 FROM notes"
"""
TWO = """
command = ["{python}", "two.py", "{port}"]
ready = "/up"
dsn_env = "DATABASE_URL"
dsn = "host={host} port={port}"
pass_env = ["OF_TWO"]
witness = false
env = { API_KEY = "hunter2" }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the scenario `it` and two targets."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "it.toml").write_text(SCENARIO)
    (tmp_path / "scenarios" / "locustfile.py").touch()
    for name, text in (("one", ONE), ("two", TWO)):
        (tmp_path / "targets" / name).mkdir(parents=True)
        (tmp_path / "targets" / name / "target.toml").write_text(text)
    return tmp_path


@pytest.fixture
def rewritten(project: Path) -> Callable[..., None]:
    """Replaces text in the scenario."""

    def rewrite(*changes: tuple[str, str]) -> None:
        path = project / "scenarios" / "it.toml"
        for old, new in changes:
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))

    return rewrite


def _plan(project: Path, **overrides: Any) -> Plan:
    return make_plan(Project(project), "it", Overrides(**overrides))[0]


def test_each_arm_has_its_own_target(project: Path) -> None:
    """Command, readiness, address, witness and passed variables are those of the arm's own target.toml."""
    plan = _plan(project)
    assert plan.target_of("first") == plan.target
    assert plan.target_of("second").ready == "/up"
    assert [plan.target_of(arm).witness for arm in plan.scenario.arms] == [True, False]
    assert [passed_names(plan, arm) for arm in plan.scenario.arms] == [("OF_ONE",), ("OF_TWO",)]
    assert plan.scenario.variables_of("second") == {"POOL": "asyncpg"}
    assert plan.arms_with_ledger == ("first",)


def test_a_plan_is_read_back_as_it_was_written(project: Path) -> None:
    """plan.json has the other targets, as the scenario file has the arms."""
    plan = _plan(project)
    written = plan.model_dump(mode="json")
    assert written["scenario"]["arms"] == {"first": {}, "second": {"target": "two", "POOL": "asyncpg"}}
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_an_old_plan_has_one_target(project: Path) -> None:
    """Without `other_targets` every arm has the target of the scenario; variables may be in lower case."""
    arm = {"http_proxy": "", "POOL": "x"}
    with pytest.raises(ValueError, match="unknown key"):
        ArmSettings.model_validate(arm)
    assert ArmSettings.model_validate(arm, context={RECORDED: frozenset()}).variables == arm
    plan = Plan(stem="old", scenario=scenario({"name": "steady", "seconds": 4}), target=TARGET)
    assert plan.target_of("pre_ping") == TARGET
    assert set(plan.targets) == {"agent"}


def test_secrets_of_each_target_are_redacted_and_restored(project: Path) -> None:
    """A target of one arm has secrets like that of the scenario."""
    plan, sources = make_plan(Project(project), "it", Overrides())
    recorded = redacted_plan(plan)
    assert "hunter2" not in recorded.model_dump_json()
    again = sources_of(
        Project(project), sources.scenario_path, redacted_toml(sources.scenario_text), recorded
    )
    assert restore_secrets(recorded, again) == plan


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('POOL = "asyncpg"', 'DATABASE_URL = "x"', "arms.second.DATABASE_URL"),
        ("first = {}", 'first = { DSN = "x" }', "arms.first.DSN"),
        ("[arms]", '[env]\nDATABASE_URL = "x"\n[arms]', "env.DATABASE_URL"),
    ],
)
def test_the_dsn_of_an_arm_is_not_to_be_set(
    rewritten: Callable[..., None], project: Path, old: str, new: str, key: str
) -> None:
    """Each arm is checked for the variable of its own target."""
    rewritten((old, new))
    with pytest.raises(ScenarioError) as caught:
        _plan(project)
    assert [problem.key for problem in caught.value.problems] == [key]


def test_the_dsn_of_another_target_is_a_variable(rewritten: Callable[..., None], project: Path) -> None:
    """What one target names in dsn_env, another may use for something else."""
    rewritten(('POOL = "asyncpg"', 'DSN = "x"'))
    assert _plan(project).scenario.variables_of("second") == {"DSN": "x"}
    for name in ("DSN", "DATABASE_URL"):
        with pytest.raises(UsageError, match=f"--env {name}"):
            _plan(project, env={name: "x"})


def test_a_ledger_is_asked_for_where_there_is_one(rewritten: Callable[..., None], project: Path) -> None:
    """An expectation of writes names an arm whose target has a ledger, or is refused with that target.toml."""
    expect = '\n[[expect]]\narm = "first"\nphase = "steady"\nmetric = "lost"\nequals = 0\n'
    rewritten(("seconds = 2\n", f"seconds = 2\n{expect}"))
    assert _plan(project).scenario.expect[0].arm == "first"
    rewritten(('arm = "first"', 'arm = "*"'))
    with pytest.raises(ScenarioError) as caught:
        _plan(project)
    assert "targets/two/target.toml has none" in caught.value.problems[0].allowed


def test_only_the_other_target(project: Path) -> None:
    """With --only the arms that are left have their targets, and the others need none."""
    plan = _plan(project, only=("second",))
    assert set(plan.targets) == {"two"}
    assert not plan.arms_with_ledger


def test_the_forecast_names_the_target_of_an_arm(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything starts: which arm runs what."""
    monkeypatch.chdir(project)
    assert "arm second: target two POOL=asyncpg\n" in brokenpipe("run", "it", "--dry-run").out


def test_packages_and_interpreter_of_an_arm(rewritten: Callable[..., None], project: Path) -> None:
    """They are in the plan as in the file, and a container cannot have them."""
    (project / "python").touch()
    rewritten(("first = {}", 'first = { with = ["a==1"], python = "python" }'))
    first = _plan(project).scenario.arms["first"]
    assert (first.packages, first.python) == (("a==1",), "python")
    assert first.described == ("with a==1", "python python")
    assert first.model_dump() == {"with": ("a==1",), "python": "python"}
    with pytest.raises(UsageError, match=r"--stack compose: arms\.first\.with is for child processes"):
        _plan(project, stack="compose")
    assert _plan(project, stack="compose", only=("second",)).stack == "compose"


def test_a_pgbouncer_of_an_arm_is_laid_over_that_of_all(
    rewritten: Callable[..., None], project: Path
) -> None:
    """What an arm does not set is as in [pgbouncer]; without that, only this arm has one."""
    rewritten(("first = {}", 'first = { pgbouncer = { pool_mode = "session", default_pool_size = 3 } }'))
    alone = _plan(project).scenario
    assert alone.pgbouncer_of("second") is None
    assert alone.arms["first"].described == ('pgbouncer pool_mode = "session", default_pool_size = 3',)
    rewritten(
        ("[arms]", '[pgbouncer]\npool_mode = "transaction"\nmax_client_conn = 40\n[arms]'),
        ('pool_mode = "session", default', "default"),
    )
    plan = _plan(project)
    first, second = (plan.scenario.pgbouncer_of(arm) for arm in ("first", "second"))
    assert first is not None
    assert second is not None
    assert (first.pool_mode, first.default_pool_size, first.max_client_conn) == ("transaction", 3, 40)
    assert (second.default_pool_size, second.max_client_conn) == (20, 40)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    with pytest.raises(UsageError, match=r"arms\.first\.pgbouncer is for child processes"):
        _plan(project, stack="compose")


def test_a_run_is_finished_with_the_versions_that_it_began_with() -> None:
    """A requirement that leaves a choice is pinned to what was installed; a folder stays what it is."""
    arms = {"plain": {"with": ["a>=1", "B[x]", "../c", "d==4"]}, "other": {}}
    made = scenario({"name": "steady", "seconds": 4}).model_copy(update={"arms": arms_of(arms)})
    plan = Plan(stem="it", scenario=made, target=TARGET)
    again = plan.with_versions({"plain": {"a": "1.5", "b": "2", "c": "3"}})
    assert again.scenario.arms["plain"].packages == ("a==1.5", "B[x]==2", "../c", "d==4")
    assert plan.with_versions({}) == plan


def test_a_broken_target_of_an_arm_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the other target.toml is told as one in the scenario's own is."""
    (project / "targets" / "two" / "target.toml").write_text(TWO.replace("/up", "up"))
    monkeypatch.chdir(project)
    answer = brokenpipe("run", "it", "--dry-run")
    assert_answers_a_mistake(answer)
    assert "targets/two/target.toml" in answer.said


def test_arms_that_differ_in_their_target_are_no_equal_ones() -> None:
    """What compares settings takes the whole arm."""
    one, other = (ArmSettings.model_validate(own) for own in ({"A": "1"}, {"A": "1", "target": "two"}))
    assert one != other
    assert one == ArmSettings.model_validate({"A": "1"})
