"""Where the parts of a run are: processes below the harness, told by their command lines, and files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from tests.sabotage.cell import Part
from tests.stack.runs import Run

ARM = "one"  # whose service and backend are struck


def processes(run: Run, part: Part) -> list[psutil.Process]:
    """Those that are this part now; the order is that in which they are to be struck."""
    harness = psutil.Process(run.popen.pid)
    if part is Part.HARNESS:
        return [harness]
    return [process for process in _below(harness) if _is(part, process)]


def file(run: Run, part: Part) -> Path:
    """The file of a part that is one. Raises ValueError while there is none."""
    name = {Part.WITNESS: f"witness-{ARM}-*.ndjson", Part.GAUGES: "gauges.ndjson"}[part]
    (path,) = run.folder.glob(name)
    return path


def _below(harness: psutil.Process) -> Iterator[psutil.Process]:
    with suppress(psutil.Error):
        yield from harness.children(recursive=True)


def _is(part: Part, process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return _TELLS[part](process, process.cmdline())
    return False


def _backend_of_arm(_: psutil.Process, argv: list[str]) -> bool:
    """One that serves the service: its title names the user of the arm's database, and where it connected from."""
    title = " ".join(argv)
    return title.startswith("postgres: ") and f" {ARM}" in title.replace("_", " ") and "127.0.0.1" in title


def _postmaster(_: psutil.Process, argv: list[str]) -> bool:
    return bool(argv) and Path(argv[0]).name == "postgres" and "-D" in argv


def _postgres(process: psutil.Process, argv: list[str]) -> bool:
    return _postmaster(process, argv) or bool(argv and argv[0].startswith("postgres: "))


def _service(process: psutil.Process, argv: list[str]) -> bool:
    return "uvicorn" in argv and process.environ().get("BROKENPIPE_ARM") == ARM


def _service_worker(process: psutil.Process, argv: list[str]) -> bool:
    return any("spawn_main" in word for word in argv) and process.environ().get("BROKENPIPE_ARM") == ARM


def _pgbouncer(argv: list[str]) -> bool:
    """Itself, or the loader that was given it: a newer one is unpacked beside an older Debian's libraries."""
    return any(Path(word).name == "pgbouncer" for word in argv)


def _locust(argv: list[str]) -> bool:
    return "locust" in argv and "-m" in argv


_TELLS: Mapping[Part, Callable[[psutil.Process, list[str]], bool]] = {
    Part.JANITOR: lambda _, argv: any(word.endswith("/janitor.py") for word in argv),
    Part.LOAD: lambda _, argv: _locust(argv),
    Part.LOAD_MASTER: lambda _, argv: _locust(argv) and "--master" in argv,
    Part.LOAD_WORKER: lambda process, argv: (
        _locust(argv) and "--worker" in argv and process.environ().get("BROKENPIPE_SEAT") == "1"
    ),
    Part.TOXIPROXY: lambda _, argv: bool(argv) and Path(argv[0]).name.startswith("toxiproxy-"),
    Part.POSTGRES: _postgres,
    Part.POSTMASTER: _postmaster,
    Part.BACKEND: _backend_of_arm,
    Part.PGBOUNCER: lambda _, argv: _pgbouncer(argv),
    Part.SERVICE: _service,
    Part.SERVICE_WORKER: _service_worker,
}
