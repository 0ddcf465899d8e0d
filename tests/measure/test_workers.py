"""How users are dealt to workers, and how a worker's clock is brought to ours."""

from __future__ import annotations

from itertools import islice, takewhile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.measure.recorded import Recorded
from tests.unit.plans import STEADY, scenario

from brokenpipe.history import records
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.worker_clocks import worker_clocks
from brokenpipe.history.writer import open_writer
from brokenpipe.load.distributed.clock_sync import PingSample, estimate_offset
from brokenpipe.load.shards import Shard
from brokenpipe.measure.model.findings import Findings

MS = 1_000_000
# Machines that booted two hours later than ours, a day later (most likely before ours did: their times are negative on
# our clock, or ours on theirs), and a day earlier.
AWAY_NS = [7_777_000_000_000, 99_777_000_000_000, -99_777_000_000_000]


@given(of=st.integers(1, 9), users=st.lists(st.integers(0, 30), min_size=1, max_size=4))
def test_every_user_has_one_worker(of: int, users: list[int]) -> None:
    """No number twice, none left out, and no worker has more than one user more than another."""
    shards = [Shard(number, of) for number in range(of)]
    before, held = 0, [0] * of
    for count in users:
        dealt = [list(takewhile(count.__gt__, shard.user_numbers(before))) for shard in shards]
        assert sorted(number for numbers in dealt for number in numbers) == list(range(count))
        assert [len(numbers) for numbers in dealt] == [shard.user_count(count, before) for shard in shards]
        held = [sum(both) for both in zip(held, map(len, dealt), strict=True)]
        before += count
    assert max(held) - min(held) <= 1


def test_one_process_has_all_users() -> None:
    """Without workers nothing changes."""
    assert list(islice(Shard(0, 1).user_numbers(5), 4)) == [0, 1, 2, 3]


@given(
    offset=st.integers(-(10**15), 10**15),
    ways=st.lists(st.tuples(st.integers(0, 50 * MS), st.integers(0, 50 * MS)), min_size=1, max_size=8),
)
def test_an_offset_is_never_off_by_more_than_it_says(offset: int, ways: list[tuple[int, int]]) -> None:
    """However long a ping took there, and however long its answer back."""
    samples = [PingSample(0, there + offset, there + back) for there, back in ways]
    found = estimate_offset(samples)
    assert abs(found.offset_ns - offset) <= found.error_ns + 1
    quickest = min(there + back for there, back in ways)
    assert found.error_ns <= quickest + 1


def test_one_machine_has_one_clock() -> None:
    """An offset within its error is none: two processes here are not moved apart by how fast a ping is answered."""
    assert estimate_offset([PingSample(100, 180, 200)]).offset_ns == 0


def _synced(run: Recorded, *measured: tuple[int, int]) -> None:
    for n, (offset_ns, error_ns) in enumerate(measured):
        run.experiment(records.ClockOffset(run.at(n), "w1", offset_ns, error_ns))


@pytest.mark.parametrize(
    ("measured", "offset_ns", "error_ns"),
    [
        ([(5 * MS, 2 * MS), (6 * MS, 1 * MS)], 6 * MS, 1 * MS),  # the narrowest; they agree
        ([(5 * MS, 1 * MS), (9 * MS, 1 * MS)], 5 * MS, 3 * MS),  # a drift: what they contradict each other by
    ],
)
def test_the_best_measurement_counts(
    tmp_path: Path, measured: list[tuple[int, int]], offset_ns: int, error_ns: int
) -> None:
    """And what another says against it is part of the error."""
    with Recorded(tmp_path, scenario(STEADY)) as run:
        _synced(run, *measured)
        (clock,) = worker_clocks(run.folder)
    assert (clock.offset_ns, clock.error_ns, clock.measurements) == (offset_ns, error_ns, len(measured))


def _workers_log(run: Recorded, shift_ns: int, times: list[float]) -> None:
    """Requests of worker w1, whose clock shows so much less than ours."""
    with open_writer(run.folder / "requests-w1.ndjson", "load") as log:
        for n, at in enumerate(times):
            for arm in ("plain", "pre_ping"):
                t = run.at(at) - shift_ns
                if n % 2:
                    log.write(records.RequestStart(t, arm, f"User-1-{n}", "POST /chat"))
                log.write(
                    records.RequestEnd(
                        t, arm, "POST /chat", f"User-1-{n}", ms=50, status=200, begun=True if n % 2 else None
                    )
                )
        log.write(records.LoopLag(run.at(1) - shift_ns, 700.0))


def _figures(folder: Path, shift_ns: int, *, synced: bool) -> Findings:
    steady = scenario(STEADY, expect=[{"arm": "*", "phase": "steady", "metric": "failed", "equals": 0}])
    with Recorded(folder, steady) as run:
        run.phase("steady", [(0, 2, None), (2, 4, None)])
        if synced:
            _synced(run, (shift_ns, MS))
        run.requests("plain", [0.5, 2.5])
        run.requests("pre_ping", [0.5, 2.5])
        _workers_log(run, shift_ns, [0.6, 1.2, 2.2, 3.0, 5.0])
        run.finish()
    return run.measured()


@pytest.mark.parametrize("away_ns", AWAY_NS)
def test_a_worker_on_another_clock_is_read_on_ours(tmp_path: Path, away_ns: int) -> None:
    """The same figures as if it had been here: its requests are in the same episodes, its lag in the same phase."""
    here = _figures(tmp_path / "here", 0, synced=True)
    away = _figures(tmp_path / "away", away_ns, synced=True)
    lost = _figures(tmp_path / "lost", away_ns, synced=False)
    requests = {"here": here, "away": away, "lost": lost}
    counts = {name: found.cells["plain", "steady"].requests for name, found in requests.items()}
    assert counts == {"here": 6, "away": 6, "lost": 2}
    assert away.cells["plain", "steady"].latency_ms == here.cells["plain", "steady"].latency_ms
    assert {Code.GENERATOR_LAGGED} <= {warning.code for warning in away.warnings}
    (worker,) = away.health.workers
    assert (worker.worker, worker.offset_ns, worker.error_ns) == ("w1", away_ns, MS)
