"""What the witness and the Toxiproxy server write, without our records, is what is declared."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brokenpipe.history.records import Clock
from brokenpipe.history.records.base import Record
from brokenpipe.history.records.witness import (
    WitnessCheckout,
    WitnessException,
    WitnessOperation,
    WitnessRequest,
)
from brokenpipe.history.schema.tables import RECORDS

ROOT = Path(__file__).parents[2]
WITNESS = ROOT / "src" / "brokenpipe" / "witness" / "site" / "brokenpipe_witness"
SAMPLE = ROOT / "reports" / "sample"


def declared(writer: str) -> dict[str, type[Record]]:
    """The records of a writer's files, by their tags."""
    return {record.KIND: record for record in (Clock, *RECORDS) if record.FILES.startswith((writer, "*"))}


def keys_of(record: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(record)}


def dictionaries() -> Iterator[tuple[str, set[str]]]:
    """The tag and the keys of every record that the witness's source writes as a dictionary."""
    for path in sorted(WITNESS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict):
                named = [
                    (str(key.value), value)
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant)
                ]
                tags = [value.value for key, value in named if key == "k" and isinstance(value, ast.Constant)]
                for tag in tags:
                    yield str(tag), {key for key, _ in named if key != "k"}


def test_the_witness_writes_what_is_declared() -> None:
    """Each dictionary with a tag in its source has a record with all its keys; and each record is written."""
    written = list(dictionaries())
    records = declared("witness")
    assert {kind for kind, _ in written} == set(records)
    assert [
        (kind, keys - keys_of(records[kind])) for kind, keys in written if keys - keys_of(records[kind])
    ] == []


def test_the_proxy_writes_what_is_declared() -> None:
    """Each tag in its source has a record, and its line has no key that the records do not have."""
    source = (ROOT / "proxies" / "links.go").read_text(encoding="utf-8")
    records = declared("links")
    assert set(re.findall(r'Kind: "(\w+)"', source)) == set(records)
    keys = set(re.findall(r'json:"(\w+)(?:,omitempty)?"', source)) - {"k"}
    assert keys == set().union(*map(keys_of, records.values()))


@pytest.mark.parametrize("path", sorted(SAMPLE.glob("*.ndjson")), ids=lambda path: path.name)
def test_every_line_of_a_real_run_is_declared(path: Path) -> None:
    """Its tag and all its keys, those of nested values too, in a history that a run has written."""
    records = declared(re.split(r"[-.]", path.name)[0])
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        kind = records[line.pop("k")]
        assert set(line) <= keys_of(kind), kind
        if kind is not WitnessRequest:
            continue
        for checkout in line.get("checkouts") or ():
            assert set(checkout) <= keys_of(WitnessCheckout)
        for operation in (*(line.get("errors") or ()), line.get("waiting") or {}):
            assert set(operation) <= keys_of(WitnessOperation)
            for link in operation.get("chain") or ():
                assert set(link) <= keys_of(WitnessException)
