"""What a comparison comes to in words: the same in the page and in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from brokenpipe import formatting
from brokenpipe.measure.compare.loaded_run import RecordedRun
from brokenpipe.measure.compare.metric_differences import RunDifference
from brokenpipe.measure.compare.runs import RunAgainstBase, RunsCompared
from brokenpipe.plan.expectations import Metric
from brokenpipe.report.compare.charts import run_name
from brokenpipe.report.run import table
from brokenpipe.report.run.arm_differences import difference_formatters, format_signed, value_formatter

METRIC_NAMES = {
    Metric.BROKEN_PIPE_RATE: "broken-pipe rate",
    Metric.FAILURE_RATE: "failure rate",
    Metric.BROKEN_PER_EPISODE: "broken per strike",
    Metric.FAILED_PER_EPISODE: "failed per strike",
    Metric.REQUESTS_PER_S: "requests per second",
    Metric.P50_MS: "median latency",
    Metric.P95_MS: "95th percentile",
    Metric.ADDED_P50_MS: "median above the control's",
}
TABLE_METRICS = (
    Metric.BROKEN_PER_EPISODE,
    Metric.BROKEN_PIPE_RATE,
    Metric.P50_MS,
    Metric.P95_MS,
    Metric.REQUESTS_PER_S,
)
_BROKEN = frozenset({Metric.BROKEN_PER_EPISODE, Metric.BROKEN_PIPE_RATE})
_FAILED = frozenset({Metric.FAILED_PER_EPISODE, Metric.FAILURE_RATE})
UNDECIDED_TEXT = "~"


@dataclass(frozen=True, slots=True)
class ComparedMetric:
    """One metric of one place. `mark`: "worse", "better", or `~` where nothing can be said."""

    metric: Metric
    name: str
    phase: str
    arm: str
    base: str
    new: str
    difference: str
    interval: str
    chance: str
    mark: str
    said: str

    @property
    def differs(self) -> bool:
        return self.mark != UNDECIDED_TEXT


@dataclass(frozen=True, slots=True)
class RunView:
    """One run, as the head of the page names it."""

    index: int
    name: str  # "base", "new"
    label: str  # its folder below reports/
    started: str
    verdict: str
    link: str  # to its own report, from where the page will be


@dataclass(frozen=True, slots=True)
class ComparisonCell:
    """One place of the table: a line for each metric that stands in it."""

    phase: str
    lines: tuple[ComparedMetric, ...]


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One arm of the table."""

    index: int  # of the arm: its colour
    arm: str
    is_control: bool
    places: tuple[ComparisonCell, ...]


def run_label(run: RecordedRun) -> str:
    """Name a run by its folder: "default/20261121T162121Z"."""
    folder = run.folder.resolve()
    return f"{folder.parent.name}/{folder.name}"


def all_arms(compared: RunsCompared) -> tuple[str, ...]:
    """Every arm of any run; those of the base keep the colours they have in its report."""
    return tuple(dict.fromkeys(arm for run in compared.runs for arm in run.findings.arms))


def compared_phases(against: RunAgainstBase) -> tuple[str, ...]:
    """The phases that were held against each other."""
    return tuple(dict.fromkeys(each.phase for each in against.differences))


def compared_metrics(against: RunAgainstBase, name: str) -> tuple[ComparedMetric, ...]:
    """Every figure that was compared, what differs first."""
    found = [_compared_metric(each, name) for each in against.differences]
    return tuple(sorted(found, key=lambda line: not line.differs))


def distinct_differences(lines: Sequence[ComparedMetric]) -> tuple[ComparedMetric, ...]:
    """What differs, without a failure rate that only says again what the broken-pipe rate says."""
    said = {(line.arm, line.phase, line.difference) for line in lines if line.metric in _BROKEN}
    return tuple(
        line
        for line in lines
        if line.differs and not (line.metric in _FAILED and (line.arm, line.phase, line.difference) in said)
    )


def comparison_rows(compared: RunsCompared, against: RunAgainstBase, name: str) -> tuple[ComparisonRow, ...]:
    """Lay the table arms × phases out."""
    known = {
        (each.metric, each.arm, each.phase): _compared_metric(each, name) for each in against.differences
    }
    return tuple(
        ComparisonRow(
            index=index,
            arm=arm,
            is_control=arm == compared.base.findings.control,
            places=tuple(
                ComparisonCell(
                    phase,
                    tuple(known[m, arm, phase] for m in TABLE_METRICS if (m, arm, phase) in known),
                )
                for phase in compared_phases(against)
            ),
        )
        for index, arm in enumerate(all_arms(compared))
        if arm in against.shared.arms
    )


def describe_outcome(against: RunAgainstBase, name: str) -> str:
    """Say in one sentence whether the runs differ."""
    asked = sum(each.p is not None for each in against.differences)
    found = distinct_differences(compared_metrics(against, name))
    if not asked:
        return f"Nothing that was measured in both can be compared with {name}."
    if not found:
        return (
            f"Nothing can be said to differ: none of {formatting.plural(asked, 'figure')} is further apart than "
            "chance alone would show."
        )
    counts = Counter(line.mark for line in found)
    said = " and ".join(f"{counts[mark]} {mark}" for mark in ("worse", "better") if counts[mark])
    return f"Of {formatting.plural(asked, 'figure')}, {name} has {said} than base."


def describe_incomparable(against: RunAgainstBase) -> tuple[str, ...]:
    """Say what was left out because only one of the two runs has it, or has it otherwise."""
    return against.shared.reasons


def describe_unknown_rates(compared: RunsCompared, against: RunAgainstBase, name: str) -> tuple[str, ...]:
    """Say which broken-pipe rates cannot be compared, because requests failed and why is not known."""
    return tuple(
        f"broken-pipe rate of {arm} in {phase}: in {run} {table.describe_unexplained(cell)}"
        for run, findings in (("base", compared.base.findings), (name, against.new.findings))
        for (arm, phase), cell in findings.cells.items()
        if cell.known_broken is None
    )


def verdict_warnings(run: RecordedRun) -> tuple[str, ...]:
    """The doubts about a run that make its verdict unknown."""
    return tuple(warning.text for warning in run.findings.warnings if warning.unknown)


def run_views(compared: RunsCompared, links: Sequence[str]) -> tuple[RunView, ...]:
    """The runs in the order in which they were given."""
    return tuple(
        RunView(
            index=index,
            name=run_name(index, len(compared.runs)),
            label=run_label(run),
            started=run.findings.started,
            verdict=run.findings.verdict.value,
            link=link,
        )
        for index, (run, link) in enumerate(zip(compared.runs, links, strict=True))
    )


def _compared_metric(each: RunDifference, name: str) -> ComparedMetric:
    write, ends = difference_formatters(each.metric)
    value = value_formatter(each.metric)
    return ComparedMetric(
        metric=each.metric,
        name=METRIC_NAMES[each.metric],
        phase=each.phase,
        arm=each.arm,
        base=value(each.base.value if each.base else None),
        new=value(each.new.value if each.new else None),
        difference=format_signed(each.difference, write),
        interval=ends(each.ci95),
        chance=formatting.chance(each.p),
        mark=("worse" if _is_worse(each) else "better") if each.differs else UNDECIDED_TEXT,
        said=_describe_difference(each, name),
    )


def _is_worse(each: RunDifference) -> bool:
    """More of anything that is compared is worse, except of what was answered."""
    more = each.difference is not None and each.difference > 0
    return not more if each.metric is Metric.REQUESTS_PER_S else more


def _describe_difference(each: RunDifference, name: str) -> str:
    if each.base is None or each.new is None:
        return f"not known of {'base' if each.base is None else name}"
    if each.differs:
        return f"{'more' if (each.difference or 0.0) > 0 else 'less'} than base"
    if each.smallest_seen is None:
        return f"{each.base.episodes} and {formatting.plural(each.new.episodes, 'episode')} cannot tell"
    write, _ = difference_formatters(each.metric)
    return f"no difference seen; one of {write(each.smallest_seen)} or more would have been"
