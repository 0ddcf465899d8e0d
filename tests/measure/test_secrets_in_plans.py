"""Secrets in scenarios, targets and command lines: what is kept of them, and how a resumed run gets them again."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from tests.measure.recorded import Recorded
from tests.unit.plans import STEADY, TARGET, arms_of, scenario
from tests.unit.shell import Answer, assert_answers_a_mistake, brokenpipe

from brokenpipe.commands.options import parse_variables
from brokenpipe.errors import UsageError
from brokenpipe.measure.compare.config_differences import config_differences
from brokenpipe.measure.compare.loaded_run import read_run
from brokenpipe.measure.run_metadata import recorded_plan
from brokenpipe.plan.plan import Overrides, Plan, Sources, apply_overrides, make_plan
from brokenpipe.plan.project import Project
from brokenpipe.plan.secrets.passed_variables import passed_variables
from brokenpipe.plan.secrets.redacted_plan import redacted_plan, redacted_toml
from brokenpipe.plan.secrets.restored_plan import restore_secrets
from brokenpipe.redaction import REDACTED
from brokenpipe.stack.containers.compose_file import ComposeLayout, NetworkAddresses, SecretFiles
from brokenpipe.stack.target_environment import target_environment

FILE = """
title = "Mine"
question = "Does it hold?"
target = "mine"
control = "one"
[env]
API_KEY = "hunter2"
[arms]
one = { DB_PASSWORD = "hunter3" }
two = { DB_PASSWORD = "hunter4" }
[[phases]]
name = "steady"
seconds = 2
"""
TARGET_FILE = """
command = ["{python}", "service.py", "{port}"]
ready = "/"
dsn_env = "DSN"
dsn = "{host}:{port}"
[env]
TOKEN = "hunter5"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one scenario and one target, in which commands are typed."""
    (tmp_path / "targets" / "mine").mkdir(parents=True)
    (tmp_path / "targets" / "mine" / "target.toml").write_text(TARGET_FILE)
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "locustfile.py").touch()
    (tmp_path / "scenarios" / "it.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    for name in ("API_KEY", "DB_PASSWORD", "TOKEN", "REGION"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def _plan(arms: Mapping[str, Mapping[str, str]], **changes: object) -> Plan:
    made = scenario(STEADY).model_copy(update={"arms": arms_of(arms), **changes})
    return Plan(stem="mine", scenario=made, target=TARGET)


@pytest.mark.parametrize(
    "text",
    [
        '[env]\nAPI_KEY = "hunter2" # the key',
        "[env]\nAPI_KEY = 'hunter2'",
        '[env]\n"API_KEY" = "hunter2"',
        'env.API_KEY = "hunter2"',
        'env = { N = "1", API_KEY="hunter2" }',
        "[arms.one]\nAPI_KEY = '''\nhunter2\nhunter2'''",
        '[env]\nAPI_KEY = """\nhunter2 \\"x\\" hunter2"""',
        '[env]\nDB = "postgresql://me:hunter2@db/x"',
        '[env]\nDB = "host=db password=hunter2"',
        '[env]\nN = "1"\n# API_KEY = "hunter2"',
        '[env]\nAPI_KEY = "\\u0068unter2" # hunter2',
        '[env]\nAPI_KEY = "hunter2"\n[arms]\none = { N = "hunter2" }',
    ],
)
def test_a_copy_of_a_file_without_secrets(text: str) -> None:
    """However it is written. What is copied can be read, says that something was taken out, and is not cut twice."""
    cut = redacted_toml(text)
    assert "hunter2" not in cut
    assert cut.startswith("# ")
    tomllib.loads(cut)
    assert redacted_toml(cut) == cut


def test_a_file_without_secrets_is_copied_as_it_is() -> None:
    """To the last byte, its comments too."""
    plain = FILE.replace("hunter2", "").replace('"hunter3"', '""').replace('"hunter4"', '""')
    assert redacted_toml(plain) == plain


def test_a_plan_is_written_without_secrets() -> None:
    """Arms that differ in nothing else still differ; the address that a target is given is no secret."""
    plan = _plan(
        env={"API_KEY": "hunter2", "N": "1"},
        arms={"one": {"DB_PASSWORD": "hunter3"}, "two": {"DB_PASSWORD": "hunter4"}},
    )
    written = redacted_plan(plan)
    assert "hunter" not in written.model_dump_json()
    assert written.scenario.env == {"API_KEY": REDACTED, "N": "1"}
    assert written.scenario.arms["one"] != written.scenario.arms["two"]
    assert written.target == plan.target
    assert redacted_plan(written) == written


def test_a_folder_of_before_is_read_without_secrets(tmp_path: Path) -> None:
    """Versions that wrote them down are over, and their folders are still there."""
    with Recorded(tmp_path, scenario(STEADY).model_copy(update={"env": {"API_KEY": "hunter2"}})) as run:
        run.finish()
    assert "hunter2" in (tmp_path / "plan.json").read_text()
    assert recorded_plan(tmp_path).scenario.env == {"API_KEY": REDACTED}


def test_what_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's value goes to every arm that does not set its own; without one, the variables are named."""
    monkeypatch.setenv("API_KEY", "hunter2")
    monkeypatch.delenv("REGION", raising=False)
    plan = _plan(pass_env=("API_KEY",), arms={"one": {}, "two": {"API_KEY": ""}})
    assert passed_variables(plan, "one") == {"API_KEY": "hunter2"}
    assert passed_variables(plan, "two") == {}
    with pytest.raises(UsageError, match="REGION is to be passed on to the service, and is not set here"):
        passed_variables(_plan(pass_env=("API_KEY", "REGION"), arms={"one": {}}), "one")


def test_variables_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that is typed is passed on, so that no other command line and no plan has it; the last one counts."""
    monkeypatch.setenv("REGION", "here")
    monkeypatch.setenv("API_KEY", "mine")  # and is put back
    chosen = parse_variables(["N=1", "API_KEY=hunter2", "REGION", "N=2"])
    assert (chosen.given, chosen.passed) == ({"N": "2"}, ("API_KEY", "REGION"))
    assert chosen.options == ["--env=N=2", "--env=API_KEY", "--env=REGION"]
    assert passed_variables(_plan(pass_env=chosen.passed, arms={"one": {}}), "one")["API_KEY"] == "hunter2"


def test_the_command_line_overrules_the_file() -> None:
    """Given or passed: what `--env` says of a variable takes the place of what the file says."""
    made = scenario(STEADY).model_copy(update={"env": {"A": "1", "B": "1"}, "pass_env": ("C", "D")})
    found = apply_overrides(made, Overrides(env={"C": "2"}, pass_env=("A",)))
    assert (found.env, found.pass_env) == ({"B": "1", "C": "2"}, ("D", "A"))


def test_a_copy_is_no_scenario(project: Path) -> None:
    """Who plays the copy of a report folder is told what is missing in it, and the service is not given a mark."""
    (project / "scenarios" / "copy.toml").write_text(redacted_toml(FILE))
    answer = brokenpipe("run", "copy", "--dry-run")
    assert_answers_a_mistake(answer)
    assert "env.API_KEY: its secret was taken out" in answer.said
    assert "arms.two.DB_PASSWORD" in answer.said


def test_the_forecast_names_what_is_passed_on(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is set here, and no value; a mistake in the file is quoted without it, too."""
    text = FILE.replace("[env]", 'pass_env = ["REGION"]\n[env]')
    (project / "scenarios" / "it.toml").write_text(text)
    said = brokenpipe("run", "it", "--dry-run").out
    assert "passed on: REGION, which is not set here" in said
    assert "hunter" not in said
    (project / "scenarios" / "it.toml").write_text(text.replace('"hunter2"', "4711"))
    answer = brokenpipe("run", "it", "--dry-run")
    assert "env.API_KEY" in answer.said
    assert "4711" not in answer.err


@pytest.mark.parametrize("command", ["run", "soak", "up"])
def test_nothing_is_started_without_what_is_passed_on(project: Path, command: str) -> None:
    """The message names the variable and what to do; no report folder is made."""
    (project / "scenarios" / "it.toml").write_text(FILE.replace("[env]", 'pass_env = ["REGION"]\n[env]'))
    answer: Answer = brokenpipe(command, "it")
    assert_answers_a_mistake(answer)
    assert "export REGION=" in answer.said
    assert not (project / "reports").exists()


@pytest.fixture
def resumed(project: Path) -> Callable[[], Plan]:
    """The recorded plan of the scenario in the project, with its secrets again."""
    file, target = project / "scenarios" / "it.toml", project / "targets" / "mine"
    recorded = redacted_plan(make_plan(Project(project), "it", Overrides())[0])
    return lambda: restore_secrets(recorded, Sources(file, redacted_toml(FILE), target, file))


def test_secrets_come_back_from_the_files(resumed: Callable[[], Plan], project: Path) -> None:
    """As long as the scenario file says what it said, each arm gets its own again; so does the target."""
    found = resumed()
    assert found.scenario.env == {"API_KEY": "hunter2"}
    assert [arm.variables["DB_PASSWORD"] for arm in found.scenario.arms.values()] == ["hunter3", "hunter4"]
    assert found.target.env == {"TOKEN": "hunter5"}
    assert redacted_plan(found) == redacted_plan(resumed())


def test_secrets_come_back_from_the_environment(
    resumed: Callable[[], Plan], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file that has changed nothing is taken; what would have to be set is named."""
    file = project / "scenarios" / "it.toml"
    file.write_text(FILE.replace('"hunter2"', '"hunter9"').replace("seconds = 2", "seconds = 4"))
    with pytest.raises(UsageError, match="API_KEY, DB_PASSWORD: a report holds no secrets"):
        resumed()
    monkeypatch.setenv("API_KEY", "hunter2")
    monkeypatch.setenv("DB_PASSWORD", "hunter3")
    with pytest.raises(UsageError, match=r"^DB_PASSWORD: a report holds no secrets"):
        resumed()  # two arms had different ones
    file.unlink()
    with pytest.raises(UsageError, match=r"^DB_PASSWORD"):
        resumed()


def test_what_differs_between_two_runs_may_be_a_secret(tmp_path: Path) -> None:
    """No run wrote it down, so nobody can say that it was the same: it stands among what differs, as not recorded."""
    runs = []
    for n in (1, 2):
        env = {"API_KEY": f"hunter{n}", "N": "1"}
        plan = scenario(STEADY).model_copy(update={"env": env, "pass_env": ("REGION",)})
        with Recorded(tmp_path / str(n), plan) as run:
            run.phase("steady", [(0, 2, None), (2, 4, None)])
            run.finish()
        runs.append(read_run(run.folder))
    found = {each.setting: each.values for each in config_differences(runs) if each.group == "settings"}
    assert found == dict.fromkeys(("env.API_KEY", "value of REGION"), ("not recorded", "not recorded"))


def test_a_compose_file_holds_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It names them, for each arm its own; compose finds their values in its environment, to the last sign."""
    monkeypatch.setenv("REGION", "hunter$5")
    arms = {"one": {"DB_PASSWORD": "hunter3$x"}, "two": {"DB_PASSWORD": "hunter4", "N": "$1"}}
    plan = _plan(env={"URL": "http://me:hunter2@x/"}, arms=arms, pass_env=("REGION",))
    layout = ComposeLayout(
        plan=plan, project="p", services_file=tmp_path, addresses=NetworkAddresses(IPv4Network("198.18.7.0/24")),
        secrets=SecretFiles(tmp_path), labels={}, report=tmp_path, links=tmp_path, witness=tmp_path,
        target_folders=dict.fromkeys(arms, tmp_path),
        environments={arm: target_environment(plan, arm, tmp_path, 1, None) for arm in arms},
        max_connections=9, certificates=None,
    )  # fmt: skip
    written = json.dumps(layout.document())
    assert "hunter" not in written
    given = layout.secret_variables()
    assert set(given.values()) == {"hunter$5", "hunter3$x", "hunter4", "http://me:hunter2@x/"}
    assert all(f"${{{name}}}" in written for name in given)
    assert "$$1" in written
    assert layout.secrets_of("two")[0] in {"hunter%245", "hunter$5"}
