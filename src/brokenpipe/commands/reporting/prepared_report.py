"""A process that has imported all that a report takes, and makes one when its input says of which folder."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from queue import Queue

from brokenpipe.commands.signals import EXIT_UNKNOWN
from brokenpipe.shortages import exit_if_short

HTML = "--html"


def main(html: bool) -> int:
    """Import, wait, report. Returns the exit code."""
    gc.set_threshold(100_000)  # a short life with many objects that last as long
    lines: Queue[str] = Queue()
    threading.Thread(target=_follow_input, args=(lines,), name="input", daemon=True).start()
    _use_idle_processors_only()
    _import_all(html)
    return _report(Path(json.loads(lines.get())), html)


def _follow_input(lines: Queue[str]) -> None:
    """Take the line with the folder. The end of the input says that the run's process is gone: then end at once."""
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    lines.put(line)
    sys.stdin.read()
    os._exit(EXIT_UNKNOWN)


def _use_idle_processors_only() -> None:
    """This thread, until the run's process takes that back. The input is followed on any processor."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _import_all(html: bool) -> None:
    import duckdb

    from brokenpipe.commands import console
    from brokenpipe.commands.reporting import github_actions
    from brokenpipe.measure import pipeline
    from brokenpipe.report import writer
    from brokenpipe.report.index import collection
    from brokenpipe.report.terminal import terminal

    assert all((console, github_actions, pipeline, writer, collection, terminal))
    if html:
        from brokenpipe.report import template
        from brokenpipe.report.run import html as page

        assert page
        template.prepare()
    duckdb.connect().close()


def _report(folder: Path, html: bool) -> int:
    from brokenpipe.commands import console
    from brokenpipe.commands.reporting.report import write_report
    from brokenpipe.errors import BrokenpipeError

    try:
        with console.converting_shortages():
            return write_report(folder, html)
    except BrokenpipeError as error:
        console.print_error(error)
        return error.exit_code
    except Exception:  # noqa: BLE001 - a defect of ours is no verdict on the service
        traceback.print_exc()
        return EXIT_UNKNOWN


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with exit_if_short():
        sys.exit(main(HTML in sys.argv[1:]))
