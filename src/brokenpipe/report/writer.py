"""Every file that a report consists of, beside the history it was made from."""

from __future__ import annotations

from pathlib import Path

from brokenpipe import atomic_write
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.regression.baseline import Baseline
from brokenpipe.report.ci.junit import write_junit
from brokenpipe.report.ci.markdown import write_markdown
from brokenpipe.report.ci.metrics import write_metrics
from brokenpipe.report.ci.summary import write_summary

WRITERS = {
    "summary.json": write_summary,
    "junit.xml": write_junit,
    "summary.md": write_markdown,
    "metrics.jsonl": write_metrics,
}


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write what another run is held against, in one step. Raises OSError when it cannot be written."""
    atomic_write.write_text(path, baseline.model_dump_json() + "\n")


def write_report_files(findings: Findings, folder: Path, html: bool) -> Path:
    """Write all of them, each in one step, the page only if asked. Gives what people read.

    Raises OSError when one cannot be written.
    """
    for name, write in WRITERS.items():
        write(findings, folder / name)
    if not html:
        return folder / "summary.json"
    from brokenpipe.report.run.html import write_html  # Bokeh, which it brings, takes a second of a processor

    write_html(findings, folder / "report.html")
    return folder / "report.html"
