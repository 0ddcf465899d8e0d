"""A run that is given secrets in every way there is, interrupted and resumed: then every byte that it left is searched.

The service prints all its variables, as frameworks do when they fail, and notes elsewhere what it was given.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.stack.runs import REPOSITORY, Starter, eventually

SERVICE = '''
"""It has no database. It prints its variables and notes them for the test."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

print(json.dumps(dict(os.environ)), flush=True)
with Path(os.environ["NOTED"]).open("a") as file:
    file.write(json.dumps(dict(os.environ)) + "\\n")


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Answer).serve_forever()
'''
LOCUSTFILE = """
from locust import HttpUser, constant, task


class Reader(HttpUser):
    wait_time = constant(0.1)

    @task
    def ready(self):
        self.client.get("/ready")
"""
TARGET = """
command = ["{python}", "service.py", "{host}", "{port}"]
ready = "/ready"
dsn_env = "DATABASE_URL"
dsn = "postgresql://{user}:{password}@{host}:{port}/{database}"
witness = false
pass_env = ["OPENAI_API_KEY"]

[env]
LICENSE_KEY = "secret-of-the-target"
"""
SCENARIO = """
title = "Secrets"
question = "Where do they stand afterwards?"
target = "open"
control = "one"
pass_env = ["STRIPE_TOKEN", "REGION"]

[load]
locustfile = "locustfile.py"
users = 1

[env]
NOTED = "{noted}"
SESSION_SECRET = "secret of \\"env\\""  # SESSION_SECRET = "secret-of-the-comment"
CACHE_URL = "redis://me:secret-of-the-url@127.0.0.1/0"

[arms]
one = {{ DB_PASSWORD = 'secret-of-arm-one' }}
two = {{ DB_PASSWORD = 'secret-of-arm-two' }}

[[phases]]
name = "first"
seconds = 2

[[phases]]
name = "second"
seconds = 8

[[expect]]
arm = "two"
phase = "first"
metric = "requests_per_s"
at_most = 0.1
"""
PASSED = {
    "OPENAI_API_KEY": "secret-passed-by-the-target",
    "STRIPE_TOKEN": "secret-passed-by-the-scenario",
    "REGION": "secret-by-no-name-of-it",
    "ONLY_NAMED": "secret-named-on-the-command-line",
}
TYPED = {
    "ADMIN_PASSWORD": "secret-typed on the command line",
    "QUEUE": "amqp://me:secret-typed-in-a-url@127.0.0.1",
}
OF_FILES = {
    "LICENSE_KEY": "secret-of-the-target",
    "SESSION_SECRET": 'secret of "env"',
    "CACHE_URL": "redis://me:secret-of-the-url@127.0.0.1/0",
}
OF_ARMS = {"one": "secret-of-arm-one", "two": "secret-of-arm-two"}
SEARCHED = ("secret-", 'secret of "env"', 'secret of \\"env\\"')


@dataclass
class Played:
    """The run, its second part, and what was said in between."""

    folder: Path
    summary_page: Path
    noted: Path
    said: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    command_lines: set[str] = field(default_factory=set)

    @property
    def given(self) -> list[dict[str, str]]:
        """The variables of every service that was started."""
        return [json.loads(line) for line in self.noted.read_text().splitlines()]

    def json(self, file: str) -> Any:
        return json.loads((self.folder / file).read_text())


def _project(folder: Path) -> Path:
    (folder / "targets" / "open").mkdir(parents=True)
    (folder / "scenarios").mkdir()
    (folder / "proxies").symlink_to(REPOSITORY / "proxies")
    (folder / "targets" / "open" / "target.toml").write_text(TARGET)
    (folder / "targets" / "open" / "service.py").write_text(SERVICE)
    (folder / "scenarios" / "locustfile.py").write_text(LOCUSTFILE)
    (folder / "scenarios" / "open.toml").write_text(SCENARIO.format(noted=folder / "noted"))
    return folder


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Interrupted in its second phase, refused once, resumed and finished."""
    project = _project(tmp_path_factory.mktemp("secrets"))
    starter, page = Starter(tmp_path_factory.mktemp("run")), project / "page.md"
    told = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}
    typed = [f"--env={name}={value}" for name, value in TYPED.items()]
    reports = starter.folder / "reports"
    with starter.start(
        "run",
        "open",
        "--env",
        "ONLY_NAMED",
        *typed,
        "--reports",
        reports,
        cwd=project,
        env={**told, **PASSED},
        html=True,
    ) as run:
        eventually(lambda: _in_second(reports), "second does not begin", timeout_s=150)
        lines = {" ".join(each.cmdline()) for each in psutil.Process(run.popen.pid).children(recursive=True)}
        run.send(signal.SIGTERM)
        played = Played(run.folder, page, project / "noted", command_lines=lines)
        played.codes.append(run.end())
        played.said.append(run.out)
    for more in ({}, {**PASSED, **TYPED}):
        with starter.start("resume", played.folder, cwd=project, env={**told, **more}, html=True) as again:
            played.codes.append(again.end())
            played.said.append(again.out)
    return played


def _in_second(reports: Path) -> bool:
    """Whether the second phase has begun."""
    return any('"name":"second"' in path.read_text() for path in reports.glob("*/*/experiment.ndjson"))


def test_nothing_that_it_left_holds_a_secret(played: Played) -> None:
    """Neither a file of the report folder, logs of the service included, nor what CI was told, nor the terminal."""
    files = [path for path in played.folder.rglob("*") if path.is_file()]
    texts = {str(path): path.read_bytes().decode(errors="replace") for path in [*files, played.summary_page]}
    texts |= {f"output {n}": said for n, said in enumerate(played.said)}
    assert len(texts) > 15
    assert {"report.html", "summary.md", "junit.xml", "plan.json"} <= {path.name for path in files}
    found = {where for where, text in texts.items() for secret in SEARCHED if secret in text}
    assert not found, found


def test_the_service_was_given_all_of_them(played: Played) -> None:
    """In both parts, and each arm its own."""
    assert len(played.given) == 4
    for variables in played.given:
        expected = {**PASSED, **TYPED, **OF_FILES}
        assert {name: variables.get(name) for name in expected} == expected
    passwords = [variables["DB_PASSWORD"] for variables in played.given]
    assert sorted(passwords) == sorted(2 * list(OF_ARMS.values()))


def test_no_other_command_line_holds_a_secret(played: Played) -> None:
    """What others on the machine see of the processes that it starts."""
    assert played.command_lines
    assert not [line for line in played.command_lines if any(secret in line for secret in SEARCHED)]


def test_the_report_says_what_was_taken_out(played: Played) -> None:
    """The copy of the scenario says so; arms that differ in nothing else differ; what was passed on is named."""
    copy = (played.folder / "scenario.toml").read_text()
    assert copy.startswith("# A copy. Secrets are taken out of it: SESSION_SECRET, CACHE_URL, DB_PASSWORD.\n")
    assert 'question = "Where do they stand afterwards?"' in copy
    arms: Mapping[str, Any] = played.json("summary.json")["arms"]
    assert arms["one"]["env"]["DB_PASSWORD"] != arms["two"]["env"]["DB_PASSWORD"]
    scenario = played.json("plan.json")["scenario"]
    assert scenario["env"]["CACHE_URL"] == "redis://me:‹redacted›@127.0.0.1/0"
    assert scenario["pass_env"] == ["STRIPE_TOKEN", "REGION", "ONLY_NAMED", "ADMIN_PASSWORD", "QUEUE"]
    assert "OPENAI_API_KEY" in (played.folder / "report.html").read_text()
    command = played.json("environment.json")["command"]
    assert "--env ONLY_NAMED --env=ADMIN_PASSWORD --env=QUEUE" in command


def test_resuming_asks_for_what_was_passed_on(played: Played) -> None:
    """Without it the run is not begun again, and the message says what to set; with it, it is finished."""
    assert played.codes[0] == 3
    assert played.codes[1] == 2
    for name in (*PASSED, *TYPED):
        assert name in played.said[1]
    assert "Left to play" in played.said[2]
    assert played.codes[2] == 3, played.said[2]  # it has no database: that is doubted
