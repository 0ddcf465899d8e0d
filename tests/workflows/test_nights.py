"""Nights, played for real: the steps of nightly.yml by the shell, with a soak of seconds instead of half an hour.

Three of them: the first becomes the baseline, the second changes nothing, in the third somebody has removed pre-ping.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.stack.runs import write_scenario
from tests.workflows.steps import REPOSITORY, Done, carry_out, script

from brokenpipe.history.validity_codes import Code

NIGHTLY = "nightly.yml"
PRE_PING = 'pre_ping = { DB_POOL_PRE_PING = "true" }'
BUSY = {Code.MACHINE_SATURATED, Code.GENERATOR_STARVED, Code.GENERATOR_SATURATED, Code.BASELINE_IN_DOUBT}
PHASE = """
[[phases]]
name = "idle"
fault = { name = "idle_reset", after_ms = 300 }
episodes = 12
quiet_s = 0.5
burst_s = 0.6

[regression]
rate_matters = 0.2 # few requests an episode, so that a night takes seconds

[[expect]]
arm = "plain"
phase = "idle"
metric = "refused"
equals = 0
"""


@dataclass
class Night:
    """What came of one, and its summary."""

    done: Done
    summary: dict[str, Any]

    def assert_decided(self, code: int) -> None:
        """It exits so; or it is unknown, because this machine, or the baseline's, was too busy to trust."""
        doubts = {warning["code"] for warning in self.summary["warnings"] if warning["unknown"]}
        busy = bool(doubts & BUSY)
        assert busy or not doubts, self.done.said
        assert self.done.code == (3 if busy else code), self.done.said

    @property
    def worse(self) -> set[tuple[str, str]]:
        """What has risen by more than chance, whatever else is in doubt."""
        held = [check for check in self.summary["checks"] if check["against"]]
        assert held, self.done.said
        return {
            (check["arm"], check["metric"])
            for check in held
            if check["against"]["p"] is not None and check["against"]["p"] <= 0.05
        }


@dataclass
class Nights:
    """A checkout in which nightly.yml runs, and what came of its steps."""

    root: Path

    def __post_init__(self) -> None:
        for name in (".venv", "targets", "proxies"):
            (self.root / name).symlink_to(REPOSITORY / name)
        (self.root / "scenarios").mkdir()
        self.play_with(PRE_PING)

    @property
    def env(self) -> dict[str, str]:
        """As the file's `env:` would be: nothing typed but the scenario and how long."""
        return {
            "SCENARIO": "small", "DURATION": "17s", "USERS": "", "SEED": "7", "NEW_BASELINE": "false",
            "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(self.root / "summary"), "PYTHONPATH": "",
        }  # fmt: skip

    def play_with(self, arm: str) -> None:
        locustfile = REPOSITORY / "scenarios" / "locustfile.py"
        arms = f"plain = {{}}\n{arm}"
        write_scenario(
            self.root / "scenarios" / "small.toml",
            PHASE,
            target="agent",
            locustfile=locustfile,
            arms=arms,
            users=3,
        )

    def step(self, name: str, **env: str) -> Done:
        return carry_out(script(NIGHTLY, name), self.root, {**self.env, **env})

    def soak(self, **env: str) -> Night:
        """One night."""
        done = self.step("Soak", **env)
        latest = self.root / "nights/reports/small/latest/summary.json"
        assert latest.is_file(), done.said
        return Night(done, json.loads(latest.read_text()))


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    return Nights(tmp_path_factory.mktemp("nights"))


@pytest.mark.timeout(600)
def test_three_nights(nights: Nights) -> None:
    """A good night becomes the baseline; the same again passes; without pre-ping the gate fails and says where."""
    nights.soak().assert_decided(0)
    assert nights.step("The first good night is the baseline").code == 0
    baseline = sorted(path.name for path in (nights.root / "nights/baseline").iterdir())
    assert {"episodes.json", "report.html", "summary.json"} <= set(baseline)
    assert not [name for name in baseline if name.endswith(".ndjson")]

    again = nights.soak(BROKENPIPE_HTML="no")  # nobody looks at its page
    again.assert_decided(0)
    assert again.worse == set()
    assert nights.step("The first good night is the baseline").code == 0  # and changes nothing
    assert sorted(path.name for path in (nights.root / "nights/baseline").iterdir()) == baseline

    nights.play_with("pre_ping = {}")
    worse = nights.soak()
    worse.assert_decided(1)
    assert ("pre_ping", "rise_of_broken_per_episode") in worse.worse
    assert re.search(
        r"^::(error|warning) title=small%3A \w+%2C idle%2C pre_ping::", worse.done.said, re.MULTILINE
    )

    kept_whatever_happened(nights)


def kept_whatever_happened(nights: Nights) -> None:
    """After the failed night: its report, the page of the trend, and small nights for the next one."""
    assert nights.step("Trend").code == 0
    assert nights.step("What to keep of this night").code == 0
    assert nights.step("Histories stay with their night; sixty nights make the trend").code == 0
    night = nights.root / "night"
    assert (night / "trend.html").is_file()
    assert {"report.html", "junit.xml", "requests.ndjson"} <= {
        path.name for path in (night / "latest").iterdir()
    }
    assert not list((nights.root / "nights").rglob("*.ndjson"))
    assert len(list((nights.root / "nights/reports/small").glob("2*/summary.json"))) >= 3
    assert (nights.root / "summary").read_text().count("\n### Checks") >= 3


def test_a_night_that_never_began_hands_on_what_there_was(tmp_path: Path) -> None:
    """Without a report there is nothing to keep, and no step of ours fails for that; a typed script stays text.

    Asked for a new baseline, it has forgotten the old one before it began.
    """
    nights = Nights(tmp_path)
    (tmp_path / "nights/baseline").mkdir(parents=True)
    done = nights.step("Soak", SCENARIO='small"; touch pwned; "', USERS="$(touch pwned)", NEW_BASELINE="true")
    assert done.code == 2, done.said
    assert not (tmp_path / "pwned").exists()
    assert not (tmp_path / "nights/baseline").exists()
    for name in (
        "What to keep of this night",
        "Histories stay with their night; sixty nights make the trend",
    ):
        assert nights.step(name).code == 0


def test_sixty_nights_are_kept(tmp_path: Path) -> None:
    """The oldest go first."""
    nights = Nights(tmp_path)
    for day in range(70):
        (tmp_path / f"nights/reports/small/202601{day:02}T020000Z").mkdir(parents=True)
    assert nights.step("Histories stay with their night; sixty nights make the trend").code == 0
    left = sorted(path.name for path in (tmp_path / "nights/reports/small").iterdir())
    assert (len(left), left[0]) == (60, "20260110T020000Z")
