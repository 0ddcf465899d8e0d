"""What a wire's timeline says, of a link log and acts made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brokenpipe.testing.connections import ConnectionLog
from brokenpipe.testing.timeline import MOST_LINES, WireAct, timeline

MS = 1_000_000
LOG = [
    {"k": "clock", "t": 0, "pid": 1},
    {"k": "link_opened", "t": 10 * MS, "arm": "a", "port": 5001},
    {"k": "link_opened", "t": 11 * MS, "arm": "b", "port": 5001},
    {"k": "link_opened", "t": 20 * MS, "arm": "a", "port": 5002},
    {"k": "link_cut", "t": 30 * MS, "arm": "a", "port": 5001, "toxic": "kill_switch", "reason": "killed"},
    {"k": "link_ended", "t": 31 * MS, "arm": "a", "port": 5001, "ender": "toxic"},
    {"k": "link_opened", "t": 40 * MS, "arm": "a", "port": 5001},
    {"k": "link_ended", "t": 50 * MS, "arm": "a", "port": 5001, "ender": "client"},
]


@pytest.fixture
def log(tmp_path: Path) -> ConnectionLog:
    path = tmp_path / "links.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in LOG))
    return ConnectionLog(path)


def test_each_line_is_an_event_of_this_wire_in_order(log: ConnectionLog) -> None:
    """A port that is used again is another connection; what was before the test is not told."""
    acts = [WireAct(29 * MS, "kill(how='reset')"), WireAct(2 * MS, "long ago")]
    assert timeline(acts, log.of_proxy("a"), 10 * MS) == (
        "       0.0 ms  connection 1 began, from port 5001",
        "      10.0 ms  connection 2 began, from port 5002",
        "      19.0 ms  kill(how='reset')",
        "      21.0 ms  connection 1 ended, by the wire (kill_switch), 21.0 ms old",
        "      30.0 ms  connection 3 began, from port 5001",
        "      40.0 ms  connection 3 ended, by its client, 10.0 ms old",
    )


def test_the_log_is_read_as_it_grows(log: ConnectionLog) -> None:
    """A line that is half written counts when it is whole; a proxy that is gone is forgotten."""
    half = json.dumps({"k": "link_ended", "t": 60 * MS, "arm": "a", "port": 5002, "ender": "server"}) + "\n"
    with log.path.open("a") as file:
        file.write(half[:20])
    assert [each.ended_ns is None for each in log.of_proxy("a")] == [False, True, False]
    with log.path.open("a") as file:
        file.write(half[20:])
    assert [each.ended_by for each in log.of_proxy("a")] == [
        "by the wire",
        "from the server's side",
        "by its client",
    ]
    log.forget("a")
    assert log.of_proxy("a") == ()
    assert len(log.of_proxy("b")) == 1


def test_a_long_timeline_keeps_its_ends_and_no_secret() -> None:
    """What is left out in the middle is counted."""
    acts = [WireAct(n * MS, f"act {n} of postgresql://u:geheim77@h/d") for n in range(1000)]
    lines = timeline(acts, (), 0)
    assert len(lines) == MOST_LINES + 1
    assert f"… {1000 - MOST_LINES} lines more …" in lines[MOST_LINES // 2]
    assert (lines[0].split()[3], lines[-1].split()[3]) == ("0", "999")
    assert "geheim77" not in "".join(lines)
