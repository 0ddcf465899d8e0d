"""Small recorded runs to be damaged: one that failed, and one whose verdict is unknown. Neither may ever pass."""

from __future__ import annotations

from pathlib import Path

from tests.measure.recorded import RESET, Recorded, error
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.history.inventory import compute_checksums, list_files
from brokenpipe.history.records import Finish

PLAN = scenario(
    STEADY,
    KILL,
    expect=[
        {"arm": "*", "phase": "steady", "metric": "failed", "equals": 0},
        {"arm": "pre_ping", "phase": "kill", "metric": "broken", "equals": 0},
    ],
)


def failed(folder: Path) -> Path:
    """A request of pre_ping was broken by a strike, and none may be."""
    return _recorded(folder, breaks=True, probed=True)


def unknown(folder: Path) -> Path:
    """All that was expected holds, and whether the fault is one was never tried."""
    return _recorded(folder, breaks=False, probed=False)


def _recorded(folder: Path, *, breaks: bool, probed: bool) -> Path:
    with Recorded(folder, PLAN) as run:
        if probed:
            run.probe()
        run.phase("steady", [(0, 2, None), (2, 4, None)])
        run.phase("kill", [(10, 11, 10.5), (11, 12, 11.5)])
        for arm in PLAN.arms:
            run.land(arm, "kill", 2)
            run.requests(arm, [0.1, 0.7, 1.3, 2.2, 3.1, 10.1, 10.7, 11.2, 11.8])
            run.connect(arm, 0.05)
        if breaks:
            run.request("pre_ping", 10.45, 80, errors=[error("statement", RESET)])
        run.finish(at=13)
        _list_files(run)
    return folder


def _list_files(run: Recorded) -> None:
    """The last line is that of a finished run, which lists its files."""
    log = run.folder / "experiment.ndjson"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    files = list_files(run.folder, but=log, seen={})
    run.experiment(Finish(run.at(13), "done", files, compute_checksums(run.folder, files, log)))
