"""What a calibration found, for the terminal."""

from __future__ import annotations

from rich.table import Column, Table

from brokenpipe import formatting
from brokenpipe.measure.calibration import Calibration, Proportion
from brokenpipe.measure.stats.intervals import ERROR


def calibration_table(found: Calibration) -> Table:
    """Lay out how often a difference was seen where there is none."""
    table = Table(
        "counted",
        *(Column(head, justify="right", no_wrap=True) for head in ("false", "of", "share", "95 % interval")),
        title=f"Equal arms. Promised: {ERROR:.0%} false at most",
        title_justify="left",
    )
    experiments = formatting.plural(found.experiments, "experiment") + " relabelled from them"
    for of, judged in (
        (formatting.plural(found.runs, "run"), found.recorded),
        (experiments, found.relabelled),
    ):
        table.add_row(f"{of}: a metric of a phase in which any arm differs", *_cells(judged.families))
        table.add_row(f"{of}: an interval of a difference that leaves 0 out", *_cells(judged.intervals))
    return table


def _cells(tally: Proportion) -> tuple[str, ...]:
    share = formatting.plain(formatting.percent(tally.share))
    return (
        f"{tally.count:,}",
        f"{tally.total:,}",
        share,
        formatting.plain(formatting.percent_interval(tally.interval)),
    )
