"""A process that has imported all that a report takes, and makes one when its input says of which folder."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import traceback
from pathlib import Path

from brokenpipe.commands import console
from brokenpipe.commands.signals import EXIT_UNKNOWN
from brokenpipe.errors import BrokenpipeError
from brokenpipe.shortages import exit_if_short


def main() -> int:
    """Import, wait, report. Returns the exit code; without a word on its input there is nothing to do."""
    _import_all()
    line = sys.stdin.readline()
    if not line:
        return 0
    threading.Thread(target=_end_with_the_run, name="end of the run", daemon=True).start()
    return _report(Path(json.loads(line)))


def _import_all() -> None:
    import duckdb

    from brokenpipe.commands.reporting import github_actions
    from brokenpipe.measure import pipeline
    from brokenpipe.report import template, writer
    from brokenpipe.report.index import collection
    from brokenpipe.report.terminal import terminal

    assert all((github_actions, pipeline, writer, collection, terminal))
    template.prepare()
    duckdb.connect().close()
    gc.set_threshold(100_000)  # a short life with many objects that last as long


def _end_with_the_run() -> None:
    """Whoever has told it holds the other end of its input as long as somebody waits for the report."""
    sys.stdin.read()
    os._exit(EXIT_UNKNOWN)


def _report(folder: Path) -> int:
    from brokenpipe.commands.reporting.report import write_report

    try:
        with console.converting_shortages():
            return write_report(folder)
    except BrokenpipeError as error:
        console.print_error(error)
        return error.exit_code
    except Exception:  # noqa: BLE001 - a defect of ours is no verdict on the service
        traceback.print_exc()
        return EXIT_UNKNOWN


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with exit_if_short():
        sys.exit(main())
