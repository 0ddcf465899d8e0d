"""What is imported when: a command answers before it loads what another one needs. Modules are counted, not time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEASURING = {"bokeh", "docker", "duckdb", "jinja2", "junitparser", "numpy", "pandas", "scipy"}
DRIVING = {"psycopg", "psutil", "requests", "toxiproxy", "trustme"}
LOADING = {"gevent", "locust"}
RUN = """
import brokenpipe.cli, brokenpipe.commands.running.execute as execute
from brokenpipe.commands.signals import InterruptHandler

def over(spec, remains):
    print(__import__("json").dumps(sorted(__import__("sys").modules)))
    raise SystemExit

import brokenpipe.drive.runner as runner
runner.record_experiment = over
__import__("sys").argv = ["brokenpipe", "run", "quick", "--reports", {reports!r}]
brokenpipe.cli.main()
"""

REPORT = """
import json, pathlib, sys
from brokenpipe.commands.reporting import prepared_report
from brokenpipe.report.index.index import write_index

prepared_report._import_all({html})
write_index(pathlib.Path({folder!r}))
print(json.dumps(sorted(sys.modules)))
"""


def _loaded(script: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout, done.stderr
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("html", [True, False])
def test_a_report_without_its_page_does_without_charts(tmp_path: Path, html: bool) -> None:
    """All that its process prepares, and the index page, are there without Bokeh."""
    loaded = _loaded(REPORT.format(html=html, folder=str(tmp_path)))
    assert loaded >= {"duckdb", "scipy", "jinja2"}
    assert ("bokeh" in loaded) is html


@pytest.fixture(scope="module")
def commands() -> set[str]:
    return _loaded("import brokenpipe.cli, json, sys; print(json.dumps(sorted(sys.modules)))")


def test_help_loads_nothing_that_drives_or_measures(commands: set[str]) -> None:
    """`brokenpipe --help` knows the commands and their options, which a scenario's faults are part of, and no more."""
    assert commands & (MEASURING | DRIVING | LOADING) == set()


def test_a_run_loads_nothing_that_measures(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Until its load is over, the run's process has loaded neither what measures nor what draws; Locust never."""
    loaded = _loaded(RUN.format(reports=str(tmp_path_factory.mktemp("reports"))))
    assert loaded & (MEASURING | LOADING) == set()
    assert loaded >= {"psycopg", "toxiproxy"}  # what drives is there


def test_locust_loads_no_plans() -> None:
    """Its processes write records, and know faults by their names only: no model of a scenario, and no pydantic."""
    loaded = _loaded("import brokenpipe.load.bootstrap, json, sys; print(json.dumps(sorted(sys.modules)))")
    assert (
        loaded & (MEASURING - {"jinja2"} | DRIVING - {"psutil", "requests"} | {"pydantic", "typer", "rich"})
        == set()
    )
    assert loaded >= LOADING


def test_a_command_reads_no_sources() -> None:
    """Descriptions of keys are read from the sources of models when a schema is asked for, and not before."""
    script = """
import inspect, json
read = []
inspect.getsource = inspect.getsourcelines = inspect.findsource = lambda of, *_: read.append(str(of)) or 1 / 0
import brokenpipe.cli, brokenpipe.drive.runner
print(json.dumps(read))
"""
    assert _loaded(script) == set()


def test_a_project_that_has_no_wire_pays_nothing_for_the_plugin() -> None:
    """Every pytest of an environment loads its module: beside pytest it takes nothing."""
    script = "import pytest, sys, json; before = set(sys.modules); import brokenpipe.pytest_plugin; "
    loaded = _loaded(script + "print(json.dumps(sorted(set(sys.modules) - before)))")
    assert loaded == {"brokenpipe"}


def test_a_wire_loads_nothing_that_loads_or_measures() -> None:
    """It works in the interpreter of the code under test, which gevent would patch and DuckDB would delay."""
    loaded = _loaded("import brokenpipe.testing, json, sys; print(json.dumps(sorted(sys.modules)))")
    assert loaded & (MEASURING | LOADING) == set()
    assert loaded >= {"psycopg", "toxiproxy"}
