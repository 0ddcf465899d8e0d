"""What is planted: phases with a fault or none, and in each the scripts that requests follow.

A script is a list of steps on one connection (project/targets/planted/service.py performs them). Its long steps, of
1.3 s, are longer than a strike is away, so that a strike finds everyone in the middle of one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

LONG_S = 1.3
POOL_TIMEOUT_S = 0.7  # of the service
CONNECT_TIMEOUT_S = 2.0  # of the service: libpq's shortest
PATIENCE_S = 3.0  # of users
USERS = 8


@dataclass(frozen=True)
class Script:
    """What a request does. `pool`: roomy has a connection for everyone, small has two, elsewhere leads nowhere."""

    name: str
    steps: tuple[str, ...]
    pool: str = "roomy"
    limit_s: float | None = None  # a time limit of the service's own


READ = Script("read", ("ask", "commit"))
SLEEP = Script("sleep", ("ask", "sleep", "commit"))
SLEEP_FIRST = Script("sleep first", ("sleep", "commit"))
THINK = Script("think", ("ask", "think", "ask", "commit"))
THINK_BEFORE_COMMIT = Script("think before the commit", ("insert", "think", "commit"))
THINK_BEFORE_ROLLBACK = Script("think before the roll-back", ("insert", "think", "roll back"))
STREAM = Script("stream", ("answer", "ask", "think", "ask", "commit"))
COMMIT_SLOWLY = Script("commit slowly", ("insert slowly", "commit"))
WRITE = Script("write", ("insert", "commit"))
RAISE = Script("raise", ("ask", "raise"))
CLASH = Script("clash", ("ask", "clash"))
END_ONESELF = Script("end oneself", ("ask", "end oneself"))
IMPATIENT = Script("impatient", ("ask", "sleep"), limit_s=1.0)
HURRY = Script("hurry", ("ask",), limit_s=0.12)  # ask takes a few milliseconds
READ_SMALL = Script("read, small pool", ("ask", "commit"), pool="small")
READ_BEHIND_A_FENCE = Script("read behind a fence", ("ask", "pause", "fence", "commit"))
HOG = Script("hog the small pool", ("ask", "think", "commit"), pool="small")

LIMIT_ONESELF = Script("limit oneself", ("ask", "limit oneself", "sleep"))
WRONG_DOOR = Script("knock at the wrong door", ("ask",), pool="elsewhere")
DAWDLE = Script("dawdle", ("dawdle", "ask", "commit"))

OWN = (RAISE, CLASH, END_ONESELF, IMPATIENT, LIMIT_ONESELF, WRONG_DOOR)
IN_USE = (SLEEP, THINK, THINK_BEFORE_COMMIT, THINK_BEFORE_ROLLBACK, STREAM, COMMIT_SLOWLY, SLEEP_FIRST, RAISE)


@dataclass(frozen=True)
class Play:
    """A phase of a scenario. `ends`: how connections end that its strikes hit."""

    phase: str
    timing: str
    scripts: Sequence[Script]
    fault: str = ""
    ends: str = ""

    @property
    def toml(self) -> str:
        fault = f"fault = {{ {self.fault} }}\n" if self.fault else ""
        return f'[[phases]]\nname = "{self.phase}"\n{fault}{self.timing}\n'

    @property
    def fault_name(self) -> str | None:
        return self.fault.split('"')[1] if self.fault else None

    @property
    def cue(self) -> str:
        return json.dumps({"name": self.phase, "scripts": [asdict(script) for script in self.scripts]})


def bursts(episodes: int, quiet_s: float = 0.5) -> str:
    return f"episodes = {episodes}\nquiet_s = {quiet_s}\nburst_s = 0.4"


def strikes(episodes: int, every_s: float = 1.0) -> str:
    return f"episodes = {episodes}\nevery_s = {every_s}"


def setting(name: str, value: str = "") -> str:
    return f'name = "server_setting", setting = "{name}"{", " if value else ""}{value}'


BLOCK = "seconds = 2"

MOMENTARY = (
    Play("no_fault", BLOCK, (*OWN, READ)),
    Play("idle_kill", bursts(3), (READ,), 'name = "socket_kill", how = "reset"', "rst"),
    Play("kill_in_use", strikes(4), IN_USE, 'name = "socket_kill", how = "reset"', "rst"),
    Play("kill_in_use_by_fin", strikes(3), IN_USE, 'name = "socket_kill", how = "fin"', "fin"),
    Play("after_a_kill", BLOCK, (READ, RAISE, WRONG_DOOR)),
    Play("reply_of_the_commit_lost", strikes(4, 0.5), (WRITE, RAISE), 'name = "commit_cut", lost = "reply"', "rst"),
    Play("commit_lost", strikes(4, 0.5), (WRITE, READ), 'name = "commit_cut", lost = "commit", how = "fin"', "fin"),
    Play("idle_sessions_terminated", bursts(3, 1.2), (READ,), 'name = "backend_kill"', "terminated"),
    Play("sessions_terminated_in_use", strikes(3), IN_USE, 'name = "backend_kill"', "terminated"),
    Play("server_restarted", strikes(2, 4.0), (SLEEP, THINK, READ, RAISE), 'name = "server_restart"', "terminated"),
    Play("crowd_after_a_kill", bursts(2), (READ_BEHIND_A_FENCE,), 'name = "socket_kill", how = "reset"', "rst"),
)  # fmt: skip

_IN_TRANSACTION = setting("idle_in_transaction_session_timeout", "after_ms = 300")
_LIMITED = (READ, END_ONESELF, WRONG_DOOR)  # beside what a limit is there for

HELD = (
    Play("idle_limit_on_the_wire", bursts(3), (READ,), 'name = "idle_reset", after_ms = 300'),
    Play("idle_session_limit", bursts(3), (READ,), setting("idle_session_timeout", "after_ms = 300")),
    Play("idle_in_transaction_limit", BLOCK, (THINK, *_LIMITED), _IN_TRANSACTION),
    Play("statement_limit", BLOCK, (SLEEP, LIMIT_ONESELF, *_LIMITED), setting("statement_timeout", "after_ms = 300")),
    Play("read_only", BLOCK, (WRITE, HOG, LIMIT_ONESELF, *_LIMITED), setting("default_transaction_read_only")),
    Play("connection_limit", BLOCK, (READ, THINK, WRONG_DOOR), setting("connection_limit", "connections = 3")),
    Play("nobody_listens", BLOCK, (READ,), 'name = "refuse"'),
    Play("black_hole", "seconds = 4", (READ, READ_SMALL, READ, READ_SMALL, DAWDLE), 'name = "black_hole"'),
    Play("after_a_black_hole", BLOCK, (READ, RAISE, WRONG_DOOR)),
    Play("late_answers", "seconds = 4", (READ, HOG, *OWN), 'name = "latency", ms = 20'),
    Play("answers_too_late", "seconds = 4", (READ, READ, READ, HURRY), 'name = "latency", ms = 150'),
    Play("pool_taken", BLOCK, (HOG,)),
    Play("forgotten_connections", bursts(2), (READ,), 'name = "idle_drop", after_ms = 300'),
)  # fmt: skip


SCENARIO = """
title = "Planted failures: {name}"
question = "Is each failed request given the cause that it was planted with?"
target = "planted"
control = "asyncpg"

[load]
locustfile = "{project}/scenarios/locustfile.py"
users = {users}
timeout_s = {patience_s}

[env]
CUE = "{folder}/cue"

[arms]
asyncpg = {{ DRIVER = "asyncpg", BOOKS = "{folder}/books-asyncpg.ndjson" }}
psycopg = {{ DRIVER = "psycopg", BOOKS = "{folder}/books-psycopg.ndjson" }}
psycopg2 = {{ DRIVER = "psycopg2", BOOKS = "{folder}/books-psycopg2.ndjson" }}

{phases}
"""


def write_scenario(path: Path, plays: Sequence[Play], *, project: Path) -> Path:
    """The scenario of these plays, with cue and books in the same folder."""
    phases = "\n".join(play.toml for play in plays)
    text = SCENARIO.format(
        name=path.stem, project=project, folder=path.parent, phases=phases, users=USERS, patience_s=PATIENCE_S
    )
    path.write_text(text)
    return path


def by_phase(plays: Sequence[Play]) -> Mapping[str, Play]:
    return {play.phase: play for play in plays}
