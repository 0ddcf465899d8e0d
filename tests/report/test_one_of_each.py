"""One is written in the singular, and a list of nothing is not counted, wherever a report counts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.measure.recorded import RESET, Recorded, error
from tests.report import samples
from tests.report.test_terminal import printed
from tests.unit.plans import KILL, scenario

from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.report import texts
from brokenpipe.report.ci.junit import junit
from brokenpipe.report.ci.markdown import markdown
from brokenpipe.report.run.html import render_html

NOUNS = (
    "requests|checks|strikes|episodes|connections|writes|results|times|blocks|runs|users|arms|cores|connects"
)
MORE_THAN_ONE = re.compile(rf"(?<![\d.,])1 (?:[a-z-]+ )?(?:{NOUNS})\b(?!/)")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """One user, one strike, one request in each arm: the control's broke."""
    bounds = (
        {"arm": "*", "phase": "kill", "metric": metric, "equals": 0}
        for metric in ("broken", "failed", "stale", "in_use", "refused", "swallowed", "wrong_results")
    )
    plan = scenario(KILL | {"episodes": 1}, expect=tuple(bounds))
    plan = plan.model_copy(update={"load": plan.load.model_copy(update={"users": 1})})
    with Recorded(tmp_path_factory.mktemp("one"), plan) as run:
        run.probe()
        run.phase("kill", [(0, 1, 0.5)])
        for arm in ("plain", "pre_ping"):
            run.connect(arm, 0)
            run.land(arm, "kill", 1, missed=arm == "pre_ping")
        run.request("plain", 0.6, errors=[error("statement", RESET, dead=False)])
        run.requests("pre_ping", [0.6])
        run.witness("plain", k="trouble", t=run.at(0.6), text="a defect")
        run.finish()
        return run.measured()


def outputs(findings: Findings) -> dict[str, str]:
    page = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", render_html(findings), flags=re.DOTALL)
    return {
        "terminal": printed(findings, 120),
        "page": " ".join(page.split()),
        "markdown": markdown(findings),
        "junit": junit(findings).tostring().decode(),
    }


def test_one_is_singular_everywhere(one: Findings) -> None:
    """No output of a run in which everything happened once says "1 requests"."""
    for name, text in outputs(one).items():
        assert MORE_THAN_ONE.findall(text) == [], name
    assert "1 broken request," in outputs(one)["terminal"]


def test_no_check_is_undecided_where_nothing_was_expected() -> None:
    """A doubt about the whole run, and not one expectation: there is nothing to count."""
    doubt = ValidityWarning.of(
        Code.NOTHING_EXPECTED, "the scenario expects nothing of these arms, so nothing can pass"
    )
    found = replace(samples.default(), checks=(), warnings=(doubt,), verdict=Verdict.UNKNOWN)
    for name, text in outputs(found).items():
        assert re.search(r"\b0 checks?\b", text) is None, name
    assert "the scenario expects nothing: see the doubt below" in printed(found, 120)


@pytest.mark.parametrize(
    ("fault", "phase", "said"),
    [
        ("idle_reset · after 700 ms", "idle", "idle_reset · after 700 ms"),
        ("idle_reset · after 700 ms", "idle_reset", "after 700 ms"),
        ("socket_kill", "socket_kill", ""),
        ("latency · 25 ms", "slow", "latency · 25 ms"),
    ],
)
def test_a_fault_is_cut_at_the_end_of_its_name_only(fault: str, phase: str, said: str) -> None:
    """A phase called `idle` says `idle_reset`, not `_reset`."""
    assert texts.strip_phase_name(fault, phase) == said
