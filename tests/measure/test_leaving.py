"""Users who leave: counted as such, and as nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.measure.recorded import CLOSED, RESET, Recorded, link
from tests.unit.plans import STEADY, scenario

from brokenpipe.measure.model.arm_phase import ClientDisconnects
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.pool_costs import MaskedDisconnects
from brokenpipe.report.run import headline_sentences

CANCELLED = [link("asyncio.exceptions.CancelledError")]


def _error(where: str, chain: Any, t: int) -> dict[str, Any]:
    return {
        "t": t, "where": where, "port": 40_000, "dead_at_checkout": False, "statement": 1, "disconnect": True,
        "chain": list(chain),
    }  # fmt: skip


def _measured(folder: Path, where: str, chain: Any, *, met_at: float, left_at: float | None) -> Findings:
    """A user who reads the begin of a stream; what the request met, and when the service noticed that they had left."""
    with Recorded(folder / "run", scenario(STEADY, arms=("plain",))) as run:
        run.phase("steady", [(10, 12, None), (12, 14, None)])
        run.connect("plain", 9)
        run.requests("plain", [10.5, 11.5])
        request = run.request("plain", 11)
        run.witness(
            "plain", k="request", id=request, t0=run.at(11), t1=run.at(11.05), began=True, status=200, failed=False,
            left_t=None if left_at is None else run.at(left_at), checkouts=[], raised=None, pool=None,
            errors=[_error(where, chain, run.at(met_at))],
        )  # fmt: skip
        if chain is CANCELLED:
            run.close("plain", met_at, after="cancelled", dead=False, id=request)
        run.finish()
        return run.measured()


@pytest.mark.parametrize("where", ["statement", "ping", "commit", "checkout"])
def test_a_request_that_was_called_off_kept_nothing_quiet(tmp_path: Path, where: str) -> None:
    """Its user had left: no error was swallowed, nothing was masked; a leave, and the connection that it cost."""
    found = _measured(tmp_path, where, CANCELLED, met_at=11.04, left_at=11.03)
    cell = found.cell("plain", "steady")
    assert (cell.failed, cell.swallowed, cell.masked) == (0, 0, MaskedDisconnects())
    assert cell.client_disconnects == ClientDisconnects(requests=1, reconnects=1)
    assert "errors_swallowed" not in {warning.code for warning in found.warnings}
    told = " ".join(headline_sentences.headline_sentences(found))
    assert (
        "1 user of plain hung up before the answer was complete, which cost 1 connection of its pool." in told
    )


@pytest.mark.parametrize("chain", [RESET, CLOSED])
def test_what_was_met_before_the_user_left_still_counts(tmp_path: Path, chain: Any) -> None:
    """The database had failed the request while its user was there: that nobody was told is an error kept quiet."""
    cell = _measured(tmp_path, "statement", chain, met_at=11.02, left_at=11.03).cell("plain", "steady")
    assert (cell.swallowed, cell.client_disconnects) == (1, ClientDisconnects(1, 0))


def test_a_time_limit_of_the_services_own_is_no_leave(tmp_path: Path) -> None:
    """It cancels as well, but its user was there, and was told that all was well."""
    cell = _measured(tmp_path, "statement", CANCELLED, met_at=11.02, left_at=None).cell("plain", "steady")
    assert (cell.swallowed, cell.client_disconnects) == (1, ClientDisconnects())


def test_without_a_witness_nobody_knows_who_left(tmp_path: Path) -> None:
    """Not known, and not zero."""
    with Recorded(tmp_path / "run", scenario(STEADY, arms=("plain",))) as run:
        run.phase("steady", [(10, 12, None), (12, 14, None)])
        run.requests("plain", [10.5, 11.5])
        run.finish()
        assert run.measured().cell("plain", "steady").client_disconnects is None


def test_requests_that_were_sent_again_are_a_doubt(tmp_path: Path) -> None:
    """What a client's library made good by a second try is in no rate: told with its number, and unknown."""
    with Recorded(tmp_path / "run", scenario(STEADY, arms=("plain", "pre_ping"))) as run:
        run.phase("steady", [(10, 12, None), (12, 14, None)])
        for arm in ("plain", "pre_ping"):
            run.requests(arm, [10.5, 11.5])
        for at in (10.6, 11.6, 15.0):  # the last one in no phase
            run.witness("plain", k="repeat", t=run.at(at), id="User-1")
        run.finish()
        (warning,) = (one for one in run.measured().warnings if one.code == "requests_repeated")
    assert (warning.unknown, warning.arm, warning.phase) == (True, "plain", "steady")
    assert "at least 2 requests to plain in steady were sent again" in warning.text
