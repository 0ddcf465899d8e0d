"""What a calibration found, for the terminal."""

from __future__ import annotations

from rich.table import Column, Table

from brokenpipe.measure import numbers
from brokenpipe.measure.calibration import Calibration, Tally
from brokenpipe.measure.statistics import ERROR


def as_table(found: Calibration) -> Table:
    """Lay out how often a difference was seen where there is none."""
    table = Table(
        "counted",
        *(Column(head, justify="right", no_wrap=True) for head in ("false", "of", "share", "95 % interval")),
        title=f"Equal arms. Promised: {ERROR:.0%} false at most",
        title_justify="left",
    )
    experiments = numbers.plural(found.experiments, "experiment") + " relabelled from them"
    for of, judged in ((numbers.plural(found.runs, "run"), found.recorded), (experiments, found.relabelled)):
        table.add_row(f"{of}: a metric of a phase in which any arm differs", *_cells(judged.families))
        table.add_row(f"{of}: an interval of a difference that leaves 0 out", *_cells(judged.intervals))
    return table


def _cells(tally: Tally) -> tuple[str, ...]:
    share = numbers.plain(numbers.percent(tally.share))
    return f"{tally.false:,}", f"{tally.of:,}", share, numbers.plain(numbers.percent_interval(tally.interval))
