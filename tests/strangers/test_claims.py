"""Each rule of the second question finds the claim that it is for, in a report that says one thing too many."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.strangers import claims
from tests.strangers.claims import causes, failures, prevention, sight, times
from tests.strangers.counting import within
from tests.strangers.made import make_report
from tests.strangers.told import History, Line, Report
from tests.unit.plans import KILL, STEADY, scenario

Doctor = Callable[[Report], Report]
PLACE = ("plain", "kill")
_TALLY = {
    "k": "tally",
    "requests": 20,
    "checkouts": 20,
    "pings": 0,
    "ping_ms": 0.0,
    "wait_ms": 0.2,
    "connects": 0,
    "connect_ms": 0.0,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two strikes on two arms: plain loses two requests to each, of which the service tells; pre_ping none."""
    folder = tmp_path_factory.mktemp("whole") / "by_hand" / "20260314T092653Z"
    plan = scenario(STEADY, KILL)
    with Recorded(folder, plan) as history:
        history.phase("steady", [(0, 2, None), (2, 4, None)])
        history.phase("kill", [(5, 6, 5.5), (6, 7, 6.5)])
        for arm in ("plain", "pre_ping"):
            for at in (0, 5):
                history.connect(arm, at)
                history.witness(arm, **_TALLY, t0=history.at(at), t=history.at(at + 0.2))
            history.land(arm, "kill", 2)
            history.requests(arm, [tenth / 10 for tenth in range(40)])
            history.requests(arm, [5 + tenth / 10 for tenth in range(20) if tenth not in (5, 15)])
        for strike in (5.5, 6.5):
            _strike(history, strike)
        history.finish(at=8)
    return make_report(folder)


def _strike(history: Recorded, at: float) -> None:
    """One connection of each arm is cut; plain hands it out to two requests, pre_ping replaces it."""
    for arm in ("plain", "pre_ping"):
        history.act(arm, "inject", "socket_kill", at, "kill", int(at - 5))
        history.proxy("link_opened", at - 0.4, arm=arm, port=40_000)
        history.proxy("link_cut", at, arm=arm, port=40_000, toxic="kill_switch", reason="killed")
        history.proxy("link_ended", at, arm=arm, port=40_000, ender="toxic")
    for after in (0.01, 0.02):
        history.request("plain", at + after, 30, errors=[error("statement", RESET, dead=True)])
    history.requests("pre_ping", [at + 0.01, at + 0.02])
    history.close("pre_ping", at + 0.015, after="ping", id="User-1")


# --- what is doctored ---------------------------------------------------------------------------------


def _summed(change: Callable[[dict[str, Any]], None]) -> Doctor:
    """`summary.json` says something else."""

    def doctor(report: Report) -> Report:
        summary = copy.deepcopy(dict(report.summary))
        change(summary)
        return replace(report, summary=summary)

    return doctor


def _cell(place: tuple[str, str] = PLACE, **figures: Any) -> Doctor:
    """One place of the table says something else."""
    arm, phase = place
    return _summed(lambda summary: summary["arms"][arm]["phases"][phase].update(figures))


def _owed(**figures: Any) -> Doctor:
    return _summed(lambda summary: summary["arms"]["plain"]["phases"]["kill"]["owed"].update(figures))


def _sentence(said: str) -> Doctor:
    return _summed(lambda summary: summary.update(sentence=said))


def _silent(report: Report) -> Report:
    """Above the table it says nothing."""
    return _summed(lambda summary: summary.update(evidence=[], sentence=""))(report)


def _best(arm: str, **more: Any) -> Doctor:
    best = {"arm": arm, "beyond_chance": True, "prevented_share": 1.0, "cost_ms": 3.0}
    return _summed(lambda summary: summary.update(best=best, **more))


def _says(said: str) -> Doctor:
    """The terminal says one sentence more."""
    return lambda report: replace(report, terminal=f"{report.terminal} {said}")


def _printed(line: str) -> Doctor:
    return lambda report: replace(report, live=f"{line}\n{report.live}")


def _without(kind: str) -> Doctor:
    """Lines of one kind are missing from the history."""
    return lambda report: _with(report, kind, ())


def _all(*doctors: Doctor) -> Doctor:
    def doctor(report: Report) -> Report:
        for each in doctors:
            report = each(report)
        return report

    return doctor


def _compared(**figures: Any) -> Doctor:
    """One comparison more."""
    one = {
        "arm": "pre_ping",
        "phase": "steady",
        "metric": "added_p50_ms",
        "differs": False,
        "difference": 2.0,
    }
    return _summed(lambda summary: summary.update(comparisons=[one | figures]))


def _served_by_errors(phase: str) -> Doctor:
    """Every request of a phase was answered by an error, of which nobody told."""

    def doctor(report: Report) -> Report:
        episodes = [each for each in report.history.of("episode") if each["phase"] == phase]
        spans = [(each["t0"], each["t1"]) for each in episodes]
        ends = [
            {**end, "failure": "status", "status": 500} if within(end["t0"], spans) else end
            for end in report.history.of("end")
        ]
        return _with(report, "end", ends)

    return doctor


def _with(report: Report, kind: str, lines: Sequence[Line]) -> Report:
    """Other lines of one kind."""
    changed = History({**report.history.lines, kind: tuple(lines)}, report.history.witnessed)
    return replace(report, history=changed)


def _more_in_plain(report: Report) -> Report:
    """The control failed twelve more requests under the fault, and nobody told why."""
    t0 = report.history.episodes("kill", "plain")[0]["t0"]
    more = [
        {
            "k": "end",
            "arm": "plain",
            "id": f"more-{n}",
            "t0": t0 + n,
            "ms": 9.0,
            "status": 500,
            "failure": "status",
        }
        for n in range(12)
    ]
    return _with(report, "end", [*report.history.of("end"), *more])


def _whole_on_the_wire(report: Report) -> Report:
    """The proxy saw that the client itself ended the connections that it is said to have found dead."""
    ends = [
        {**link, "ender": "client", "t": link["t"] + 20_000_000} for link in report.history.of("link_ended")
    ]
    return _with(report, "link_ended", ends)


def _lent_when_dead(report: Report) -> Report:
    """The witness tells that the pool handed out each connection after it had been cut."""
    cut = {link["t"] for link in report.history.of("link_cut")}

    def lent(line: Line) -> Line:
        handed = max(t for t in cut if t < line["t0"]) + 1_000_000
        return {**line, "errors": [{**each, "handed": handed} for each in line["errors"]]}

    return _with(report, "request", [lent(line) for line in report.history.of("request")])


_EXAMPLE = """<details> <summary> <b class="number">1</b> <span class="cause">failed without testimony</span>
<span class="tag">not a disconnect</span> </summary> request <code>more-0</code> </details>"""

_TABLE = """
           broken  95 % interval  stale  in use  other  masked    p95
kill · socket_kill
  plain      20 %       10–30 %      4       0     12       –  50 ms
"""

_PASSED = {
    "arm": "plain",
    "phase": "kill",
    "metric": "failed",
    "bound": "exactly 0",
    "verdict": "pass",
    "text": "0",
}
_POOLS_ONLY = {"requests": False, "pools": True}

DOCTORED: tuple[tuple[claims.Rule, Doctor], ...] = (
    (failures.counts_are_the_loads, _cell(failed=3)),
    (failures.nothing_means_nothing, _sentence("Nothing broke in plain, so there was nothing to prevent.")),
    (failures.broken_is_failed, _cell(broken=5, stale=5)),
    (failures.live_line_counts_those_who_wait, _printed("[   9.0 s] kill ended: plain 0 of 20 failed")),
    (failures.unknown_rate_is_not_none, _more_in_plain),
    (failures.other_is_known, _all(_more_in_plain, _printed(_TABLE))),
    (failures.headline_counts_what_failed, _says("1 of 20 failed instead of 9 of 20, all of them broken")),
    (failures.headline_counts_what_failed, _says("1 of 20 requests of pre_ping failed and 9 of 20 of plain")),
    (failures.passed_checks_hold, _summed(lambda summary: summary.update(checks=[_PASSED]))),
    (failures.lost_is_missing, _summed(lambda s: s["arms"]["plain"].update(ledger={"total": {"lost": 2}}))),
    (causes.no_fault_needs_a_connection, _says("Of the 9 failed requests of plain, 9 owed to no fault on record.")),
    (causes.not_a_disconnect_needs_testimony, _all(_more_in_plain, lambda r: replace(r, page=r.page + _EXAMPLE))),
    (causes.error_is_no_response, _owed(by_request_phase={"after the response began": 4})),
    (causes.harness_owns_its_cuts, _without("act")),
    (causes.in_use_was_whole_when_lent, _all(_lent_when_dead, _cell(in_use=4, stale=0))),
    (prevention.no_setting_helps_where_one_did, _all(_more_in_plain, _owed(not_preventable=16))),
    (prevention.percentages_agree, _says("It prevents 67 % of them (15 instead of 48).")),
    (prevention.best_fails_no_more, _all(_best("plain"), _summed(lambda summary: summary.update(control="pre_ping")))),
    (prevention.broken_service_is_not_judged, _all(_served_by_errors("steady"), _best("pre_ping", verdict="pass"))),
    (prevention.all_different_failures_are_told, _all(_more_in_plain, _silent)),
    (sight.no_witness_means_none, _says("prices not seen: no witness")),
    (sight.arms_are_seen_alike, _summed(lambda s: s["arms"]["plain"].update(witness=_POOLS_ONLY))),
    (sight.masked_were_dead, _whole_on_the_wire),
    (sight.leaving_is_not_swallowing, _cell(swallowed=1)),
    (sight.pool_holds_no_more_than_it_has, _cell(pool={"most": 4, "mean_out": 20.1, "processes": 1})),
    (sight.what_was_written_was_seen, _summed(lambda s: s["arms"]["plain"].update(witness=_POOLS_ONLY))),
    (times.recovered_means_answered, _all(_served_by_errors("kill"), _cell(recovery_s=[0.0, 0.0]))),
    (times.small_costs_are_small, _all(_best("pre_ping"), _sentence("It is too small."), _compared(ci95=[-9.0, 9.0]))),
    (times.same_is_not_different, _compared(differs=True, difference=-2.0, ci95=[-3.0, 7.0])),
    (times.never_means_never, _cell(never_recovered=2)),
    (times.longest_wait_was_waited, _cell(longest_wait_ms=9999.0)),
)  # fmt: skip


_NAMES = [f"{rule.__name__}_{n}" for n, (rule, _) in enumerate(DOCTORED)]


def test_a_true_report_claims_nothing_wrong(whole: Report) -> None:
    """What the program says of a history made by hand is borne out by that history."""
    assert claims.unproven(whole) == []


@pytest.mark.parametrize(("rule", "doctor"), DOCTORED, ids=_NAMES)
def test_a_wrong_claim_is_found(whole: Report, rule: claims.Rule, doctor: Doctor) -> None:
    """The rule is silent about the true report, and speaks of the doctored one."""
    assert not list(rule(whole))
    assert list(rule(doctor(whole)))


def test_no_rule_goes_unproven() -> None:
    """Each of them has found something once: one that cannot is no rule."""
    assert list(dict.fromkeys(rule for rule, _ in DOCTORED)) == list(claims.RULES)
