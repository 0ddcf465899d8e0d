"""`report.html`: one file that shows everything about one experiment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from bokeh.plotting import figure

from brokenpipe import atomic_write
from brokenpipe.measure.model.findings import FailureGroup, Findings
from brokenpipe.measure.model.verdict import Check, Verdict
from brokenpipe.measure.sizing.curve import Sizing, sizing_curve
from brokenpipe.measure.verdict.headline import cost_text, share_range_text
from brokenpipe.report.charts import Charts, Roles, draw_timelines
from brokenpipe.report.run import (
    arm_differences,
    baseline,
    headline_sentences,
    ledger,
    memory,
    pool_settings,
    recovery,
    request_time,
    size_chart,
    sizing,
    table,
    time_chart,
)
from brokenpipe.report.template import render


def _drawn(drawn: Charts) -> Mapping[str, object]:
    return {
        "document": drawn.document,
        "roots": drawn.roots,
        "range": drawn.range_id,
        "whole": [drawn.start_s, drawn.end_s],
        "roles": drawn.roles,
    }


def _by_weight(groups: tuple[FailureGroup, ...]) -> list[FailureGroup]:
    return sorted(groups, key=lambda group: (not group.disconnect, -sum(group.count_by_arm.values())))


def _by_verdict(checks: tuple[Check, ...]) -> list[Check]:
    order = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.PASS)
    return sorted(checks, key=lambda check: order.index(check.verdict))


def _settings(findings: Findings) -> str | None:
    """The settings of the arm that is recommended; None if none is."""
    best = findings.best
    return pool_settings.settings_text(findings, best.arm) if best and best.is_recommended else None


def _draw_others(
    findings: Findings, sized: Sizing | None, times: tuple[request_time.TimePhase, ...], roles: Roles
) -> Mapping[str, figure]:
    """Draw the charts with other axes than time since the begin."""
    sizes = size_chart.draw_size_charts(findings, sized, roles) if sized else {}
    return {**sizes, **time_chart.draw_time_charts(findings, times, roles)}


def render_html(findings: Findings) -> str:
    """Render the page as text."""
    sized = sizing_curve(findings)
    times = request_time.time_phases(findings)
    drawn = draw_timelines(findings, partial(_draw_others, findings, sized, times))
    return render(
        "run/report.html.j2",
        f=findings,
        charts=drawn.shown,
        drawn=_drawn(drawn) if drawn.shown else None,
        rows=table.arm_rows(findings),
        memory=memory.memory_rows(findings),
        settings=_settings(findings),
        sizing=sizing.sizing_section(findings, sized) if sized else None,
        times=times,
        time_heads=request_time.HEADS,
        unknown_times=tuple(request_time.unknown_time_texts(findings)),
        part_colours=time_chart.PART_COLOURS,
        panels=recovery.recovery_panels(findings),
        groups=_by_weight(findings.failures),
        books=ledger.ledger_rows(findings),
        checks=_by_verdict(tuple(check for check in findings.checks if check.baseline is None)),
        held=baseline.baseline_rows(findings),
        differences=arm_differences.difference_lines(findings),
        evidence=headline_sentences.headline_sentences(findings),
        cost_words=cost_text,
        share_ends=share_range_text,
        by_request=table.latency_by_request(findings),
        phase_index={phase.name: index for index, phase in enumerate(findings.phases)},
        arm_index={arm: index for index, arm in enumerate(findings.arms)},
    )


def write_html(findings: Findings, path: Path) -> None:
    """Write the page in one step. Raises OSError when it cannot be written."""
    atomic_write.write_text(path, render_html(findings))
