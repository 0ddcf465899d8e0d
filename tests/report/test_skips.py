"""Skips, for the whole suite: allowed on a person's machine, failures in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"

# Each in a file of its own, so that one process asks all of them.
FILES = {
    "test_one": "import pytest\n\ndef test_skipped():\n    pytest.skip('no server here')\n",
    "test_module": "import pytest\n\npytest.skip('no engine here', allow_module_level=True)\n",
    "test_xfail": "import pytest\n\n@pytest.mark.xfail\ndef test_expected():\n    assert False\n",
}


@pytest.mark.parametrize(
    ("ci", "counted"), [("true", "1 failed, 1 xfailed, 1 error in"), ("", "2 skipped, 1 xfailed in")]
)
def test_a_skip_fails_with_ci(tmp_path: Path, ci: str, counted: str) -> None:
    """A skip lets the suite pass on a person's machine, and fails it with CI=true; xfail never does."""
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", ".", "--continue-on-collection-errors"],
        cwd=tmp_path,
        env={**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert counted in run.stdout, run.stdout
    assert (run.returncode == 0) is not bool(ci)
    assert all((reason in run.stdout) is bool(ci) for reason in ("no server here", "no engine here"))
