"""Writing a history down and reading it back: every kind of line, every column."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from brokenpipe.errors import RecordingError, ReportError
from brokenpipe.history import records
from brokenpipe.history.reader import History, open_history
from brokenpipe.history.records import Record
from brokenpipe.history.schema.table import RecordTable
from brokenpipe.history.schema.tables import RECORDS, TABLES
from brokenpipe.history.writer import open_writer

OTHERS = ("witness", "links")  # files of others, who write without our records
KINDS = [record for record in RECORDS if not record.FILES.startswith(OTHERS)]
MOVING = (records.Resumed, records.ClockOffset)
LATE = 2**59  # nanoseconds on a machine that has been up for 18 years: no column may be too narrow
WITNESS_SITE = Path(__file__).parents[2] / "src" / "brokenpipe" / "witness" / "site"


def _value(name: str, hint: Any, *, full: bool) -> Any:
    """A value that no other field of the record has; for `full` False, None wherever that is allowed."""
    choices = get_args(hint)
    if type(None) in choices:
        return _value(name, choices[0], full=True) if full else None
    if get_origin(hint) is Literal:
        return choices[-1]
    if hint is bool:
        return True
    if get_origin(hint) is Mapping:
        return {name: LATE if choices[1] is int else name}
    number = sum(map(ord, name))
    if hint is int:
        is_time = name in {"t", "t0", "t1", "strike", "wall_ns", "rss_bytes"}
        return LATE + number if is_time else number
    return number + 0.125 if hint is float else f"{name} Ü \"'\n"


def _record(kind: type[Record], *, full: bool) -> Record:
    hints = get_type_hints(kind)
    fields = {
        field.name: _value(field.name, hints[field.name], full=full) for field in dataclasses.fields(kind)
    }
    return kind(**fields)


def _columns(table: RecordTable, widest: RecordTable) -> str:
    chosen = (name if name in table.columns else f"NULL AS {name}" for name in widest.columns)
    return f"SELECT {', '.join(chosen)} FROM {table.name}"


def _table(kind: type[Record]) -> RecordTable:
    return next(table for table in TABLES if table.kind == kind.KIND)


def _write(folder: Path, kinds: Iterable[type[Record]], *, full: bool) -> Path:
    """A history with one record of each of these kinds."""
    clock = records.Clock(t=LATE, wall_ns=0, pid=1, writer="experiment")
    (folder / "experiment.ndjson").write_text(json.dumps(clock.to_json()) + "\n")
    for kind in kinds:
        with open_writer(folder / _table(kind).files.replace("*", "all"), "someone") as writer:
            writer.write(_record(kind, full=full))
    return folder


@pytest.fixture(scope="module", params=[True, False], ids=["full", "without what may be missing"])
def full(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def together(full: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """All kinds but those that move the times of the others: reading takes as long as for one."""
    kinds = [kind for kind in KINDS if kind not in MOVING]
    with open_history(_write(tmp_path_factory.mktemp("together"), kinds, full=full)) as history:
        yield history


def _comes_back(history: History, kind: type[Record], *, full: bool) -> None:
    _, *narrow = [table for table in TABLES if table.kind == kind.KIND]  # narrow: for lines that say less
    table = _table(kind)
    assert list(table.columns) == [field.name for field in dataclasses.fields(kind)]
    rows = [row for one in (table, *narrow) for row in history.rows(_columns(one, table))]
    expected = tuple(
        json.dumps(value, separators=(",", ":")) if value and table.columns[name] == "JSON" else value
        for name, value in dataclasses.asdict(_record(kind, full=full)).items()
    )
    assert rows.count(expected) == 1
    found = rows[rows.index(expected)]
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in MOVING], ids=lambda kind: kind.KIND)
def test_a_record_comes_back_as_it_was(together: History, kind: type[Record], full: bool) -> None:
    """Written by the writer, read through its table: every field is a column, of its type, with its value."""
    _comes_back(together, kind, full=full)


@pytest.mark.parametrize("kind", MOVING, ids=lambda kind: kind.KIND)
def test_a_record_that_moves_others_comes_back_as_it_was(
    kind: type[Record], full: bool, tmp_path: Path
) -> None:
    """The same, of those that say where the times of others lie."""
    with open_history(_write(tmp_path, [kind], full=full)) as history:
        _comes_back(history, kind, full=full)


def test_every_kind_has_a_writer_that_is_documented() -> None:
    """The list at the head of the records names each kind of line that the harness writes."""
    listed = records.__doc__ or ""
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in listed] == []


def test_what_the_witness_writes_can_be_read(tmp_path: Path) -> None:
    """The witness imports nothing of ours, so only this ties its request line to the table that reads it."""
    program = """
from brokenpipe_witness import slow_operations
from brokenpipe_witness.checkout import Checkout
from brokenpipe_witness.request_context import RequestContext
from brokenpipe_witness.ndjson_file import now
request, checkout = RequestContext("User-1"), Checkout()
checkout.port, checkout.ping_ns, checkout.connect_ns, checkout.connect_began = 40_000, 2_000_000, 3_000_000, 1
checkout.handed, checkout.released, checkout.statements, checkout.wait_ns = 5, 1_000_005, 2, 4_000_000
request.checkouts.append(checkout)
error = ConnectionResetError(104, "Connection reset by peer")
request.add_error("statement", error, error, port=40_000, checkout=checkout, disconnect=True)
request.status = 500
checkout.busy, checkout.operation_began, checkout.operation_dead = True, now() - 10**9, False
slow_operations.ACTIVE_REQUESTS[1] = request
slow_operations.report_slow()
slow_operations.report_slow()
request.write(error)
"""
    (tmp_path / "experiment.ndjson").touch()
    environment = {
        "PYTHONPATH": str(WITNESS_SITE),
        "BROKENPIPE_WITNESS": str(tmp_path),
        "BROKENPIPE_ARM": "pre_ping",
    }
    command = [sys.executable, "-S", "-c", program]  # -S: without the sitecustomize that would load it
    subprocess.run(command, env=environment, check=True, timeout=60)
    with open_history(tmp_path) as history:
        ((arm, request_id, status, began, failed, checkouts, errors, raised),) = history.rows(
            "SELECT witness_arm, id, status, began, failed, checkouts, errors, raised FROM testimonies"
        )
        (waiting,) = history.one("SELECT waiting FROM testimonies")
        ((stalled, act, port, statement, dead, handed),) = history.rows(
            "SELECT id, act, port, statement, dead, handed FROM stalls WHERE t - since > 1e9"
        )
        (writer,) = history.one("SELECT writer FROM clocks")
    assert (arm, request_id, status, began, failed) == ("pre_ping", "User-1", 500, True, True)
    assert checkouts == [
        {
            "t": 5, "port": 40_000, "wait_ms": 4.0, "ping_ms": 2.0, "connect_ms": 3.0,
            "failed_ping_ms": None, "backoff_ms": None, "fresh": True, "dead": False,
            "held_ms": 1.0, "statements": 2, "statements_ms": 0.0,
        }
    ]  # fmt: skip
    (met,) = json.loads(errors)
    assert (met["where"], met["dead_at_checkout"]) == ("statement", False)
    assert met["chain"] == json.loads(raised)
    assert met["chain"][0]["errno"] == 104
    assert (stalled, act, port, statement, dead, handed) == ("User-1", "statement", 40_000, 2, False, 5)
    assert json.loads(waiting)["act"] == "statement"
    assert writer == "witness pre_ping"


def test_an_empty_history_has_every_table(tmp_path: Path) -> None:
    """Reading a run that was cut off at once asks for tables that no file has a line of yet."""
    with open_writer(tmp_path / "experiment.ndjson", "experiment"), open_history(tmp_path) as history:
        for table in TABLES:
            rows = history.rows(f"SELECT * FROM {table.name}")
            assert len(rows) == (table.name == "clocks"), table.name


def test_a_witness_of_many_processes_is_one_arm(tmp_path: Path) -> None:
    """Each worker of a target has a file of its own; the arm is in its name, digits and underscores and all."""
    (tmp_path / "experiment.ndjson").touch()
    for name in ("witness-arm_2-10.ndjson", "witness-arm_2-11.ndjson", "witness-arm-12.ndjson"):
        (tmp_path / name).write_text('{"k":"connect","t":1,"port":2,"ms":3.0}\n', encoding="utf-8")
    with open_history(tmp_path) as history:
        rows = history.rows("SELECT witness_arm, count(*) FROM connects GROUP BY ALL ORDER BY ALL")
    assert rows == [("arm", 1), ("arm_2", 2)]


@pytest.mark.parametrize("name", ["it's mine", "with [brackets]", "with * and ?", "Ü"])
def test_a_folder_may_have_any_name(name: str, tmp_path: Path) -> None:
    """A report folder can be copied to wherever one likes and read there."""
    folder = tmp_path / name
    folder.mkdir()
    with open_writer(folder / "experiment.ndjson", "experiment") as writer:
        writer.write(records.Finish(t=1, how="done"))
    with open_history(folder) as history:
        assert history.rows("SELECT how FROM finishes") == [("done",)]


def test_no_history_is_an_error_that_says_so(tmp_path: Path) -> None:
    """A folder without experiment.ndjson is no report folder."""
    with pytest.raises(ReportError, match=r"experiment\.ndjson") as caught, open_history(tmp_path):
        pass
    assert caught.value.remedy


@pytest.mark.parametrize(("content", "words"), [(None, "is not there"), ("{", "is not JSON")])
def test_a_document_that_cannot_be_read(tmp_path: Path, content: str | None, words: str) -> None:
    """plan.json may be missing or damaged; the message names it."""
    (tmp_path / "experiment.ndjson").touch()
    if content:
        (tmp_path / "plan.json").write_text(content, encoding="utf-8")
    with open_history(tmp_path) as history, pytest.raises(ReportError, match=rf"plan\.json.*{words}"):
        history.document("plan.json")


# --- the writer ---------------------------------------------------------------------------------------


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def test_a_file_opens_with_a_clock(tmp_path: Path) -> None:
    """The first line ties monotonic to wall time; opening a file again adds to it and rewrites nothing."""
    path = tmp_path / "nemesis.ndjson"
    for how in ("done", "failed"):
        with open_writer(path, "nemesis") as writer:
            writer.write(records.Finish(t=1, how=how))
    first, *others = _lines(path)
    assert (first["k"], first["writer"]) == ("clock", "nemesis")
    assert abs(first["wall_ns"] / 1e9 - path.stat().st_mtime) < 60
    assert [line["k"] for line in others] == ["finish", "clock", "finish"]


def test_what_is_written_is_in_the_file_at_once(tmp_path: Path) -> None:
    """A kill of the writer loses no record: nothing waits in a buffer of ours."""
    path = tmp_path / "experiment.ndjson"
    with open_writer(path, "experiment") as writer:
        writer.write(records.Finish(t=1, how="done"))
        assert [line["k"] for line in _lines(path)] == ["clock", "finish"]


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    """Four threads with long lines: every line is whole and none is lost."""
    path = tmp_path / "requests.ndjson"
    with open_writer(path, "load") as writer:

        def write(arm: str) -> None:
            for n in range(100):
                writer.write(records.RequestStart(t=n, arm=arm, id="x" * 5_000, name="POST /chat"))

        threads = [threading.Thread(target=write, args=(f"arm{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    started = [(line["arm"], line["t"]) for line in _lines(path) if line["k"] == "start"]
    assert sorted(started) == [(f"arm{n}", t) for n in range(4) for t in range(100)]


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    """What cannot be recorded is an error with the file's name and what to do, never silence."""
    with pytest.raises(RecordingError, match=r"none/experiment\.ndjson") as caught:
        open_writer(tmp_path / "none" / "experiment.ndjson", "experiment").__enter__()
    assert "--reports" in caught.value.remedy


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_disk_that_is_full() -> None:
    """The first record that does not fit is an error."""
    with pytest.raises(RecordingError, match="No space left"):
        open_writer(Path("/dev/full"), "experiment").__enter__()


def test_the_arm_of_a_witness_is_in_its_files_name_alone(tmp_path: Path) -> None:
    """A folder above it may be called anything, `witness-` included."""
    folder = tmp_path / "witness-x" / "20260101T000000Z"
    folder.mkdir(parents=True)
    (folder / "experiment.ndjson").touch()
    (folder / "witness-plain-12.ndjson").write_text('{"k":"connect","t":1,"port":2,"ms":3.0}\n')
    with open_history(folder) as history:
        assert history.rows("SELECT witness_arm FROM connects") == [("plain",)]


def test_an_object_of_before_lacks_a_key(tmp_path: Path) -> None:
    """A checkout of a history from before its last keys were recorded: they are NULL, and the line is read."""
    (tmp_path / "experiment.ndjson").touch()
    request = {"k": "request", "id": "User-1", "t0": 1, "checkouts": [{"port": 40_000}]}
    tally = {"k": "tally", "t": 1, "checkouts": 3}  # a number under the same name
    lines = "".join(json.dumps(line) + "\n" for line in (request, tally))
    (tmp_path / "witness-plain-1.ndjson").write_text(lines)
    with open_history(tmp_path) as history:
        ((checkouts,),) = history.rows("SELECT checkouts FROM testimonies")
        assert history.one("SELECT count(*) FROM unreadable")[0] == 0
    assert checkouts[0]["port"] == 40_000
    assert checkouts[0]["statements_ms"] is None
