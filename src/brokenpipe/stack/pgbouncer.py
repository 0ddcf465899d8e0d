"""A PgBouncer of our own, one for all arms: a database and a role of each, passwords that last as long as the run.

    target of an arm ──▶ proxy of that arm ──▶ PgBouncer ──▶ Postgres

The program is the one named by BROKENPIPE_PGBOUNCER_BIN, or what PATH has.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from brokenpipe.errors import PgBouncerError
from brokenpipe.plan.pgbouncer import PgBouncer as Settings
from brokenpipe.stack.database import Database
from brokenpipe.stack.janitor import Janitor
from brokenpipe.stack.pgbouncer_config import ADMIN, configuration, users
from brokenpipe.stack.ports import LOOPBACK, START_ATTEMPTS, free_port, poll, taken
from brokenpipe.stack.process import Child, child
from brokenpipe.stack.scratch import scratch_folder
from brokenpipe.stack.unprivileged import runner

BINARY_VARIABLE = "BROKENPIPE_PGBOUNCER_BIN"
READY_TIMEOUT_S = 10.0  # measured: 30 ms
_OF_THE_SYSTEM = "/usr/sbin"  # where Debian puts it, which is not on the PATH of ordinary users
_HOW_TO_GET_ONE = (
    "Install it (Debian: apt-get install pgbouncer; macOS: brew install pgbouncer), "
    f"or name one in {BINARY_VARIABLE}."
)


@dataclass(frozen=True, slots=True)
class Program:
    """A PgBouncer that can be started. `version` is such as 1.24.1."""

    path: Path
    version: str


@dataclass(frozen=True, slots=True)
class PgBouncer:
    """A running PgBouncer. Made by `pgbouncer`."""

    host: str
    port: int
    version: str
    child: Child


def find_program() -> Program:
    """The PgBouncer that would be started. Raises PgBouncerError when there is none, or it is none."""
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        path = Path(named) / "pgbouncer" if Path(named).is_dir() else Path(named)
    else:
        found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:{_OF_THE_SYSTEM}")
        if found is None:
            raise PgBouncerError("no program called pgbouncer on this machine", remedy=_HOW_TO_GET_ONE)
        path = Path(found)
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=10)
        version = re.search(r"^PgBouncer (\d+\.\d+(?:\.\d+)?)", answer.stdout, re.MULTILINE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PgBouncerError(f"{path}: cannot be started: {error}", remedy=_HOW_TO_GET_ONE) from error
    if version is None:
        raise PgBouncerError(f"{path}: says no version of PgBouncer", remedy=_HOW_TO_GET_ONE)
    return Program(path, version[1])


@contextmanager
def pgbouncer(
    settings: Settings, databases: Sequence[Database], *, log_path: Path, janitor: Janitor
) -> Iterator[PgBouncer]:
    """A PgBouncer before these databases for as long as the block lasts, ready.

    Raises PgBouncerError when there is none that can do this, or it does not start.
    """
    program = find_program()
    with scratch_folder("brokenpipe-pgbouncer-", janitor) as folder, ExitStack() as running:
        launch = _Launch(settings, program, tuple(databases), folder, log_path, janitor)
        yield launch.started(running)


@dataclass(frozen=True, slots=True)
class _Launch:
    """What is started, and with what."""

    settings: Settings
    program: Program
    databases: tuple[Database, ...]
    folder: Path
    log_path: Path
    janitor: Janitor

    def started(self, running: ExitStack) -> PgBouncer:
        """One that answers; on another port if a stranger took the first one."""
        password = secrets.token_urlsafe(18)
        for attempts_left in reversed(range(START_ATTEMPTS)):
            port = free_port()
            with ExitStack() as attempt:
                process = attempt.enter_context(self._process(port, password))
                if not _wait_ready(process, port, password):
                    if attempts_left and taken(port):
                        continue
                    raise _not_ready(process)
                running.enter_context(attempt.pop_all())
                return PgBouncer(LOOPBACK, port, self.program.version, process)
        raise AssertionError("the last attempt returns or raises")

    def _process(self, port: int, password: str) -> AbstractContextManager[Child]:
        run_as, config, known = runner(), self.folder / "pgbouncer.ini", self.folder / "users"
        written = configuration(
            self.settings,
            self.program.version,
            {each.name: f"host={each.server.host} port={each.server.port}" for each in self.databases},
            host=LOOPBACK,
            port=port,
            users_file=str(known),
        )
        logins = {each.user: each.password for each in self.databases} | {ADMIN: password}
        for path, text in ((config, written), (known, users(logins))):
            path.touch(mode=0o600)
            path.write_text(text)
            run_as.own(path)
        run_as.own(self.folder)
        return child(
            "pgbouncer",
            [*run_as.prefix, str(self.program.path), str(config)],
            log_path=self.log_path,
            janitor=self.janitor,
            cwd=self.folder,
            stop_signal=signal.SIGKILL,  # it has nothing to flush, and would wait for its clients
        )


def _wait_ready(process: Child, port: int, password: str) -> bool:
    """Whether it answers its administrator, within some time and before it ends."""

    def answers() -> bool | None:
        if not process.running:
            return False
        console = f"postgresql://{ADMIN}:{password}@{LOOPBACK}:{port}/pgbouncer"
        try:
            with closing(psycopg.connect(console, autocommit=True, connect_timeout=2)) as admin:
                admin.execute("SHOW VERSION")
        except psycopg.Error:
            return None
        return True

    return poll(answers, timeout_s=READY_TIMEOUT_S) is True


def _not_ready(process: Child) -> PgBouncerError:
    what = (
        f"did not answer within {READY_TIMEOUT_S:g} s" if process.running else f"ended: {process.exit_text}"
    )
    return PgBouncerError(
        f"pgbouncer {what}",
        remedy=f"The whole log is {process.log_path}; {BINARY_VARIABLE} names another PgBouncer.",
        details=process.last_lines(),
    )
