"""Held against a baseline: what fails, what passes, what is not known. Histories are written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.unit.plans import KILL, scenario
from tests.unit.shell import brokenpipe

from brokenpipe.formatting import plain
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import Check, Verdict
from brokenpipe.measure.pipeline import measure, read_as_baseline
from brokenpipe.measure.regression.baseline import BASELINE_FILE, Baseline, BaselineWarning
from brokenpipe.measure.regression.comparability import NotComparable

REQUESTS = 20  # of an arm in each strike
SOME = [1, 1, 2, 1, 1, 0, 1, 1, 1, 2, 1, 1]
NONE = [0] * 12
CALM = [{"arm": "*", "phase": "kill", "metric": "refused", "equals": 0}]


def _run(
    folder: Path,
    broken: Mapping[str, Sequence[int]],
    *,
    ms: Mapping[str, float] | None = None,
    finish: str = "done",
    calm: bool = False,
    requests: int = REQUESTS,
    **planned: Any,
) -> Path:
    """Twelve strikes, twenty requests of each arm in each; of those so many break. Latencies vary by a tenth.

    `calm`: a phase of as many blocks in which nothing strikes.
    """
    count = len(next(iter(broken.values())))
    draw = np.random.default_rng(sum(folder.name.encode()))
    phase = {"name": "kill", "seconds": 2.0 * count} if calm else KILL | {"episodes": count}
    played = scenario(phase, **({"arms": tuple(broken), "expect": CALM} | planned))
    with Recorded(folder, played) as run:
        run.probe()
        run.phase("kill", [(n, n + 1, None if calm else n + 0.5) for n in range(count)])
        for arm, counts in broken.items():
            if not calm:
                run.land(arm, "kill", count)
            for n, hits in enumerate(counts):
                for i in range(requests):
                    at = n + (i + 0.5) / requests
                    if i < hits:
                        run.request(arm, at, errors=[error("query", RESET)])
                    else:
                        run.request(arm, at, (ms or {}).get(arm, 40) * draw.uniform(0.9, 1.1))
        run.finish(finish)
    return folder


Bases = Callable[..., Path]


@cache
def _kept(base: Path) -> Baseline:
    """What is kept of a baseline, measured once: whoever changes one does so before, and shares it with nobody."""
    return read_as_baseline(base)


@pytest.fixture(scope="module")
def base_of(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """A baseline in which so many requests broke, recorded once for all tests."""

    @cache
    def recorded(plain: tuple[int, ...], pre_ping: tuple[int, ...], calm: bool) -> Path:
        folder = tmp_path_factory.mktemp("shared") / "base"
        return _run(folder, {"plain": plain, "pre_ping": pre_ping}, calm=calm)

    return lambda plain, pre_ping, calm=False: recorded(tuple(plain), tuple(pre_ping), calm)


def _held(base: Path, new: Path) -> Findings:
    (new / BASELINE_FILE).write_text(_kept(base).model_dump_json())
    return measure(new)


def _check(findings: Findings, metric: str, arm: str = "pre_ping") -> Check:
    (found,) = (each for each in findings.checks if each.metric == metric and each.arm == arm)
    return found


def _verdicts(findings: Findings) -> set[Verdict]:
    return {check.verdict for check in findings.checks if check.baseline}


def test_an_arm_that_begins_to_break_fails(tmp_path: Path, base_of: Bases) -> None:
    """What never broke breaks in most strikes: fail, with both figures, and the control's rate is not blamed."""
    base = base_of(SOME, NONE)
    findings = _held(base, _run(tmp_path / "new", {"plain": SOME, "pre_ping": SOME[::-1]}))
    worse = _check(findings, "rise_of_broken_per_episode")
    assert worse.verdict is Verdict.FAIL
    assert worse.value == pytest.approx(sum(SOME) / 12)
    assert worse.baseline is not None
    assert worse.baseline.base == 0
    assert worse.baseline.p is not None
    assert worse.baseline.p < 0.01
    assert "broken requests per strike 1.1, 0 in the baseline: +1.1" in plain(worse.text)
    assert _check(findings, "rise_of_broken_per_episode", "plain").verdict is Verdict.PASS
    assert findings.verdict is Verdict.FAIL


def test_the_same_again_passes(tmp_path: Path, base_of: Bases) -> None:
    """The strikes in another order, latencies otherwise drawn: nothing is worse, and nothing is left open."""
    base = base_of(SOME, NONE)
    findings = _held(base, _run(tmp_path / "new", {"plain": SOME[::-1], "pre_ping": NONE}))
    assert _verdicts(findings) == {Verdict.PASS}
    assert findings.verdict is Verdict.PASS
    assert findings.baseline is not None
    assert findings.baseline.startswith("by_hand/base of ")


def test_bursts_that_hold_fewer_requests_break_no_more(tmp_path: Path) -> None:
    """One of each strike breaks in both runs, of twenty and of twelve requests: by the strike that is the same."""
    ones = [1] * 12
    base = _run(tmp_path / "base", {"plain": ones, "pre_ping": NONE})
    findings = _held(base, _run(tmp_path / "new", {"plain": ones, "pre_ping": NONE}, requests=12))
    assert _check(findings, "rise_of_broken_per_episode", "plain").value == 0
    assert {check.verdict for check in findings.checks if "per_episode" in check.metric} == {Verdict.PASS}
    assert not any("rate" in check.metric for check in findings.checks if check.baseline)


def test_blocks_are_gated_by_the_share_of_requests(tmp_path: Path, base_of: Bases) -> None:
    """Nothing strikes there, so what fails is a share of what was asked."""
    base = base_of(NONE, NONE, calm=True)
    findings = _held(base, _run(tmp_path / "new", {"plain": NONE, "pre_ping": SOME}, calm=True))
    assert _check(findings, "rise_of_broken_pipe_rate").verdict is Verdict.FAIL
    assert not any("per_episode" in check.metric for check in findings.checks)


def test_better_is_no_regression(tmp_path: Path) -> None:
    """An arm that breaks no more passes."""
    base = _run(tmp_path / "base", {"plain": SOME, "pre_ping": SOME})
    assert _verdicts(_held(base, _run(tmp_path / "new", {"plain": SOME, "pre_ping": NONE}))) == {Verdict.PASS}


def test_what_could_hide_is_unknown(tmp_path: Path) -> None:
    """Two strikes each cannot rule out a rise that matters: unknown, with how many episodes would."""
    base = _run(tmp_path / "base", {"plain": [2, 4], "pre_ping": NONE[:2]})
    findings = _held(base, _run(tmp_path / "new", {"plain": [4, 3], "pre_ping": NONE[:2]}))
    open_ = _check(findings, "rise_of_broken_per_episode")
    assert open_.verdict is Verdict.UNKNOWN
    assert "could hide; about" in open_.text
    assert findings.verdict is Verdict.UNKNOWN
    (left_out,) = (w.text for w in findings.warnings if w.code == Code.BASELINE_NOT_COVERED)
    assert left_out == "latencies of kill are left out: fewer than 6 episodes in one of the two runs"


def test_a_slower_machine_is_no_slower_arm(tmp_path: Path, base_of: Bases) -> None:
    """Both arms half as slow again: the ratio to the control is what it was, and twice is what its own may rise to."""
    base = base_of(NONE, NONE)
    findings = _held(
        base, _run(tmp_path / "new", {"plain": NONE, "pre_ping": NONE}, ms={"plain": 60, "pre_ping": 60})
    )
    assert _verdicts(findings) == {Verdict.PASS}
    assert _check(findings, "rise_of_p95", "plain").value == pytest.approx(0.5, abs=0.05)
    assert _check(findings, "rise_of_p95_against_control").value == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("slower", "metric", "arm"),
    [
        ({"pre_ping": 56}, "rise_of_p95_against_control", "pre_ping"),
        ({"plain": 100, "pre_ping": 100}, "rise_of_p95", "plain"),
    ],
)
def test_a_slower_arm_fails(
    tmp_path: Path, base_of: Bases, slower: dict[str, float], metric: str, arm: str
) -> None:
    """Four tenths slower than the control is too much; so is a control that takes two and a half times as long."""
    base = base_of(NONE, NONE)
    findings = _held(base, _run(tmp_path / "new", {"plain": NONE, "pre_ping": NONE}, ms=slower))
    assert _check(findings, metric, arm).verdict is Verdict.FAIL


@pytest.mark.parametrize("calm", [True, False])
def test_medians_are_held_only_where_nothing_strikes(tmp_path: Path, base_of: Bases, calm: bool) -> None:
    """In a calm phase a slower median fails; under strikes it is no quantity to hold anything against."""
    base = base_of(NONE, NONE, calm=calm)
    findings = _held(
        base, _run(tmp_path / "new", {"plain": NONE, "pre_ping": NONE}, ms={"pre_ping": 56}, calm=calm)
    )
    medians = {check.metric: check.verdict for check in findings.checks if "p50" in check.metric}
    held = {"rise_of_p50": Verdict.PASS, "rise_of_p50_against_control": Verdict.FAIL}
    assert medians == (held if calm else {})


def test_how_much_is_tolerated_stands_in_the_scenario(tmp_path: Path, base_of: Bases) -> None:
    """The new run's own [regression] decides."""
    base = base_of(NONE, NONE)
    allowed = {"latency_tolerated": 0.6}
    new = _run(tmp_path / "new", {"plain": NONE, "pre_ping": NONE}, ms={"pre_ping": 56}, regression=allowed)
    assert _check(_held(base, new), "rise_of_p95_against_control").verdict is Verdict.PASS


def test_latencies_of_another_machine_are_left_out(tmp_path: Path) -> None:
    """The control's own are not held against those of other hardware, and a note says so; ratios are."""
    base = _run(tmp_path / "base", {"plain": NONE, "pre_ping": NONE})
    (base / "environment.json").write_text('{"cores": 64}')
    findings = _held(
        base, _run(tmp_path / "new", {"plain": NONE, "pre_ping": NONE}, ms={"plain": 400, "pre_ping": 400})
    )
    assert _verdicts(findings) == {Verdict.PASS}
    metrics = {check.metric for check in findings.checks if check.baseline}
    assert "rise_of_p95" not in metrics
    assert "rise_of_p95_against_control" in metrics
    (left_out,) = (w.text for w in findings.warnings if w.code == Code.BASELINE_NOT_COVERED)
    assert "another machine (64 cores" in left_out


def test_latencies_of_a_stack_elsewhere_are_left_out(tmp_path: Path) -> None:
    """A network of containers is another wire: what is held against it is the difference to the control."""
    base = _run(tmp_path / "base", {"plain": NONE, "pre_ping": NONE})
    new = _run(tmp_path / "new", {"plain": NONE, "pre_ping": NONE}, ms={"plain": 400, "pre_ping": 400})
    plan = json.loads((base / "plan.json").read_text()) | {"stack": "compose"}
    (base / "plan.json").write_text(json.dumps(plan))
    findings = _held(base, new)
    assert "rise_of_p95" not in {check.metric for check in findings.checks if check.baseline}
    (left_out,) = (w.text for w in findings.warnings if w.code == Code.BASELINE_NOT_COVERED)
    assert "the stack of the baseline ran in containers" in left_out
    assert findings.environment["stack"] == "in child processes"


def test_a_doubtful_baseline_leaves_all_unknown(tmp_path: Path, base_of: Bases) -> None:
    """What was not known then is not known of the difference either."""
    base = base_of(NONE, NONE)
    doubt = BaselineWarning(text="the machine slept", phase=None, arm=None)
    text = _kept(base).model_copy(update={"doubts": (doubt,)})
    new = _run(tmp_path / "new", {"plain": NONE, "pre_ping": NONE})
    (new / BASELINE_FILE).write_text(text.model_dump_json())
    findings = measure(new)
    assert _verdicts(findings) == {Verdict.UNKNOWN}
    (said,) = (w for w in findings.warnings if w.code == Code.BASELINE_IN_DOUBT)
    assert (said.text, said.unknown) == ("of the baseline: the machine slept", True)


def test_a_scenario_without_expectations_can_be_gated(tmp_path: Path) -> None:
    """Not to be worse than the baseline is something to ask."""
    base = _run(tmp_path / "base", {"plain": SOME, "pre_ping": NONE}, expect=())
    new = _run(tmp_path / "new", {"plain": SOME, "pre_ping": NONE}, expect=())
    assert measure(new).verdict is Verdict.UNKNOWN
    assert _held(base, new).verdict is Verdict.PASS


def test_a_new_arm_is_named_and_not_judged(tmp_path: Path, base_of: Bases) -> None:
    """What the baseline did not have cannot be worse; that no check is about it is said."""
    base = base_of(NONE, NONE)
    findings = _held(base, _run(tmp_path / "new", {"plain": NONE, "pre_ping": NONE, "recycle": SOME}))
    assert not [check for check in findings.checks if check.baseline and check.arm == "recycle"]
    assert "only this run has arm recycle" in {w.text for w in findings.warnings}


def test_a_baseline_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    """Half an experiment is no yardstick."""
    with pytest.raises(NotComparable, match="interrupted before its end"):
        read_as_baseline(_run(tmp_path / "base", {"plain": NONE}, finish="interrupted"))


# --- from the command line ------------------------------------------------------------------------------


def test_report_gates_and_needs_the_baseline_only_once(tmp_path: Path) -> None:
    """Exit 1 for what is worse; the run's folder then holds what it takes to say so again, on another machine."""
    base = _run(tmp_path / "base", {"plain": SOME, "pre_ping": NONE})
    new = _run(tmp_path / "new", {"plain": SOME, "pre_ping": SOME})
    said = brokenpipe("report", str(new), "--baseline", str(base))
    assert said.exit_code == 1, said.said
    assert "compared with by_hand/base" in said.out
    assert "pre_ping, kill: broken requests per strike" in said.out
    first = (new / "summary.json").read_text()
    base.rename(tmp_path / "gone")
    again = brokenpipe("report", str(new))
    assert again.exit_code == 0  # without --baseline, report only reports
    assert (new / "summary.json").read_text() == first


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"arms": ("plain",)}, "arm pre_ping: only in the baseline"),
        (None, "is the run itself"),
    ],
)
def test_what_cannot_be_a_baseline_is_refused(
    tmp_path: Path, other: dict[str, Any] | None, said: str
) -> None:
    """Exit 2 with what is not alike, and the folder of the run stays as it was."""
    base = _run(tmp_path / "base", {"plain": SOME, "pre_ping": NONE})
    new = _run(tmp_path / "new", {"plain": SOME}, **other) if other else base
    refused = brokenpipe("report", str(new), "--baseline", str(base))
    assert refused.exit_code == 2
    assert said in refused.said
    assert "Traceback" not in refused.said
    assert not (new / BASELINE_FILE).exists()


def test_a_report_without_its_history_can_still_be_a_baseline(tmp_path: Path) -> None:
    """What is kept of a night is its report: `episodes.json` in it is all that a later one is held against."""
    base = _run(tmp_path / "base", {"plain": SOME, "pre_ping": NONE})
    new = _run(tmp_path / "new", {"plain": SOME, "pre_ping": SOME})
    brokenpipe("report", str(base))
    by_history = read_as_baseline(base)
    for path in base.glob("*.ndjson"):
        path.unlink()
    assert read_as_baseline(base) == by_history
    assert brokenpipe("report", str(new), "--baseline", str(base)).exit_code == 1


def test_a_run_is_refused_before_it_begins(tmp_path: Path) -> None:
    """A baseline of another scenario is found out at once, not after the experiment."""
    base = _run(tmp_path / "base", {"plain": SOME, "pre_ping": NONE})
    refused = brokenpipe("run", "quick", "--baseline", str(base), "--reports", str(tmp_path / "reports"))
    assert refused.exit_code == 2
    assert "[load] users: 2 in the baseline, 6 in the new run" in refused.said
    assert not (tmp_path / "reports").exists()
