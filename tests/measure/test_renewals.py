"""What a report says of connections that the harness ended itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.measure.attribution_cases import PORT, cut, opened
from tests.measure.recorded import Recorded
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.measure.model.findings import Findings
from brokenpipe.report import texts
from brokenpipe.report.ci.markdown import markdown
from brokenpipe.report.ci.summary import summary


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Recorded]:
    """A calm phase, then two kills; connections are renewed in between, at 4.2 s."""
    with Recorded(tmp_path / "run", scenario(STEADY, KILL)) as recorded:
        recorded.phase("steady", [(0, 2, None), (2, 4, None)])
        recorded.phase("kill", [(4.5, 5.5, 5.0), (5.5, 6.5, 6.0)])
        for arm in ("plain", "pre_ping"):
            recorded.act(arm, "renew", None, 4.2, "kill")
            recorded.act(arm, "inject", "socket_kill", 5.0, "kill", 0)
        recorded.requests("plain", [1])
        recorded.finish()
        yield recorded


def said(found: Findings) -> dict[str, str]:
    return {phase.name: texts.describe_renewals(phase) for phase in found.phases}


def test_a_phase_says_how_many_connections_the_harness_renewed(run: Recorded) -> None:
    """Counted in the proxy's log, and by arm; what the fault cuts later is none of them."""
    for n in range(3):
        opened(run, 1, PORT + n)
        cut(run, 4.203, port=PORT + n)
    opened(run, 4.4, PORT)
    cut(run, 5.003, port=PORT)
    found = run.measured()
    assert said(found) == {"steady": "", "kill": "the harness renewed 3 connections before this phase"}
    assert "kill: the harness renewed 3 connections before this phase." in markdown(found)
    phases = summary(found)["phases"]
    assert phases["kill"]["renewed_connections"] == {"plain": 3, "pre_ping": 0}  # type: ignore[index]
    assert phases["steady"]["renewed_connections"] == {}  # type: ignore[index]


def test_without_a_log_of_links_how_many_is_not_known(run: Recorded) -> None:
    """That it happened is on record; a number is not made up."""
    found = run.measured()
    assert (
        said(found)["kill"] == "the harness renewed connections before this phase; how many is not on record"
    )
    assert summary(found)["phases"]["kill"]["renewed_connections"] == {"plain": None, "pre_ping": None}  # type: ignore[index]
