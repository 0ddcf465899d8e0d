"""In a job of GitHub Actions: annotations in its log, and a summary on its page. Elsewhere: nothing."""

from __future__ import annotations

import os
from pathlib import Path

from brokenpipe.commands import console
from brokenpipe.measure.model.findings import Findings
from brokenpipe.report.ci.github_annotations import workflow_commands
from brokenpipe.report.ci.markdown import markdown


def write_github_summary(findings: Findings) -> None:
    """Print annotations, and append to the file that GitHub names. A failed write is printed, and is no error."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for command in workflow_commands(findings):
            console.out.print(command, soft_wrap=True)
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if not page:
        return
    try:
        with Path(page).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(markdown(findings))
    except OSError as error:
        console.err.print(f"GITHUB_STEP_SUMMARY={page}: cannot be written: {error.strerror}", soft_wrap=True)
