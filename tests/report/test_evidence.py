"""What stands below the sentence of the verdict, for someone who reads no table."""

from __future__ import annotations

from dataclasses import replace

from brokenpipe.formatting import plain
from brokenpipe.interval import Interval
from brokenpipe.measure.failures.request_stage import RequestStage
from brokenpipe.measure.model.attribution import Attribution, AttributionCounts, Relation, count_attributions
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Comparison
from brokenpipe.measure.model.write_counts import WriteAudit, WriteCounts
from brokenpipe.report.run import arm_differences, headline_sentences

from . import samples


def _attributed(count: int, *, pre_ping: bool | None, tie: Relation = Relation.DIRECT) -> list[Attribution]:
    fault = "" if tie is Relation.UNATTRIBUTED else "socket_kill"
    moment = RequestStage.MID_STATEMENT
    return [Attribution(tie, fault, "socket_kill", 1, "link", moment, pre_ping, recycle=None)] * count


def _with_failures(of_control: AttributionCounts) -> Findings:
    found = samples.default()
    cells = {place: replace(cell, attribution=None) for place, cell in found.cells.items()}
    place = (found.control, "socket_kill")
    cells[place] = replace(cells[place], attribution=of_control)
    return replace(found, cells=cells, comparisons=(), ledger={})


def _compared(
    arm: str, phase: str, difference: float, p: float, metric: str = "added_broken_pipe_rate"
) -> Comparison:
    return Comparison(arm, phase, metric, 12, difference, None, p, 0.01, 7)


def _books(arm: str, written: WriteCounts, unread: str = "") -> WriteAudit:
    return WriteAudit(arm, unread, {"steady": written}, 0, ())


def test_failures_are_split_by_what_could_have_prevented_them() -> None:
    """Preventable, not preventable, owed to nothing and not known add up to all failed requests of the control."""
    some = [
        *_attributed(6, pre_ping=True),
        *_attributed(21, pre_ping=False),
        *_attributed(2, pre_ping=None, tie=Relation.UNATTRIBUTED),
        *_attributed(1, pre_ping=None),
    ]
    (said,) = headline_sentences.headline_sentences(_with_failures(count_attributions(some)))
    assert said == (
        "Of the 30 failed requests of plain, 6 could have been prevented by pre-ping or recycle, "
        "21 by neither: only a retry in the service helps, 2 caused by no fault on record, 1 cannot be determined."
    )


def test_only_differences_beyond_chance_are_named() -> None:
    """Less and more are told apart, arms are gathered by phase, and what chance can do is not said."""
    found = replace(
        _with_failures(count_attributions([])),
        comparisons=(
            _compared("pre_ping", "idle_reset", -0.03, 0.001),
            _compared("both", "idle_reset", -0.03, 0.001),
            _compared("recycle", "socket_kill", 0.02, 0.04),
            _compared("both", "socket_kill", -0.02, 0.06),
        ),
    )
    assert headline_sentences.headline_sentences(found) == (
        "Not by chance: pre_ping and both in idle_reset broke less than plain.",
        "Not by chance: recycle in socket_kill broke more than plain.",
    )


def test_failed_and_broken_are_said_once_where_they_say_the_same() -> None:
    """Who failed less and broke less has one sentence; who failed more and broke less has both."""
    found = replace(
        _with_failures(count_attributions([])),
        comparisons=(
            _compared("pre_ping", "idle_reset", -0.03, 0.001, "added_failure_rate"),
            _compared("recycle", "idle_reset", 0.04, 0.001, "added_failure_rate"),
            _compared("pre_ping", "idle_reset", -0.03, 0.001),
            _compared("recycle", "idle_reset", -0.03, 0.001),
            _compared("both", "idle_reset", 12, 0.001, "added_p50_ms"),
        ),
    )
    assert headline_sentences.headline_sentences(found) == (
        "Not by chance: pre_ping in idle_reset failed less than plain.",
        "Not by chance: recycle in idle_reset broke less than plain.",
        "Not by chance: recycle in idle_reset failed more than plain.",
    )


def test_a_difference_is_bold_only_where_its_interval_agrees() -> None:
    """The signs of the episodes decide whether, the interval says how much; where it reaches 0, that is said."""
    (less,) = _lines(replace(_compared("both", "latency", -0.03, 0.03), ci95=Interval(-0.08, 0.004)))
    assert (less.differs, less.said) == (False, "less than plain; by how much is not known")
    (sure,) = _lines(replace(_compared("both", "latency", -0.03, 0.03), ci95=Interval(-0.08, -0.004)))
    assert (sure.differs, sure.said) == (True, "less than plain")


def test_latencies_beside_unlike_failures_say_so() -> None:
    """Half of the control's requests failed: what the others took is no measure of its speed."""
    found = samples.default()
    place = (found.control, "latency")
    cells = {**found.cells, place: replace(found.cells[place], requests=100, failed=50)}
    slower = replace(_compared("both", "latency", 28, 0.001, "added_p50_ms"), ci95=Interval(20, 36))
    (line,) = arm_differences.difference_lines(replace(found, cells=cells, comparisons=(slower,)))
    said = "more than plain; of the requests that succeeded only: 0 % failed here, 50 % in plain"
    assert (line.differs, plain(line.said)) == (False, said)


def test_what_failed_and_broke_alike_has_one_line() -> None:
    """Where every failed request was a broken one, two lines would say one thing."""
    failed = _compared("both", "idle_reset", -0.03, 0.001, "added_failure_rate")
    broken = _compared("both", "idle_reset", -0.03, 0.001)
    assert [line.what for line in _lines(failed, broken)] == ["broken-pipe rate"]
    found = samples.default()
    place = ("both", "idle_reset")
    cells = {**found.cells, place: replace(found.cells[place], failed=found.cells[place].broken + 1)}
    lines = arm_differences.difference_lines(replace(found, cells=cells, comparisons=(failed, broken)))
    assert [line.what for line in lines] == ["failed", "broken-pipe rate"]


def _lines(*comparisons: Comparison) -> tuple[arm_differences.DifferenceLine, ...]:
    return arm_differences.difference_lines(replace(samples.default(), comparisons=comparisons))


def test_writes_are_summed_over_the_arms_that_could_be_read() -> None:
    """Lost writes are counted, and an arm whose database could not be read is named."""
    written = WriteCounts(acknowledged=100, refused=3, unanswered=1, lost=0, unacknowledged=2, doubled=1)
    ledger = {
        "plain": _books("plain", written),
        "both": _books("both", WriteCounts(acknowledged=50, lost=1)),
        "recycle": _books("recycle", WriteCounts(), unread="Postgres was gone"),
    }
    assert headline_sentences.headline_sentences(
        replace(_with_failures(count_attributions([])), ledger=ledger)
    ) == (
        "What became of the writes of recycle is not known.",
        (
            "1 of 150 acknowledged writes of plain and both was lost; 2 stored though never acknowledged; "
            "1 stored more than once."
        ),
    )


def test_where_there_is_nothing_to_say_nothing_is_said() -> None:
    """No failure, no difference, no ledger: no sentence."""
    assert headline_sentences.headline_sentences(_with_failures(count_attributions([]))) == ()
