"""Which libraries the witness says it sees: each once, with its version, and never a word to the service."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

from brokenpipe.witness import SITE

PROGRAM = """
import sys
import {library}
before = set(sys.modules)
from brokenpipe_witness import planes
planes.record(planes.REQUESTS, "{library}")
planes.record(planes.REQUESTS, "{library}")
planes.record(planes.POOLS, "never_imported")
assert "importlib.metadata" not in set(sys.modules) - before
"""


def recorded(library: str, folder: Path) -> list[tuple[str, str, str | None]]:
    """Plane, library and version of each line that a process writes."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-S", "-c", PROGRAM.format(library=library)],
        env={
            "PYTHONPATH": os.pathsep.join((str(SITE), *filter(None, sys.path))),
            "BROKENPIPE_WITNESS": str(folder),
            "BROKENPIPE_ARM": "plain",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (path,) = folder.glob("witness-plain-*.ndjson")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(line["plane"], line["library"], line["version"]) for line in lines if line["k"] == "plane"]


def test_a_version_that_the_module_has(tmp_path: Path) -> None:
    """Written once, without importing what finds versions; of a library that is not there none is known."""
    assert recorded("uvicorn", tmp_path) == [
        ("requests", "uvicorn", importlib.metadata.version("uvicorn")),
        ("pools", "never_imported", None),
    ]


def test_a_version_that_only_the_distribution_has(tmp_path: Path) -> None:
    """Werkzeug's module has none, and warns those who ask it."""
    assert recorded("werkzeug", tmp_path)[0][2] == importlib.metadata.version("werkzeug")
