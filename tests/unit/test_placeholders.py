"""Placeholders in values of `env`: the words of a database's address are filled in, and nothing else is touched."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from tests.unit.plans import STEADY, arms_of, scenario

from brokenpipe.errors import ScenarioError, UsageError
from brokenpipe.plan import plan as plans
from brokenpipe.plan.placeholders import database_words_in, fill_database_words
from brokenpipe.plan.plan import Overrides, Plan
from brokenpipe.plan.secrets.redacted_plan import redacted_plan
from brokenpipe.plan.target import Target, parse_target
from brokenpipe.stack.containers.compose_file import env_file
from brokenpipe.stack.target_environment import address_variables, secret_names, settings_environment

WORDS = {
    "user": "arm_plain", "password": "s3cret-word", "host": "127.0.0.1", "port": "20001", "database": "arm_plain",
    "sslmode": "disable", "sslrootcert": "",
}  # fmt: skip
DJANGO = """
command = ["{python}", "manage.py", "runserver", "{host}:{port}"]
ready = { tcp = true }

[env]
DB_HOST = "{host}"
DB_PORT = "{port}"
DB_USER = "{user}"
DB_PW = "{password}"
DB_OPTIONS = '{"host": "{host}", "retries": {"max": 3}, "format": "{name}"}'
LOG_FORMAT = "{asctime} {message}"
"""


@pytest.fixture
def target(tmp_path: Path) -> Target:
    (tmp_path / "target.toml").write_text(DJANGO, encoding="utf-8")
    return parse_target(tmp_path)


def test_a_target_needs_no_dsn_if_its_variables_tell(target: Target) -> None:
    """Each variable gets its part of the address; JSON and formats of other programs survive."""
    assert address_variables(target, WORDS) == {
        "DB_HOST": "127.0.0.1",
        "DB_PORT": "20001",
        "DB_USER": "arm_plain",
        "DB_PW": "s3cret-word",
        "DB_OPTIONS": '{"host": "127.0.0.1", "retries": {"max": 3}, "format": "{name}"}',
    }
    plan = Plan(stem="x", scenario=scenario(STEADY), target=target)
    assert settings_environment(plan, "plain", None) == {"LOG_FORMAT": "{asctime} {message}"}


def test_a_value_is_filled_in_once() -> None:
    """What is filled in is no template itself; only the exact word in braces is a placeholder."""
    assert fill_database_words("{user} {host}", WORDS | {"user": "{host}"}) == "{host} 127.0.0.1"
    assert database_words_in("{{host}} { port } {user!r} {db}") == {"host"}
    assert json.loads(fill_database_words(json.dumps({"dsn": "{host}:{port}"}), WORDS)) == {
        "dsn": "127.0.0.1:20001"
    }


def test_a_password_is_a_secret_whatever_its_variable_is_called(target: Target) -> None:
    """The witness and the log of the service are told its variable, and a stored plan has the template alone."""
    plan = Plan(stem="x", scenario=scenario(STEADY), target=target)
    assert "DB_PW" in secret_names(plan, "plain")
    assert redacted_plan(plan).target.env["DB_HOST"] == "{host}"
    again = Plan.model_validate_json(redacted_plan(plan).model_dump_json())
    assert again.target.ready == target.ready


@pytest.mark.parametrize("where", ["env", "arm", "--env"])
def test_an_address_is_nobodys_to_change(target: Target, where: str) -> None:
    """Neither a scenario, an arm nor the command line gives a variable a value that target.toml sets to the proxy."""
    changed = scenario(STEADY)
    own, overrides = {"DB_HOST": "db.internal"}, Overrides()
    if where == "env":
        changed = changed.model_copy(update={"env": own})
    elif where == "arm":
        changed = changed.model_copy(update={"arms": arms_of({"plain": own, "pre_ping": {}})})
    else:
        overrides = Overrides(env=own)
    plan = Plan(stem="x", scenario=changed, target=target)
    with pytest.raises(UsageError if where == "--env" else ScenarioError) as refusal:
        plans._check_addresses(Path("x.toml"), plan, overrides)
    assert "DB_HOST" in f"{refusal.value.message} {refusal.value.details}"
    assert (
        "is set to the arm's proxy: leave it out here" in f"{refusal.value.message} {refusal.value.details}"
    )


def test_variables_of_a_container_are_quoted_where_compose_would_read_them() -> None:
    """A JSON value and a dollar sign reach the service as they are."""
    assert env_file({"A": "postgresql://u:p@198.18.0.3:20000/d", "B": '{"a": "$b"}'}) == (
        'A=postgresql://u:p@198.18.0.3:20000/d\nB=\'{"a": "$b"}\'\n'
    )


def test_the_good_target_has_a_schema_of_its_own() -> None:
    """What a target.toml may have is described for each key."""
    described = tomllib.loads(DJANGO)
    assert described.keys() <= Target.model_fields.keys()
