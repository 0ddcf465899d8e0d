"""Report folders of strangers, damaged in any way: an answer that names what is wrong, and never a better verdict."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from tests.sabotage import recorded_runs
from tests.sabotage.damaging import ESCAPES, MARKUP, damage_folder
from tests.sabotage.drawing import assert_short_and_plain, bounded, draws, soon
from tests.unit.shell import Answer, brokenpipe

from brokenpipe.errors import ReportError
from brokenpipe.measure.pipeline import measure

PROJECT = Path(__file__).parents[2]
BASES: dict[str, Callable[[Path], Path]] = {"fail": recorded_runs.failed, "unknown": recorded_runs.unknown}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One run of each verdict that is no pass, undamaged, by that verdict."""
    place = tmp_path_factory.mktemp("runs")
    return {verdict: make(place / verdict) for verdict, make in BASES.items()}


def _report(*arguments: object) -> Answer:
    with soon():
        answer = brokenpipe("report", *map(str, arguments))
    assert_short_and_plain(answer)
    return answer


@pytest.mark.parametrize("verdict", BASES)
def test_the_runs_are_what_they_are_called(verdict: str, runs: dict[str, Path]) -> None:
    """Else nothing below would say anything."""
    assert measure(runs[verdict]).verdict == verdict


@bounded(6)
@given(draw=draws)
def test_a_folder_damaged_in_any_way(draw: random.Random, runs: dict[str, Path]) -> None:
    """Its report is made, with a verdict that is no better than it was; or the answer names the file and what to do."""
    before = draw.choice([*BASES])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(runs[before], Path(place) / "it"))
        done = damage_folder(draw, folder)
        answer = _report(folder)
        assert answer.exit_code in {0, 2}, (done, answer)
        if answer.exit_code == 2:
            assert str(folder) in answer.said, done
            assert "\n→ " in answer.err, done
            return
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        assert summary["verdict"] in {"unknown", before}, done
        doubted = any(warning["unknown"] for warning in summary["warnings"]) or summary["finished"] != "done"
        assert summary["verdict"] == before or doubted, done


# --- what was seen to go wrong --------------------------------------------------------------------------

DOCUMENTS = {
    "null": ("environment.json", "null", "environment.json: found nothing (null); must be a JSON object"),
    "a list": ("environment.json", "[]", "environment.json: found a list; must be a JSON object"),
    "of other types": (
        "environment.json",
        '{"cores": "two", "versions": 5, "memory_bytes": 1e300}',
        "cores: must be a valid integer",
    ),
    "nested": ("environment.json", '{"code": ' * 2000 + "1" + "}" * 2000, "is nested too deeply"),
    "a key twice": ("environment.json", '{"cores": 1, "cores": 2}', "cores: stands there twice"),
    "digits": ("plan.json", '{"scenario": ' + "9" * 5000 + "}", "a whole number of 5,000 digits"),
    "no number": ("plan.json", '{"scenario": NaN}', "found NaN; is no number that JSON knows"),
    "another version": ("plan.json", '{"stem": "it", "plan": 2}', "this version cannot read it"),
    "half": ("plan.json", '{"stem": "it", ', "is not JSON"),
}


@pytest.mark.parametrize("what", DOCUMENTS)
def test_a_document_that_no_run_writes(what: str, runs: dict[str, Path], tmp_path: Path) -> None:
    """The answer names the file, the key, and what is wrong."""
    name, text, said = DOCUMENTS[what]
    folder = Path(shutil.copytree(runs["fail"], tmp_path / "it"))
    (folder / name).write_text(text, encoding="utf-8")
    answer = _report(folder)
    assert answer.exit_code == 2
    assert said in answer.said


_REQUEST: dict[str, object] = {
    "k": "end",
    "t0": 1,
    "arm": "plain",
    "name": "x",
    "id": "a",
    "ms": 5,
    "status": 200,
}
_EPISODE: dict[str, object] = {
    "k": "episode",
    "phase": "kill",
    "n": 0,
    "t0": 0,
    "t1": 1,
    "strike": 0,
    "counts": True,
}
LINES: dict[str, tuple[str, object]] = {
    "a time of 9e18": ("requests", {**_REQUEST, "t0": 9 * 10**18}),
    "an episode of 285 years": ("experiment", {**_EPISODE, "t1": 9 * 10**18}),
    "an episode of a number that is none": ("experiment", {**_EPISODE, "n": 2**31 - 1}),
    "a negative time": ("requests", {**_REQUEST, "t0": -(9 * 10**18), "ms": -5}),
    "no number": ("requests", {"k": "lag", "t": 1, "ms": float("nan")}),
    "another type": ("nemesis", {"k": "landing", "t": "soon", "fault": 5, "arm": [], "landed": "yes"}),
    "an arm that is none": ("requests", {**_REQUEST, "arm": "nobody"}),
    "no kind": ("links", {}),
    "no object": ("gauges", None),
}


@pytest.mark.parametrize("what", LINES)
def test_a_line_that_no_run_records(what: str, runs: dict[str, Path], tmp_path: Path) -> None:
    """It counts as unreadable, is in no table, and the verdict is unknown by that name."""
    writer, line = LINES[what]
    folder = Path(shutil.copytree(runs["unknown"], tmp_path / "it"))
    with (folder / f"{writer}.ndjson").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    findings = measure(folder)
    assert findings.verdict == "unknown"
    assert "lines_unreadable" in {warning.code for warning in findings.warnings}


@pytest.mark.parametrize("name", ["requests.ndjson", "plan.json", "experiment.ndjson"])
def test_a_file_that_is_another(name: str, runs: dict[str, Path], tmp_path: Path) -> None:
    """As long as it was, and with another content: nothing that it says is certain."""
    folder = Path(shutil.copytree(runs["fail"], tmp_path / "it"))
    path = folder / name
    content = path.read_text(encoding="utf-8")
    at = content.index("pre_ping")
    path.write_text(content[:at] + content[at:].replace("pre_ping", "plain   ", 1), encoding="utf-8")
    try:
        findings = measure(folder)
    except ReportError:  # a plan whose arms are not what they were
        assert name == "plan.json"
    else:
        assert findings.verdict == "unknown"
        assert "history_changed" in {warning.code for warning in findings.warnings}


def test_what_was_appended_later_is_no_change(runs: dict[str, Path], tmp_path: Path) -> None:
    """A writer may end after the run: up to where it was then, its file is what it was."""
    folder = Path(shutil.copytree(runs["fail"], tmp_path / "it"))
    with (folder / "gauges.ndjson").open("a", encoding="utf-8") as file:
        file.write((folder / "gauges.ndjson").read_text(encoding="utf-8"))
    assert "history_changed" not in {warning.code for warning in measure(folder).warnings}


def test_one_bad_folder_does_not_end_the_comparison(runs: dict[str, Path], tmp_path: Path) -> None:
    """It is named, with what is wrong; the others are compared; whoever named three learns it by the exit code."""
    bad = Path(shutil.copytree(runs["fail"], tmp_path / "bad"))
    (bad / "environment.json").write_text("null", encoding="utf-8")
    page = tmp_path / "page.html"
    answer = _report(bad, runs["fail"], runs["unknown"], "--output", page)
    assert answer.exit_code == 2
    assert f"left out: {bad}/environment.json: found nothing (null)" in answer.said
    assert "\n→ " in answer.err
    assert answer.out.splitlines()[-1] == str(page)
    assert "Left out" in page.read_text(encoding="utf-8")


def test_two_are_needed_to_compare(runs: dict[str, Path], tmp_path: Path) -> None:
    """With one that can be read there is nothing to show."""
    answer = _report(runs["fail"], tmp_path / "gone")
    assert answer.exit_code == 2
    assert "1 of 2 runs cannot be read" in answer.said
    assert not answer.out


def test_no_escape_reaches_the_terminal(runs: dict[str, Path], tmp_path: Path) -> None:
    """What a plan, a log line or a path of a stranger says is shown, and neither obeyed nor taken for a style."""
    folder = Path(shutil.copytree(runs["fail"], tmp_path / "it"))
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    plan["scenario"]["title"] = plan["scenario"]["question"] = (ESCAPES + MARKUP)[:200]
    plan["scenario"]["env"] = {"HOSTILE": ESCAPES + MARKUP}
    plan["stem"] = f"../../{ESCAPES}{MARKUP}"
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    (other / "environment.json").write_text(
        json.dumps({"system": ESCAPES, "command": MARKUP}), encoding="utf-8"
    )
    for arguments in ([folder], [folder, other]):
        answer = _report(*arguments)
        assert answer.exit_code == 0
        assert "::error" not in {line[:7] for line in (answer.out + answer.err).splitlines()}
    for name in ("summary.md", "junit.xml"):
        assert "\x1b" not in (folder / name).read_text(encoding="utf-8")


def test_summaries_of_strangers_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no summary is named by `trend` and shown by `list`; the others are drawn."""
    sample = json.loads((PROJECT / "reports" / "sample" / "summary.json").read_text(encoding="utf-8"))
    reports = tmp_path / "reports"
    for n in range(3):
        place = reports / "sample" / f"2026030{n + 1}T000000Z"
        place.mkdir(parents=True)
        day = {**sample, "started": f"2026-03-0{n + 1}T00:00:00Z"}
        (place / "summary.json").write_text(json.dumps(day), encoding="utf-8")
    strange: list[Any] = [
        None,
        [],
        {**sample, "started": "0001-01-01T00:00:00"},
        {**sample, "duration_s": 1e300},
        {**sample, "arms": 5},
    ]
    for n, document in enumerate(strange):
        place = reports / "sample" / f"2026040{n + 1}T000000Z"
        place.mkdir(parents=True)
        (place / "plan.json").write_text("{}", encoding="utf-8")
        (place / "summary.json").write_text(json.dumps(document), encoding="utf-8")
    (reports / "sample" / "latest").symlink_to("gone")
    for command, times in ((["trend", str(reports)], len(strange)), (["list", "--reports", str(reports)], 0)):
        monkeypatch.chdir(PROJECT)
        with soon():
            answer = brokenpipe(*command)
        assert_short_and_plain(answer)
        assert answer.exit_code == 0
        assert answer.out.count("skipped ") == times


def test_a_line_that_is_called_as_one_of_ours(runs: dict[str, Path], tmp_path: Path) -> None:
    """A tick of the witness has less than one of the probe, and is as it should be."""
    folder = Path(shutil.copytree(runs["fail"], tmp_path / "it"))
    begin = json.loads((folder / "experiment.ndjson").read_text(encoding="utf-8").partition("\n")[0])["t"]
    with (folder / "witness-plain-77.ndjson").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"k": "tick", "t": begin + 1, "pid": 77}) + "\n")
    findings = measure(folder)
    assert findings.verdict == "fail"
    assert "lines_unreadable" not in {warning.code for warning in findings.warnings}
