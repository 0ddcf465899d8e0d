"""Failed requests of a recorded run, and the cause of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.measure.recorded import Recorded, link
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.history.reader import open_history
from brokenpipe.measure.attribution.engine import attribute_failures, refine_by_connection
from brokenpipe.measure.failures.root_cause import FailedRequest, failures
from brokenpipe.measure.model.attribution import Attribution
from brokenpipe.measure.tables.requests import create_request_tables

PORT = 40_000
EXHAUSTED = [link("sqlalchemy.exc.TimeoutError", "QueuePool limit reached")]
CANCELLED = [link("asyncpg.exceptions.QueryCanceledError", "cancelled", sqlstate="57014")]


def fails(run: Recorded, at: float, chain: Any, where: str = "statement", **error: Any) -> str:
    """The id of a request that begins at `at`, is handed a connection 10 ms later, and fails 20 ms after that."""
    times = {"t": run.at(at + 0.03), "began": run.at(at + 0.02), "handed": run.at(at + 0.01)}
    said = {"where": where, "port": PORT, "dead_at_checkout": False, "dead": False, "statement": 1}
    return run.request("plain", at, 40, errors=[{**times, **said, "transaction": 0, "chain": chain, **error}])


def of(run: Recorded) -> list[Attribution]:
    """The causes of the failures, in order."""
    with open_history(run.folder) as history:
        create_request_tables(history, limit_s=1)
        return list(attribute_failures(history, failures(history)))


def explained(run: Recorded) -> list[tuple[FailedRequest, Attribution]]:
    """The failures, in the state that all there is on record tells, and what they are owed to."""
    with open_history(run.folder) as history:
        create_request_tables(history, limit_s=1)
        failed = failures(history)
        owings = attribute_failures(history, failed)
        return list(zip(refine_by_connection(failed, owings), owings, strict=True))


def opened(run: Recorded, at: float, port: int = PORT) -> None:
    run.proxy("link_opened", at, arm="plain", port=port)


def forgotten(run: Recorded, at: float, next_byte: float, port: int = PORT) -> None:
    """A link that an idle limit gave up in silence, and that ended with its client's next byte."""
    run.proxy("link_forgotten", at, arm="plain", port=port, toxic="idle_reset", reason="idle")
    cut(run, next_byte, "idle_reset", port)


def cut(run: Recorded, at: float, toxic: str = "kill_switch", port: int = PORT) -> None:
    run.proxy("link_cut", at, arm="plain", port=port, toxic=toxic, reason="killed")
    run.proxy("link_ended", at, arm="plain", port=port, ender="toxic")


def found(run: Recorded) -> list[FailedRequest]:
    """The failures themselves, in order."""
    with open_history(run.folder) as history:
        create_request_tables(history, limit_s=1)
        return list(failures(history))


def kills_of_plain(tmp_path: Path) -> Iterator[Recorded]:
    """A calm phase of two blocks (0 to 4 s), then two kills (at 5 s and 6 s, in episodes of one second)."""
    with Recorded(tmp_path / "run", scenario(STEADY, KILL)) as recorded:
        recorded.phase("steady", [(0, 2, None), (2, 4, None)])
        recorded.phase("kill", [(4.5, 5.5, 5.0), (5.5, 6.5, 6.0)])
        for n, at in enumerate((5.0, 6.0)):
            recorded.act("plain", "inject", "socket_kill", at, "kill", n)
        recorded.requests("plain", [9])
        recorded.finish()
        yield recorded
