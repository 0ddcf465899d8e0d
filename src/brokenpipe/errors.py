"""Everything that can go wrong through no defect of ours, as one small tree.

    BrokenpipeError                     exit code
    ├── UsageError                      2   the command line or a file the user wrote is wrong
    │   ├── ScenarioError                   a scenario file
    │   ├── TargetError                     a target.toml
    │   ├── ReportError                     a report folder that cannot be read
    │   ├── LocustfileError                 a locustfile that does not work or leaves its arm
    │   ├── RedirectError                   a service that sends its clients elsewhere
    │   └── PluginError                     a distribution that registers a fault and gives none
    ├── StackError                      4   something of the stack did not start
    │   ├── ToolchainError                  the Toxiproxy server could not be built
    │   ├── NamespaceError                  no network namespace to lose packets in
    │   ├── PostgresError                   Postgres could not be started
    │   ├── PackagesError                   packages of an arm could not be installed
    │   ├── ExtensionError                  Postgres does not have an extension that the service creates
    │   ├── PreparationError                a command that prepares a database failed
    │   ├── CheckError                      the service was started, and a step of its check failed
    │   ├── PgBouncerError                  PgBouncer could not be started, or is too old
    │   ├── ProxyError                      the Toxiproxy server refused a call or answered wrongly
    │   │   └── ProxyHung                   … or did not answer in time: restart it
    │   ├── MemoryShortage                  this process was refused more memory
    │   ├── OutOfFiles                      this process had no file descriptor left
    │   ├── EngineError                     no Docker engine, or it refused a call
    │   └── TargetNotReady                  the service under test did not come up
    ├── FaultNotSeen                    3   in a test: no raw socket saw that a fault took effect, or that it was healed
    └── RecordingError                  3   the history could not be written, for example disk full

A defect of ours is any other exception and keeps its traceback.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from brokenpipe.plain_text import shorten
from brokenpipe.redaction import REDACTED, is_secret_name, redacted_text
from brokenpipe.shortages import MORE_FILES, NO_FILES, REMEDY, SENTENCE


class BrokenpipeError(Exception):
    """What happened, to what, and what to do next.

    `message` says what happened and to what; `remedy` is one imperative sentence and may be empty;
    `details` are lines shown below, such as the last ones of a log. Whatever is quoted is quoted without secrets.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "", details: tuple[str, ...] = ()) -> None:
        self.message = redacted_text(message)
        self.remedy = redacted_text(remedy)
        self.details = tuple(map(redacted_text, details))
        super().__init__(self.message)


class UsageError(BrokenpipeError):
    """The command line, or a file that the user wrote, cannot be understood."""

    exit_code = 2


MOST_PROBLEMS = 20  # mistakes in one file: whoever has more is at the wrong file, or mends these first


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file: where, what was found, what is allowed instead."""

    key: str
    found: str  # without secrets
    allowed: str

    def __post_init__(self) -> None:
        table, _, name = self.key.rpartition(".")
        secret = self.found and table.partition(".")[0] in {"env", "arms"} and is_secret_name(name)
        if secret:  # what is allowed may quote it as well
            object.__setattr__(self, "allowed", self.allowed.replace(self.found, REDACTED))
        object.__setattr__(self, "found", REDACTED if secret else redacted_text(self.found))

    def __str__(self) -> str:
        """On one line of bounded length, however long the key, the value and the list of what is allowed are."""
        found = f" found {shorten(self.found, 150)};" if self.found else ""
        return f"{shorten(self.key, 100)}:{found} {shorten(self.allowed, 500)}"


class FileError(UsageError):
    """Mistakes in one file, all of them at once: nobody wants to find ten mistakes in ten runs.

    The first twenty are told. `more`: so many others were found and not put into words.
    """

    def __init__(self, path: Path, problems: tuple[Problem, ...], *, remedy: str = "", more: int = 0) -> None:
        more += len(problems[MOST_PROBLEMS:])
        problems = problems[:MOST_PROBLEMS]
        count = len(problems) + more
        told = [str(problem) for problem in problems] + ([f"… and {more:,} more"] if more else [])
        super().__init__(
            f"{path}: {'1 problem' if count == 1 else f'{count:,} problems'}",
            remedy=remedy,
            details=tuple(told),
        )
        self.path = path
        self.problems = problems


class ScenarioError(FileError):
    """A scenario file is wrong."""


class TargetError(FileError):
    """A target.toml is wrong."""


class ReportError(UsageError):
    """A report folder cannot be read: it does not exist, or what it holds is not a history."""


class LocustfileError(UsageError):
    """A locustfile cannot be loaded, defines no user, or asked for an address that is not its arm's."""


class RedirectError(UsageError):
    """A service redirects to an address that is not its own, where nothing is requested."""


class PluginError(UsageError):
    """An installed distribution registers a fault under an entry point that gives no usable one.

    `fault` is the name under which it does.
    """

    def __init__(self, fault: str, message: str, *, remedy: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__(message, remedy=remedy, details=details)
        self.fault = fault


class StackError(BrokenpipeError):
    """A part of the stack did not start or stopped answering."""

    exit_code = 4


class ToolchainError(StackError):
    """The Toxiproxy server could not be built: no Go, or no way to fetch its modules."""


class NamespaceError(StackError):
    """There is no network namespace with a packet filter to be had here, and the scenario drops packets."""


class PostgresError(StackError):
    """Postgres could not be started."""


class ExtensionError(StackError):
    """The Postgres at hand does not have an extension that the service creates."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f'the Postgres of this run has no extension "{name}", which the service wants to create',
            remedy='Name the programs of one that has it: `[postgres] binaries = "/…/bin"` in the scenario, or the '
            "variable BROKENPIPE_PG_BIN. `pg_config --bindir` says where they are.",
        )
        self.name = name


class PreparationError(StackError):
    """A command of `prepare`, which prepares the database of an arm, failed."""


class CheckError(StackError):
    """The service under test was started, and a step of `check` failed."""


class PgBouncerError(StackError):
    """There is no PgBouncer on this machine, it is too old for what is asked of it, or it could not be started."""


class PackagesError(StackError):
    """Packages that an arm names in `with` could not be installed, or its interpreter does not answer."""


class ProxyError(StackError):
    """The Toxiproxy server refused a call, or what it read back differs from what was asked."""


class ProxyHung(ProxyError):
    """The Toxiproxy server did not answer in time. Only a restart helps; the phase is invalid."""


class MemoryShortage(StackError):
    """This process was refused more memory, by a limit or because there is none left."""

    def __init__(self, message: str = SENTENCE) -> None:
        super().__init__(message, remedy=REMEDY)


class OutOfFiles(StackError):
    """This process had no file descriptor left."""

    def __init__(self) -> None:
        super().__init__(NO_FILES, remedy=MORE_FILES)


class EngineError(StackError):
    """Containers were asked for, and there is no Docker engine, no image, or the engine refused."""


class TargetNotReady(StackError):
    """The service under test ended, or did not answer its readiness URL in time."""


class FaultNotSeen(BrokenpipeError):
    """In a test: a fault was injected or healed, and no raw socket saw it. What the test shows of it means nothing."""

    exit_code = 3


class RecordingError(BrokenpipeError):
    """The history could not be written. What was measured since is lost, so there is no verdict."""

    exit_code = 3
