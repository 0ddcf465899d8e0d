"""`--baseline`: a report that a run is compared with. Rejected before anything runs if the two do not compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from brokenpipe.errors import UsageError
from brokenpipe.plan.plan import Plan

if TYPE_CHECKING:  # it brings DuckDB and scipy along, which `--help` does without
    from brokenpipe.measure.regression.baseline import Baseline


def load_baseline(plan: Plan, folder: Path | None) -> Baseline | None:
    """The recorded experiment in `folder`, for a run of `plan`. Raises ReportError or NotComparable."""
    if folder is None:
        return None
    from brokenpipe.measure.pipeline import read_as_baseline
    from brokenpipe.measure.regression.comparability import demand_comparable

    baseline = read_as_baseline(folder)
    demand_comparable(baseline.plan, plan, str(folder))
    return baseline


def set_baseline(run: Path, folder: Path) -> None:
    """Compare a recorded run with `folder` from its next report on.

    Raises ReportError, NotComparable or UsageError.
    """
    from brokenpipe.history.reader import require_folder
    from brokenpipe.measure.run_metadata import recorded_plan

    for each in (run, folder):
        require_folder(each)
    if run.resolve() == folder.resolve():
        raise UsageError(
            f"--baseline {folder}: is the run itself", remedy="Give the folder of an earlier experiment."
        )
    store_baseline(run, load_baseline(recorded_plan(run), folder))


def store_baseline(run: Path, baseline: Baseline | None) -> None:
    """Store the baseline in the folder of the run, whose report then needs no other folder. Raises RecordingError."""
    if baseline is None:
        return
    from brokenpipe.drive.run_folder import write_error
    from brokenpipe.measure.regression.baseline import BASELINE_FILE
    from brokenpipe.report.writer import write_baseline

    try:
        write_baseline(baseline, run / BASELINE_FILE)
    except OSError as error:
        raise write_error(run, error) from error


def reject_baseline(baseline: Path | None) -> None:
    """Raises UsageError if a baseline was given: several runs are compared with the first of them."""
    if baseline is not None:
        raise UsageError(
            f"--baseline {baseline}: holds one run against another, and several were given",
            remedy="Give one run with --baseline, or several without.",
        )
