"""What is recommended: who fails less by more than chance, at a price that is one, in settings that run as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.unit.plans import KILL, STEADY, arms_of, scenario

from brokenpipe.formatting import plain
from brokenpipe.interval import Interval
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import ArmCost, RankedBy, Recommendation
from brokenpipe.measure.verdict.headline import cost_text
from brokenpipe.measure.verdict.ranking import ranked_by
from brokenpipe.report.run import headline_sentences

WRONG: Mapping[str, Any] = {"failure": "declared", "error": "wrong result"}
UNAVAILABLE: Mapping[str, Any] = {"status": 503, "failure": "status"}
UNSEEN: Mapping[str, Any] = {"status": 500, "failure": "status"}
STALE: Mapping[str, Any] = {"errors": [error("statement", RESET, dead=True)]}
CONNECTING: Mapping[str, Any] = {"errors": [error("connect", RESET)]}
Fails = Mapping[str, Sequence[int]]  # arm → how many of each episode's requests fail


def _struck(
    run: Recorded, phase: str, fails: Fails, how: Mapping[str, Any], first: int = 0, of: int = 10
) -> None:
    """One second an episode, a strike in its middle, `of` requests an arm."""
    episodes = len(next(iter(fails.values())))
    times = range(first, first + episodes)
    run.phase(phase, [(n, n + 1, n + 0.5) for n in times])
    for arm, counts in fails.items():
        run.land(arm, phase, episodes)
        for n, count in zip(times, counts, strict=True):
            for i in range(of):
                run.request(arm, n + (i + 0.5) / of, **(how if i < count else {}))


def _kill(folder: Path, fails: Fails, how: Mapping[str, Any], of: int = 10) -> Findings:
    episodes = len(next(iter(fails.values())))
    with Recorded(folder, scenario({**KILL, "episodes": episodes}, arms=tuple(fails))) as run:
        run.probe()
        _struck(run, "kill", fails, how, of=of)
        run.finish()
    return run.measured()


def _best(found: Findings) -> Recommendation:
    assert found.best is not None
    return found.best


def _said(found: Findings) -> str:
    return plain(found.sentence).removeprefix("In doubt: ")


# --- failed first, broken where that is known -----------------------------------------------------------------


def test_failed_is_compared_where_no_witness_sees_why(tmp_path: Path) -> None:
    """16 : 0 in eight of eight episodes is no silence, though nobody saw a connection."""
    found = _kill(tmp_path, {"plain": [2] * 8, "pre_ping": [0] * 8}, UNSEEN)
    assert _said(found).startswith("pre_ping prevents 100 % of the failed requests that users of plain see")
    assert "0 of 80 failed instead of 16 of 80, and how many of them were broken is not known" in _said(found)
    assert "Not by chance: pre_ping in kill failed less than plain." in headline_sentences.headline_sentences(
        found
    )
    assert any(
        "Arms are compared by all that failed" in said
        for said in headline_sentences.headline_sentences(found)
    )


def test_wrong_results_are_failures_though_nothing_broke(tmp_path: Path) -> None:
    """117 wrong results are not nothing."""
    found = _kill(tmp_path, {"plain": [9] * 13, "pre_ping": [9] * 13}, WRONG)
    assert _said(found) == (
        "No setting did better than plain itself: 117 of 130 requests failed, 0 of them broken."
    )


def test_failures_without_a_fault_are_no_reason_to_recommend(tmp_path: Path) -> None:
    """20 × 503 where no fault was, none where one was: said so, instead of that nothing broke."""
    with Recorded(tmp_path, scenario(STEADY, {**KILL, "episodes": 8})) as run:
        run.probe()
        _struck(run, "steady", {"plain": [5] * 4, "pre_ping": [0] * 4}, UNAVAILABLE)
        _struck(run, "kill", {"plain": [0] * 8, "pre_ping": [0] * 8}, UNAVAILABLE, first=4)
        run.finish()
    assert _said(run.measured()) == (
        "20 of 120 requests of plain failed, none of them in a phase with a fault: no setting can be recommended."
    )


def test_where_nothing_failed_there_was_nothing_to_prevent(tmp_path: Path) -> None:
    """Only then; and if another arm's requests failed, that is said."""
    nothing = _kill(tmp_path / "none", {"plain": [0] * 8, "pre_ping": [0] * 8}, UNSEEN)
    assert _said(nothing) == "Nothing failed in plain, so there was nothing for another setting to prevent."
    other = _kill(tmp_path / "other", {"plain": [0] * 8, "pre_ping": [1, *[0] * 7]}, UNSEEN)
    assert _said(other) == "Nothing failed in plain, but 1 of 80 requests of pre_ping did."


def test_what_failed_and_what_broke_is_said_once_if_it_is_the_same(tmp_path: Path) -> None:
    """Of the broken ones everything is known: no second sentence about them."""
    found = _kill(tmp_path, {"plain": [2] * 8, "pre_ping": [0] * 8}, STALE)
    assert "0 of 80 failed instead of 16 of 80, all of them broken" in _said(found)
    assert [said for said in headline_sentences.headline_sentences(found) if "Not by chance" in said] == [
        "Not by chance: pre_ping in kill failed less than plain."
    ]


# --- who is best ------------------------------------------------------------------------------------------------


def test_never_best_who_fails_more_than_the_control(tmp_path: Path) -> None:
    """Recycle breaks nothing and fails more, because it meets resets while it connects; users see failed."""
    fails = {"plain": [11, 10, 11, 11], "pre_ping": [7, 8, 7, 7], "recycle": [12, 11, 11, 11]}
    with Recorded(tmp_path, scenario({**KILL, "episodes": 12}, arms=tuple(fails))) as run:
        run.probe()
        run.phase("kill", [(n, n + 1, n + 0.5) for n in range(12)])
        for arm, counts in fails.items():
            run.land(arm, "kill", 12)
            for n, count in enumerate(counts * 3):
                for i in range(100):
                    how = {} if i >= count else CONNECTING if arm == "recycle" else STALE
                    run.request(arm, n + (i + 0.5) / 100, **how)
        run.finish()
    found = run.measured()
    assert [found.cell(arm, "kill").broken for arm in fails] == [129, 87, 0]
    assert _best(found).arm == "pre_ping"
    assert "87 of 1,200 failed instead of 129 of 1,200" in _said(found)


def test_what_helps_in_one_phase_and_harms_more_in_another_is_not_best(tmp_path: Path) -> None:
    """Recycle prevents every stale connection of one phase, and meets more resets in the other than it prevents."""
    idle = {**KILL, "name": "idle", "episodes": 12}
    arms = ("plain", "recycle")
    with Recorded(tmp_path, scenario(idle, {**KILL, "episodes": 12}, arms=arms)) as run:
        run.probe()
        _struck(run, "idle", {"plain": [1] * 12, "recycle": [0] * 12}, STALE)
        _struck(run, "kill", {"plain": [1] * 12, "recycle": [3] * 12}, CONNECTING, first=12)
        run.finish()
    found = run.measured()
    assert (
        _said(found)
        == "No setting did better than plain itself: 24 of 240 requests failed, 12 of them broken."
    )
    assert headline_sentences.headline_sentences(found)[-2:] == (
        "Not by chance: recycle in idle failed less than plain.",
        "Not by chance: recycle in kill failed more than plain.",
    )


def _died(run: Recorded, arm: str, at: float, *, stale: bool) -> None:
    """A request that died of the strike half a second after its episode began."""
    broke = error("statement", RESET, dead=stale)
    times = {"t": run.at(at + 0.02), "began": run.at(at - 0.01), "handed": run.at(at - 0.015)}
    run.request(
        arm, at - 0.02, 50, errors=[{**broke, **times, "statement": 1, "dead": stale, "transaction": 0}]
    )


def _tls(folder: Path) -> Findings:
    """Three arms: equal where a setting can help, apart in use; recycle costs 37 ms, pre-ping 4."""
    idle = {**KILL, "name": "idle", "episodes": 12}
    in_use = {**KILL, "name": "in_use", "episodes": 12}
    added = {"plain": 0.0, "pre_ping": 4.0, "recycle": 37.0}
    deaths = {"plain": 2, "pre_ping": 2, "recycle": 1}
    with Recorded(folder, scenario(STEADY, idle, in_use, arms=tuple(added))) as run:
        run.probe()
        run.phase("steady", [(n, n + 1, None) for n in range(4)])
        run.phase("idle", [(n, n + 1, n + 0.5) for n in range(4, 16)])
        run.phase("in_use", [(n, n + 1, n + 0.5) for n in range(16, 28)])
        for arm, ms in added.items():
            run.land(arm, "idle", 12)
            run.land(arm, "in_use", 12)
            for n in range(28):
                run.requests(arm, [n + i / 10 for i in range(8)], 50 + ms + n % 3)
                if n >= 4:
                    run.act(arm, "inject", "socket_kill", n + 0.5, "idle" if n < 16 else "in_use", n)
                for _ in range(deaths[arm] if n >= 16 else 0):
                    _died(run, arm, n + 0.5, stale=False)
                if arm == "plain" and 4 <= n < 16:
                    _died(run, arm, n + 0.505, stale=True)
        run.finish()
    return run.measured()


def test_deaths_in_use_are_no_merit_and_of_equals_the_cheaper_is_named(tmp_path: Path) -> None:
    """Recycle had fewer requests under way each time the server went: no setting of a pool is to thank for that."""
    found = _tls(tmp_path)
    assert found.cell("recycle", "in_use").in_use < found.cell("pre_ping", "in_use").in_use
    best = _best(found)
    assert (best.arm, best.tied, best.ranked_by) == ("pre_ping", ("recycle",), RankedBy.PREVENTABLE)
    assert best.better_in == ("idle",)
    assert _said(found).endswith(
        "pre_ping and recycle do not differ by more than chance; pre_ping is cheaper (+4 ms against +37 ms)."
    )


def test_other_settings_than_a_pools_may_prevent_deaths_in_use() -> None:
    """A service that tries again is better than one that does not: there all failed requests count."""
    found = scenario(STEADY, arms=("plain", "pre_ping"))
    assert ranked_by(found) is RankedBy.PREVENTABLE
    retries = found.model_copy(update={"arms": arms_of({"plain": {}, "retry": {"RETRIES": "1"}})})
    assert ranked_by(retries) is RankedBy.FAILED
    other = found.model_copy(update={"arms": arms_of({"plain": {}, "old": {"with": ["asyncpg==0.31.0"]}})})
    assert ranked_by(other) is RankedBy.FAILED


def test_what_may_be_chance_is_no_recommendation(tmp_path: Path) -> None:
    """Four requests fewer in four of eight episodes are a finding only if the episodes agree about it."""
    found = _kill(tmp_path, {"plain": [1, 1, 1, 1, 0, 1, 0, 0], "pre_ping": [0, 0, 0, 0, 1, 0, 0, 0]}, STALE)
    best = _best(found)
    assert not best.beyond_chance
    assert not best.is_recommended
    said = "1 of 80 requests of pre_ping failed and 5 of 80 of plain, all of them broken: chance alone may be why"
    assert _said(found).startswith(said)


# --- figures ----------------------------------------------------------------------------------------------------


def test_the_share_agrees_with_the_counts_beside_it(tmp_path: Path) -> None:
    """Arms that answer unlike numbers of requests: the counts are of so many, and give the share."""
    with Recorded(tmp_path, scenario({**KILL, "episodes": 12})) as run:
        run.probe()
        _struck_unlike(run)
        run.finish()
    found = _said(run.measured())
    share = int(re.findall(r"prevents (\d+) %", found)[0])
    a, b, c, d = (int(n) for n in re.findall(r"(\d+) of (\d+) failed instead of (\d+) of (\d+)", found)[0])
    assert (b, d) == (96, 120)
    assert share == round(100 * (1 - (a / b) / (c / d)))


def _struck_unlike(run: Recorded) -> None:
    run.phase("kill", [(n, n + 1, n + 0.5) for n in range(12)])
    for arm, fails, of in (("plain", 4, 10), ("pre_ping", 1, 8)):
        run.land(arm, "kill", 12)
        for n in range(12):
            for i in range(of):
                run.request(arm, n + (i + 0.5) / of, **(STALE if i < fails + (n % 3 == 0) else {}))


def test_all_of_a_dozen_has_an_interval(tmp_path: Path) -> None:
    """Nothing failed in twelve episodes: up to 22 of 100 such episodes may still be unlike these."""
    best = _best(_kill(tmp_path, {"plain": [1] * 12, "pre_ping": [0] * 12}, STALE))
    assert best.prevented_share == 1
    assert best.ci95 is not None
    assert best.ci95.low == pytest.approx(1 - 0.22 / (0.78 * 1.22) ** 0.5, abs=0.01)
    assert best.ci95.high == 1


# --- costs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("added_ms", "ends", "says"),
    [
        (2.5, Interval(-194, 199), "at a cost not known to better than −194 to 199 ms in the median request"),
        (16, Interval(-3.9, 92), "at a cost not known to better than −3.9 to 92 ms in the median request"),
        (
            1.2,
            Interval(-0.6, 3),
            "at a cost too small to matter (−0.6 to 3 ms in the median request; 5 ms would)",
        ),
        (9.2, Interval(6.4, 12), "for +9.2 ms (6.4 to 12 ms) in the median request"),
        (9.2, None, "for +9.2 ms in the median request (no interval)"),
    ],
)
def test_a_cost_is_as_sure_as_its_interval(added_ms: float, ends: Interval | None, says: str) -> None:
    """Too small to matter is a claim about the whole interval: an interval that contains 0 may reach anywhere."""
    assert plain(cost_text(ArmCost("steady", added_ms, ends), "plain")).replace("0.60", "0.6") == f", {says}"


def test_what_matters_grows_with_the_control(tmp_path: Path) -> None:
    """5 ms, or 5 % of the control's median if that is more."""
    matters = {50: 5.0, 400: 20.0}
    for ms, expected in matters.items():
        with Recorded(tmp_path / str(ms), scenario(STEADY)) as run:
            run.phase("steady", [(n, n + 1, None) for n in range(4)])
            for arm in ("plain", "pre_ping"):
                run.requests(arm, [n / 4 for n in range(16)], ms)
            run.finish()
        assert run.measured().costs["pre_ping"].matters_ms == pytest.approx(expected)


def test_no_price_is_told_beside_unequal_failures(tmp_path: Path) -> None:
    """The control's slow requests are those that failed: what its other ones took is no measure of anything."""
    with Recorded(tmp_path, scenario(STEADY, {**KILL, "episodes": 8})) as run:
        run.probe()
        run.phase("steady", [(n, n + 1, None) for n in range(4)])
        for arm in ("plain", "pre_ping"):
            for n in range(40):
                slow = n % 5 > 1
                how = UNAVAILABLE if slow and arm == "plain" else {}
                run.request(arm, n / 10, (78 if slow else 50) + n % 2, **how)
        _struck(run, "kill", {"plain": [2] * 8, "pre_ping": [0] * 8}, STALE, first=4)
        run.finish()
    found = run.measured()
    cost = found.costs["pre_ping"]
    assert cost.added_ms is not None
    assert cost.added_ms > 20
    assert cost.price_ms is None
    assert "at a cost that is not known: in steady 0 % of its requests failed and 60 % of plain's" in _said(
        found
    )
