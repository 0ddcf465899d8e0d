"""Skips, for the whole suite: allowed on a person's machine, failures in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"


SKIPS = {
    "a test": "import pytest\n\ndef test_skipped():\n    pytest.skip('no server here')\n",
    "a module": "import pytest\n\npytest.skip('no server here', allow_module_level=True)\n",
}


@pytest.mark.parametrize(("ci", "passes"), [("true", False), ("", True)])
@pytest.mark.parametrize("skip", SKIPS)
def test_a_skip_fails_with_ci(tmp_path: Path, skip: str, ci: str, passes: bool) -> None:
    """A skipped test lets the suite pass on a person's machine, and fails it with CI=true; xfail never does."""
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_skips.py").write_text(SKIPS[skip])
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.xfail\ndef test_expected():\n    assert False\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        ".",
    ]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode == 0) is passes, run.stdout
    assert ("no server here" in run.stdout) is bool(ci)
