"""Histories of format 1, read as format 2.

In format 1 a fault was a text: its name, and its parameters as they are shown to readers. The name is its first word.
The parameters are taken from the plan: from the phase in which it was injected, or, for a self-test, from the fault
with the same text. Where the plan has no such fault, they are unknown. No other module takes anything out of a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from brokenpipe.faults.recorded import recorded_fault
from brokenpipe.files import UnfitFile
from brokenpipe.json_file import read_object

_SPLIT = "nullif(split_part(t.fault, ' ', 1), 'none')"
_NAMED = f"{_SPLIT} AS fault, coalesce(t.parameters, p.parameters) AS parameters"
_OF_PHASE = f"ON p.phase = t.phase AND p.name = {_SPLIT}"
_TIMED_FROM = (
    "coalesce(timed_from, CASE WHEN expected LIKE '%after injection' THEN 'injection' END) AS timed_from"
)
_AS_FORMAT_2: Mapping[str, str] = {
    "acts": f"SELECT t.* REPLACE ({_NAMED}) FROM acts t LEFT JOIN plan_faults p {_OF_PHASE}",
    "landings": f"SELECT t.* REPLACE ({_NAMED}, {_TIMED_FROM}) FROM landings t LEFT JOIN plan_faults p {_OF_PHASE}",
    "probes": f"SELECT t.* REPLACE ({_NAMED}) FROM probes t LEFT JOIN tested_faults p ON p.text = t.fault",
}


def read_as_format_2(connection: duckdb.DuckDBPyConnection, folder: Path, kept: str) -> None:
    """Replace the tables (each a `kept`, VIEW or TABLE) that hold faults. Lines of format 2 stay as they are."""
    connection.execute("CREATE TABLE plan_faults (phase VARCHAR, name VARCHAR, parameters JSON)")
    connection.execute("CREATE TABLE tested_faults (text VARCHAR, parameters JSON)")
    tested = {}
    for phase, name, parameters in _faults_in_plan(folder):
        connection.execute("INSERT INTO plan_faults VALUES (?, ?, ?)", (phase, name, json.dumps(parameters)))
        if fault := recorded_fault(name, parameters):
            tested[str(fault.shortened())] = json.dumps(fault.shortened().parameters)
    for row in tested.items():
        connection.execute("INSERT INTO tested_faults VALUES (?, ?)", row)
    for table, query in _AS_FORMAT_2.items():
        connection.execute(f"CREATE TABLE {table}_2 AS {query}")
        connection.execute(f"DROP {kept} {table}")
        connection.execute(f"ALTER TABLE {table}_2 RENAME TO {table}")


def _faults_in_plan(folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Phase, name and parameters, as far as the plan can be read. A plan that cannot be read is reported elsewhere."""
    try:
        phases = read_object(folder / "plan.json")["scenario"]["phases"]
        for phase in phases:
            if fault := dict(phase.get("fault") or {}):
                yield str(phase["name"]), str(fault.pop("name")), fault
    except (UnfitFile, KeyError, TypeError, AttributeError, ValueError):
        return
