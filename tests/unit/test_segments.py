"""Segments: a writer whose file has become large goes on in another, and nothing is lost at the seam."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from brokenpipe.history.file_names import first_file, last_part, part_of, segment_file
from brokenpipe.history.reader import open_history
from brokenpipe.load import request_log
from brokenpipe.load.request_log import RequestLog


@dataclass(frozen=True)
class Asked:
    """A request that the log is told of."""

    id: str
    start_ns: int = 1
    arm: str = "plain"
    name: str = "GET /"
    key: str | None = None
    start_logged: bool = False


@pytest.mark.parametrize("part", [1, 2])
def test_requests_go_on_in_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    """Each file opens with a clock and ends with a whole line; together they have every request, once."""
    monkeypatch.setattr(request_log, "LARGE_BYTES", 1_000)
    first_file(tmp_path, "experiment").touch()
    log = RequestLog(first_file(tmp_path, "requests", part))
    for n in range(100):
        log.end(Asked(f"User-{n}"), 5.0, 200)
        if n % 3 == 0:
            log.flush()
    log.flush()
    files = sorted(tmp_path.glob("requests*.ndjson"))
    assert len(files) > 5
    assert {part_of(path) for path in files} == {part}
    assert last_part(tmp_path) == part
    for path in files:
        first, *_ = path.read_text().splitlines()
        assert json.loads(first)["k"] == "clock"
        assert path.read_bytes().endswith(b"\n")
        assert path.stat().st_size < 2_000
    with open_history(tmp_path) as history:
        assert history.one("SELECT count(*), count(*) FILTER (t_end IS NOT NULL) FROM requests") == (100, 100)


@pytest.mark.parametrize("ends", [1, request_log.BATCH, 2 * request_log.BATCH + 1])
def test_every_end_is_written(tmp_path: Path, ends: int) -> None:
    """However many ends there are between two flushes, each has its line, in order: successes, failures and writes."""
    log = RequestLog(first_file(tmp_path, "requests"))
    for n in range(ends):
        if n % 3:
            log.end(Asked(f"User-{n}", key=str(n) if n % 2 else None), 5.0, 200)
        else:
            log.failed_end(Asked(f"User-{n}"), 5.0, 0, request_log.RequestFailure("timeout", "late"))
    log.flush()
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line["id"] for line in lines if line["k"] == "end"] == [f"User-{n}" for n in range(ends)]


def test_names(tmp_path: Path) -> None:
    """A part is in the name of each file of it, a segment as well; an arm's name cannot pass for either."""
    assert first_file(tmp_path, "links").name == "links.ndjson"
    assert first_file(tmp_path, "links", 3).name == "links.r3.ndjson"
    assert segment_file(first_file(tmp_path, "requests"), 2).name == "requests.2.ndjson"
    assert segment_file(first_file(tmp_path, "requests", 2), 2).name == "requests.r2.2.ndjson"
    parts = {"witness-v.r2-10.ndjson": 1, "witness-v.r2-10.r3.ndjson": 3, "requests.r2.12.ndjson": 2}
    assert {name: part_of(Path(name)) for name in parts} == parts
