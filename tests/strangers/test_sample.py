"""The second question, asked of the report that comes with this repository: of a service of our own, and of before."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.stack.runs import REPOSITORY
from tests.strangers.claims import unproven
from tests.strangers.made import make_report


def test_the_sample_claims_nothing_that_its_history_does_not_prove(tmp_path: Path) -> None:
    """As this version tells it; the history was recorded by an earlier one."""
    folder = tmp_path / "sample" / "20260314T092653Z"
    shutil.copytree(REPOSITORY / "reports" / "sample", folder)
    assert unproven(make_report(folder)) == []
