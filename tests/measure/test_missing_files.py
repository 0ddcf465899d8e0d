"""Removing or truncating a file of a history never makes a pass of it, and hides no failure that it does not hold."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.measure import warning_cases
from tests.measure.recorded import Recorded
from tests.measure.warning_cases import calm, codes_of
from tests.unit.plans import STEADY, scenario

from brokenpipe.errors import ReportError
from brokenpipe.history.fsync import syncing
from brokenpipe.history.inventory import list_files
from brokenpipe.history.records import Finish, RequestEnd
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.measure.pipeline import measure

SAMPLE = Path(__file__).parents[2] / "reports" / "sample"
FILES = ("gauges", "links", "nemesis", "requests", "witness-plain-77", "ledger")


def end(run: Recorded) -> None:
    """As a run ends: the last line lists all other files."""
    run.finish()
    path = run.folder / "experiment.ndjson"
    lines = path.read_text().splitlines()
    files = list_files(run.folder, but=path, seen={})
    path.write_text("\n".join([*lines[:-1], json.dumps(json.loads(lines[-1]) | {"files": files})]) + "\n")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that passes, with a line of every writer."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with calm(folder) as run:
        warning_cases.postgres(run)
        run.proxy("link_opened", 1, arm="plain", port=40_000)
        run.connect("plain", 0.1)
        run.ledger("plain", {"a": 1})
        end(run)
    assert measure(folder).verdict is Verdict.PASS
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("file", "left"), [*((file, left) for file in FILES for left in (None, 1)), ("gauges", 0), ("gauges", -1)]
)
def test_a_file_that_is_gone_or_shorter(copied: Path, file: str, left: int | None) -> None:
    """Removed, emptied, cut to its opening line, or without its last: unknown, and the file is named."""
    path = copied / f"{file}.ndjson"
    if left is None:
        path.unlink()
    else:
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:left]))
    findings = measure(copied)
    assert findings.verdict is Verdict.UNKNOWN
    (doubt,) = (each for each in findings.warnings if each.code == Code.HISTORY_INCOMPLETE)
    assert doubt.text.startswith(path.name)
    assert ": it would have told " in doubt.text


@pytest.mark.parametrize("left", [1, 5, -1])
def test_the_file_that_lists_the_others_cut(copied: Path, left: int) -> None:
    """Without its last line a run was cut off, so the list cannot be lost alone."""
    path = copied / "experiment.ndjson"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:left]))
    assert measure(copied).verdict is Verdict.UNKNOWN
    path.unlink()
    with pytest.raises(ReportError):
        measure(copied)


@pytest.mark.parametrize("file", ["gauges", "links", "nemesis", "requests", "ledger"])
def test_an_older_history_lacks_what_every_run_has(tmp_path: Path, file: str) -> None:
    """The sample has no list of its files: without one of them it is not whole."""
    folder = Path(shutil.copytree(SAMPLE, tmp_path / "sample"))
    (folder / f"{file}.ndjson").unlink()
    findings = measure(folder)
    assert Code.HISTORY_INCOMPLETE in codes_of(findings)
    assert findings.verdict is Verdict.UNKNOWN


def test_an_older_history_is_whole_without_a_list() -> None:
    """Nothing is missed where nothing is missing."""
    assert Code.HISTORY_INCOMPLETE not in codes_of(measure(SAMPLE))


def test_starts_that_are_gone(tmp_path: Path) -> None:
    """A request that was never answered is known by its start alone: ends that say there were starts give it away."""
    expect = [{"arm": "*", "phase": "steady", "metric": "failed", "equals": 0}]
    with Recorded(tmp_path, scenario(STEADY, expect=expect)) as run:
        run.phase("steady", [(0, 2, None), (2, 4, None)])
        for arm in ("plain", "pre_ping"):
            run.requests(arm, [0.1, 2.1], ms=600)
        run.request("plain", 0.2, None)
        run.finish()
    assert measure(tmp_path).verdict is Verdict.FAIL
    path = tmp_path / "requests.ndjson"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if json.loads(line)["k"] != "start"))
    findings = measure(tmp_path)
    assert codes_of(findings) == {Code.HISTORY_INCOMPLETE}
    assert findings.verdict is Verdict.UNKNOWN


def failed_run(folder: Path) -> None:
    with calm(folder) as run:
        run.load(
            RequestEnd(
                run.at(1), "plain", "POST /chat", "User-x", 5.0, 500, failure="status", error="HTTP 500"
            )
        )
        warning_cases.postgres(run)
        run.proxy("link_opened", 1, arm="plain", port=40_000)
        end(run)


def without(folder: Path, file: str) -> Findings:
    (folder / file).unlink()
    return measure(folder)


@pytest.mark.parametrize(
    ("file", "verdict"),
    [
        ("gauges.ndjson", Verdict.FAIL),
        ("links.ndjson", Verdict.FAIL),
        ("nemesis.ndjson", Verdict.FAIL),
        ("requests.ndjson", Verdict.UNKNOWN),
    ],
)
def test_a_lost_file_hides_no_failure_of_another(tmp_path: Path, file: str, verdict: Verdict) -> None:
    """A request that failed did so whatever the gauges would have said."""
    failed_run(tmp_path)
    assert without(tmp_path, file).verdict is verdict


def test_a_file_that_grew_is_whole(copied: Path) -> None:
    """What was written after the list was made is no loss; nor is a list that names a file elsewhere."""
    with (copied / "witness-plain-77.ndjson").open("a") as file:
        file.write('{"k":"connect","t":1,"port":1,"ms":1.0}\n')
    assert measure(copied).verdict is Verdict.PASS
    assert replace(Finish(1, "done"), files={"x": 1}).to_json()["files"] == {"x": 1}


def test_what_was_removed_while_the_run_went_on_is_listed(tmp_path: Path) -> None:
    """Also what not every run has: the witness of an arm. A file that was cut is listed as long as it was."""
    for name, text in (("witness-plain-77", "a\n"), ("gauges", "ab\n"), ("experiment", "abc\n")):
        (tmp_path / f"{name}.ndjson").write_text(text)
    with syncing(tmp_path) as fsyncer:
        fsyncer.sync()
        (tmp_path / "witness-plain-77.ndjson").unlink()
        (tmp_path / "gauges.ndjson").write_text("")
        files = list_files(tmp_path, but=tmp_path / "experiment.ndjson", seen=fsyncer.sizes)
    assert files == {"gauges.ndjson": 3, "witness-plain-77.ndjson": 2}
