"""`index.html`: the start page of a folder of reports. Written anew whenever something there is."""

from __future__ import annotations

import os
from pathlib import Path

from brokenpipe import atomic_write
from brokenpipe.report.index.collection import ReportedRun, read_collection
from brokenpipe.report.template import render

FILE = "index.html"


def write_index(folder: Path) -> Path:
    """Write it in one step. Raises OSError when it cannot be written."""
    path = folder / FILE
    atomic_write.write_text(path, render_index(folder))
    return path


def render_index(folder: Path) -> str:
    """Render the page as text."""
    there = read_collection(folder)
    return render(
        "index.html.j2",
        shelf=there,
        scenarios=[(stem, [(run, _link(run, folder)) for run in runs]) for stem, runs in there.scenarios],
        pages=[(page, os.path.relpath(page.path, folder)) for page in there.pages],
        drawn=None,
        arm_index={},
    )


def _link(run: ReportedRun, folder: Path) -> str:
    """The way to the run's report, or to what there is of it. Empty for a run that nobody reported."""
    if run.found is None:
        return ""
    return os.path.relpath(run.found.page or run.found.path, folder)
