"""A PgBouncer of our own, for all arms or for one: a database and a role of each, passwords for one run.

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
from brokenpipe.plan.settings.pgbouncer import PgBouncerSettings as Settings
from brokenpipe.stack.pgbouncer.config import ADMIN, PgBouncerFiles
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.processes.drop_root import unprivileged_runner
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.ports import LOOPBACK, START_ATTEMPTS, Address, free_port, is_taken, poll
from brokenpipe.stack.processes.process import Child, child
from brokenpipe.stack.processes.scratch import scratch_folder

BINARY_VARIABLE = "BROKENPIPE_PGBOUNCER_BIN"
READY_TIMEOUT_S = 10.0  # measured: 30 ms
_SYSTEM_FOLDER = "/usr/sbin"  # where Debian puts it, which is not on the PATH of ordinary users
_INSTALL_REMEDY = (
    "Install it (Debian: apt-get install pgbouncer; macOS: brew install pgbouncer), "
    f"or name one in {BINARY_VARIABLE}."
)


@dataclass(frozen=True, slots=True)
class PgBouncerProgram:
    """A PgBouncer that can be started. `version` is such as 1.24.1."""

    path: Path
    version: str


@dataclass(frozen=True, slots=True)
class PgBouncer:
    """A running PgBouncer. Made by `pgbouncer`, or in a container by `ComposeRuntime`."""

    host: str
    port: int
    version: str
    child: Child
    max_prepared_statements: str | None = (
        None  # in force, by its own word; None: it does not know the setting
    )


def find_program() -> PgBouncerProgram:
    """The PgBouncer that would be started. Raises PgBouncerError when there is none, or it is none."""
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        path = Path(named) / "pgbouncer" if Path(named).is_dir() else Path(named)
    else:
        installed = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_FOLDER}")
        if installed is None:
            raise PgBouncerError("no program called pgbouncer on this machine", remedy=_INSTALL_REMEDY)
        path = Path(installed)
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=10)
        version = re.search(r"^PgBouncer (\d+\.\d+(?:\.\d+)?)", answer.stdout, re.MULTILINE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PgBouncerError(f"{path}: cannot be started: {error}", remedy=_INSTALL_REMEDY) from error
    if version is None:
        raise PgBouncerError(f"{path}: says no version of PgBouncer", remedy=_INSTALL_REMEDY)
    return PgBouncerProgram(path, version[1])


@contextmanager
def pgbouncer(
    settings: Settings,
    databases: Sequence[Database],
    *,
    log_path: Path,
    janitor: Janitor,
    name: str = "pgbouncer",
) -> Iterator[PgBouncer]:
    """A PgBouncer before these databases for as long as the block lasts, ready.

    Raises PgBouncerError when there is none that can do this, or it does not start.
    """
    program = find_program()
    with scratch_folder("brokenpipe-pgbouncer-", janitor) as folder, ExitStack() as running:
        launch = _PgBouncerLaunch(settings, program, tuple(databases), folder, log_path, janitor, name)
        yield launch.start(running)


@dataclass(frozen=True, slots=True)
class _PgBouncerLaunch:
    """Inputs for starting a PgBouncer."""

    settings: Settings
    program: PgBouncerProgram
    databases: tuple[Database, ...]
    folder: Path
    log_path: Path
    janitor: Janitor
    name: str

    def start(self, running: ExitStack) -> PgBouncer:
        """A PgBouncer that answers; on another port if another program took the first one."""
        password = secrets.token_urlsafe(18)
        for attempts_left in reversed(range(START_ATTEMPTS)):
            port = free_port()
            with ExitStack() as attempt:
                process = attempt.enter_context(self._process(port, password))
                info = query_pgbouncer_info(process, (LOOPBACK, port), password)
                if not info:
                    if attempts_left and is_taken(port):
                        continue
                    raise start_error(process, f"; {BINARY_VARIABLE} names another PgBouncer")
                running.enter_context(attempt.pop_all())
                return PgBouncer(LOOPBACK, port, self.program.version, process, info.max_prepared_statements)
        raise AssertionError("the last attempt returns or raises")

    def _process(self, port: int, password: str) -> AbstractContextManager[Child]:
        run_as, files = unprivileged_runner(), PgBouncerFiles(self.folder)
        files.write(self.settings, self.program.version, self.databases, (LOOPBACK, port), password)
        for path in (files.config, files.users, files.folder):
            run_as.chown(path)
        return child(
            self.name,
            [*run_as.prefix, str(self.program.path), str(files.config)],
            log_path=self.log_path,
            janitor=self.janitor,
            cwd=self.folder,
            stop_signal=signal.SIGKILL,  # it has nothing to flush, and would wait for its clients
        )


@dataclass(frozen=True, slots=True)
class PgBouncerInfo:
    """Answers of a PgBouncer's console: its version, such as 1.24.1, and a setting whose default changed."""

    version: str
    max_prepared_statements: str | None


def query_pgbouncer_info(process: Child, address: Address, password: str) -> PgBouncerInfo | None:
    """Query the console once it answers; None if it ends, or does not answer in time."""
    host, port = address

    def query() -> PgBouncerInfo | bool | None:
        if not process.running:
            return False
        console = f"postgresql://{ADMIN}:{password}@{host}:{port}/pgbouncer"
        try:
            with closing(psycopg.connect(console, autocommit=True, connect_timeout=2)) as admin:
                (version,) = admin.execute("SHOW VERSION").fetchone() or ("",)
                config = {str(row[0]): str(row[1]) for row in admin.execute("SHOW CONFIG").fetchall()}
        except psycopg.Error:
            return None
        return PgBouncerInfo(str(version).removeprefix("PgBouncer "), config.get("max_prepared_statements"))

    info = poll(query, timeout_s=READY_TIMEOUT_S)
    return info if isinstance(info, PgBouncerInfo) else None


def start_error(process: Child, besides: str = "") -> PgBouncerError:
    """The error for a PgBouncer that did not start. `besides` follows the place of its log."""
    reason = (
        f"did not answer within {READY_TIMEOUT_S:g} s" if process.running else f"ended: {process.exit_text}"
    )
    return PgBouncerError(
        f"{process.name} {reason}",
        remedy=f"The whole log is {process.log_path}{besides}.",
        details=process.last_lines(),
    )
