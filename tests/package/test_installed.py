"""brokenpipe where there is no checkout: installed from its wheel, in an empty folder, with an empty home."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from tests.package.conftest import Installation

from brokenpipe.commands.signals import EXIT_UNKNOWN

pytestmark = [pytest.mark.exclusive, pytest.mark.timeout(600)]
ATTEMPTS = 3
SAMPLE = ("fastapi", "sqlalchemy", "asyncpg", "psycopg2-binary", "uvicorn", "pydantic-settings", "starlette")


def test_the_demo_passes_in_an_empty_folder(installation: Installation) -> None:
    """The proxy is built into the user's cache, the package is not written to, and the report is found again."""
    before = installation.files()
    refused = installation.run("run", "default")
    assert refused.returncode == 2
    assert "`brokenpipe demo`" in refused.stderr

    played = _decided(installation)
    assert played.returncode == 0, played.stdout + played.stderr
    assert re.search(r"PASS\s+\S+/report\.html$", played.stdout.strip())
    assert [path.name for path in installation.folder.iterdir()] == ["brokenpipe"]
    assert [path.name for path in (installation.folder / "brokenpipe").iterdir()] == ["reports"]
    assert {path.name for path in installation.home.iterdir()} <= {
        ".cache",
        ".config",
    }  # Go keeps its settings there
    assert list((installation.home / ".cache/brokenpipe/toxiproxy").glob("toxiproxy-*"))
    assert installation.files() == before

    summary = installation.folder / "brokenpipe/reports/quick/latest/summary.json"
    assert json.loads(summary.read_text())["verdict"] == "pass"
    listed = installation.run("list")
    assert (listed.returncode, "quick" in listed.stdout) == (0, True)
    _without_the_sample(installation)


def _decided(installation: Installation) -> subprocess.CompletedProcess[str]:
    """The first play that decided. An unknown says nothing of what is tested here: the machine was taken away."""
    for _ in range(ATTEMPTS):
        played = installation.run("demo", "quick")
        if played.returncode != EXIT_UNKNOWN:
            break
    return played


def _without_the_sample(installation: Installation) -> None:
    """The harness needs nothing of what only the sample's services import."""
    uninstall = [str(installation.python), "-m", "pip", "uninstall", "--quiet", "--yes", *SAMPLE]
    subprocess.run(uninstall, check=True, capture_output=True)
    assert installation.run("demo", "--dry-run").returncode == 2
    said = installation.run("demo").stderr
    assert "the sample agent needs asyncpg, fastapi, psycopg2-binary" in said
    assert "pip install" in said
    assert installation.run("--version").returncode == 0
    doctor = installation.run("doctor")
    assert "Traceback" not in doctor.stderr
    assert "This machine" in doctor.stdout
