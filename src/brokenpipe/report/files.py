"""Every file that a report consists of, beside the history it was made from."""

from __future__ import annotations

from pathlib import Path

from brokenpipe.measure.baseline import Baseline
from brokenpipe.measure.findings import Findings
from brokenpipe.report import atomic
from brokenpipe.report.html import write_html
from brokenpipe.report.junit import write_junit
from brokenpipe.report.markdown import write_markdown
from brokenpipe.report.metrics import write_metrics
from brokenpipe.report.summary import write_summary

WRITERS = {
    "summary.json": write_summary,
    "junit.xml": write_junit,
    "summary.md": write_markdown,
    "metrics.jsonl": write_metrics,
    "report.html": write_html,
}


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write what another run is held against, in one step. Raises OSError when it cannot be written."""
    atomic.write_text(path, baseline.model_dump_json() + "\n")


def write_files(findings: Findings, folder: Path) -> Path:
    """Write all of them, each in one step. The path of the page. Raises OSError when one cannot be written."""
    for name, write in WRITERS.items():
        write(findings, folder / name)
    return folder / "report.html"
