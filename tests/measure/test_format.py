"""The format of a history: the present one, the one before it, and one that is not known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import CLOSED, Recorded, error
from tests.unit.plans import scenario
from tests.unit.test_sample_report import SAMPLE

from brokenpipe.errors import ReportError
from brokenpipe.faults.recorded import describe_fault
from brokenpipe.history.reader import open_history
from brokenpipe.history.records import FORMAT
from brokenpipe.measure.pipeline import measure

ROOT = Path(__file__).parents[2]
SLOW = {"name": "slow", "fault": {"name": "latency", "ms": 150}, "seconds": 4}
KILL = {"name": "kill", "fault": {"name": "socket_kill", "how": "fin"}, "episodes": 2, "every_s": 1.0}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """A latency that is held, two strikes, and a failure of each."""
    with Recorded(tmp_path / "run", scenario(SLOW, KILL, arms=["plain"])) as recorded:
        recorded.probe()
        recorded.phase("slow", [(0, 4, None)])
        recorded.act("plain", "inject", "latency", 0, "slow")
        recorded.act("plain", "heal", "latency", 4, "slow")
        recorded.phase("kill", [(5, 6, 5.5), (6, 7, 6.5)])
        recorded.act("plain", "renew", None, 4.5, "kill")
        for n in range(2):
            recorded.act("plain", "inject", "socket_kill", 5.5 + n, "kill", n)
        recorded.land("plain", "kill", 2)
        recorded.request("plain", 5.7, errors=[error("statement", CLOSED, dead=True)])
        recorded.requests("plain", [n / 4 for n in range(28)])
        recorded.finish()
        yield recorded


def rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    lines = [change(json.loads(line)) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def as_format_1(line: dict[str, Any]) -> dict[str, Any]:
    parameters = line.pop("parameters", None)
    line.pop("format", None)
    line.pop("timed_from", None)
    if "fault" in line:
        line["fault"] = describe_fault(line["fault"], parameters) if line["fault"] else "none"
    return line


def test_a_fault_is_a_name_and_parameters(run: Recorded) -> None:
    """In the file and in the table; what belongs to no fault has neither."""
    with open_history(run.folder) as history:
        rows = history.rows("SELECT action, fault, parameters FROM acts ORDER BY t0")
    assert [(action, fault, json.loads(parameters)) for action, fault, parameters in rows[:2]] == [
        (action, "latency", {"ms": 150, "jitter_ms": 0, "direction": "downstream"})
        for action in ("inject", "heal")
    ]
    assert (rows[2][:2], json.loads(rows[3][2])) == (("renew", None), {"how": "fin"})


def test_a_history_of_format_1_says_the_same(run: Recorded) -> None:
    """With faults as texts, whose parameters the plan has, it gives the same findings."""
    now = measure(run.folder)
    for name in ("experiment", "nemesis"):
        rewrite(run.folder / f"{name}.ndjson", as_format_1)
    with open_history(run.folder) as history:
        acts = history.rows("SELECT action, fault, parameters FROM acts ORDER BY t0")
        (timed_from,) = history.one("SELECT min(timed_from) FROM landings")
    assert [act[:2] for act in acts[:3]] == [("inject", "latency"), ("heal", "latency"), ("renew", None)]
    assert (json.loads(acts[0][2])["ms"], timed_from) == (150, "injection")
    then = measure(run.folder)
    assert (then.cells, then.failures, then.health.median_landing_ms) == (
        now.cells,
        now.failures,
        now.health.median_landing_ms,
    )


def test_a_resumed_history_may_have_both_formats(run: Recorded) -> None:
    """Lines of format 2 beside a file of format 1 keep the parameters that they have."""

    def first_part(line: dict[str, Any]) -> dict[str, Any]:
        return as_format_1(line) if line["k"] == "clock" or line.get("fault") == "latency" else line

    rewrite(run.folder / "nemesis.ndjson", first_part)
    with open_history(run.folder) as history:
        rows: dict[str, str] = dict(history.rows("SELECT fault, max(parameters) FROM acts GROUP BY fault"))
    assert json.loads(rows["latency"])["ms"] == 150
    assert json.loads(rows["socket_kill"]) == {"how": "fin"}


def test_the_self_tests_of_the_sample_have_parameters() -> None:
    """It is of format 1: a self-test's text is that of a fault of the plan, and reads as it always did."""
    found = measure(SAMPLE).contract_results
    assert {one.fault_text for one in found} == {"idle_reset · reset after 500 ms idle"}
    assert [one.parameters for one in found] == [{"after_ms": 500, "how": "reset", "when": "at_once"}] * 3


def test_parameters_that_the_plan_does_not_have_are_unknown(run: Recorded) -> None:
    """A plan that cannot be read, or names another fault: the name is known, and no parameter is made up."""
    rewrite(run.folder / "nemesis.ndjson", as_format_1)
    (run.folder / "plan.json").write_text('{"scenario": {"phases": [{"name": "slow", "fault": "odd"}]}}')
    with open_history(run.folder) as history:
        rows = history.rows("SELECT DISTINCT fault, parameters FROM acts ORDER BY fault NULLS LAST")
    assert rows == [("latency", None), ("socket_kill", None), (None, None)]


def test_a_later_format_is_refused(run: Recorded) -> None:
    """With the file, the format that it has, those that are read, and what to do."""
    path = run.folder / "nemesis.ndjson"
    rewrite(path, lambda line: {**line, "format": 3} if line["k"] == "clock" else line)
    with pytest.raises(ReportError) as refused:
        measure(run.folder)
    assert str(path) in refused.value.message
    assert "has format 3; this version of brokenpipe reads formats 1 to 2" in refused.value.message
    assert "Use the version of brokenpipe that recorded it" in (refused.value.remedy or "")


@pytest.mark.parametrize("text", ['{"k":"clock","format":"x"}', '{"k":"clock","format":-1}', "[", "7", ""])
def test_a_damaged_first_line_is_damage(run: Recorded, text: str) -> None:
    """It is no later format: the rest is read, and what cannot be read is counted."""
    path = run.folder / "nemesis.ndjson"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([text, *lines[1:], ""]))
    with open_history(run.folder) as history:
        assert history.one("SELECT count(*) FROM acts WHERE fault = 'latency'") == (2,)


def test_all_writers_agree_on_the_format() -> None:
    """The witness and the proxy import nothing of ours: their numbers are the one of the records."""
    witness = ROOT / "src" / "brokenpipe" / "witness" / "site" / "brokenpipe_witness" / "ndjson_file.py"
    for path, name in ((witness, "HISTORY_FORMAT"), (ROOT / "proxies" / "links.go", "const historyFormat")):
        assert re.findall(rf"^{name} = (\d+)", path.read_text(), re.MULTILINE) == [str(FORMAT)]
