"""The workflows as they stand: what actionlint says of them, and what an attacker or a lost night would look for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.workflows.actionlint import built_actionlint
from tests.workflows.steps import REPOSITORY, WORKFLOWS, carry_out, script, steps, workflow

NAMES = sorted(path.name for path in WORKFLOWS.glob("*.yml"))
INSTALL = "What a bare Debian lacks"


@pytest.fixture(scope="session")
def actionlint() -> Path:
    """The program; where it cannot be built, the reason why not."""
    try:
        return built_actionlint()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"actionlint cannot be built here: {error.stdout[-300:]}")


def _lint(actionlint: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    # Other linters that happen to be on PATH would make it say more on one machine than on another.
    return subprocess.run(
        [actionlint, "-shellcheck=", "-pyflakes=", "-no-color", *paths],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_actionlint_finds_nothing(actionlint: Path) -> None:
    """Syntax, keys, expressions, contexts and the inputs of known actions are right in every workflow."""
    assert NAMES == ["ci.yml", "nightly.yml"]
    done = _lint(actionlint, *(WORKFLOWS / name for name in NAMES))
    assert (done.returncode, done.stdout) == (0, "")


def test_actionlint_would_find_something(actionlint: Path, tmp_path: Path) -> None:
    """An input that is not declared, used in our own nightly, is found: so the test above can fail."""
    text = (WORKFLOWS / "nightly.yml").read_text().replace("inputs.users", "inputs.user")
    (tmp_path / "nightly.yml").write_text(text)
    done = _lint(actionlint, tmp_path / "nightly.yml")
    assert done.returncode == 1
    assert 'property "user" is not defined' in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_people_type_becomes_a_script(name: str) -> None:
    """Expressions reach a shell as environment variables only: text of a script is never put together from them."""
    assert not [step["name"] for step in steps(name) if "${{" in step.get("run", "")]


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_may_only_read_and_has_an_end(name: str) -> None:
    """Least permissions, no credentials left in the checkout, a time limit, and no two at once."""
    found = workflow(name)
    assert found["permissions"] == {"contents": "read"}
    assert found["concurrency"]["group"]
    assert found["defaults"]["run"]["shell"] == "bash"
    for job in found["jobs"].values():
        assert "permissions" not in job
        assert 0 < job["timeout-minutes"] <= 150
    (checkout,) = (step for step in steps(name) if step.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_is_kept_whatever_happened(name: str) -> None:
    """Artifacts and the trend are saved after a failure, a time-out and a cancellation, too."""
    savers = [
        step
        for step in steps(name)
        if re.match(r"actions/(upload-artifact|cache/save)@", step.get("uses", ""))
    ]
    assert savers
    assert all(step["if"] == "always()" for step in savers)


def test_the_night_can_be_asked_for_by_hand() -> None:
    """Every night by the clock, and by hand with a duration, users, a seed and a scenario."""
    on = workflow("nightly.yml")["on"]
    assert [set(each) for each in on["schedule"]] == [{"cron"}]
    assert {"scenario", "duration", "users", "seed"} <= set(on["workflow_dispatch"]["inputs"])


def test_the_trend_is_handed_from_night_to_night() -> None:
    """What is restored is what was saved: the same folder, and a key that begins alike and is new every night."""
    uses = {step["uses"].split("@")[0]: step["with"] for step in steps("nightly.yml") if "uses" in step}
    restored, saved = uses["actions/cache/restore"], uses["actions/cache/save"]
    assert restored["path"] == saved["path"]
    assert restored["key"] == saved["key"]
    assert saved["key"].startswith(restored["restore-keys"])
    assert "github.run_id" in saved["key"]


def test_debian_has_what_is_installed(tmp_path: Path) -> None:
    """Every package that both workflows install exists; installing is only simulated."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        pytest.skip("simulating an installation takes apt-get, and root for its lists")
    (text,) = {script(name, INSTALL) for name in NAMES}
    assert text.count("install -y") == 1
    done = carry_out(text.replace("install -y", "install --simulate"), tmp_path, {})
    assert done.code == 0, done.said


def test_ci_does_what_is_done_here() -> None:
    """CI runs .ci/run, and nothing else that could pass without it; the file is there and is a script."""
    assert script("ci.yml", "Lint, tests, the main job") == "bash .ci/run"
    assert subprocess.run(["bash", "-n", REPOSITORY / ".ci" / "run"], check=False).returncode == 0
