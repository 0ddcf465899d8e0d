"""What the witness sees of every server and pool: the same questions to each. Its answers are a table of the docs."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
import websocket
from tests.pools.conftest import Line, Service, Wire

from .combinations import COMBINATIONS, Combination, Sight
from .conftest import started
from .page import PAGE, with_table

SERVER_ERROR = 500


@pytest.mark.parametrize("combination", COMBINATIONS, ids=lambda each: each.name)
def test_the_witness_sees_what_the_table_says(combination: Combination, tmp_path: Path, wire: Wire) -> None:
    """Each cell of its row: seen, or not for the reason that stands there."""
    with started(combination, tmp_path, wire) as service:
        asked = Questions(combination, service, wire)
        seen = {sight for sight in Sight if asked.about(sight)}
        if combination.streams:
            asked.about_a_stream()
        if combination.websockets:
            asked.about_websockets()
        asked.about_planes()
    assert seen == set(Sight) - set(combination.unseen)


def test_the_table_of_the_docs_is_this() -> None:
    """docs/witness.md says what these tests have seen. To write it anew: python -m tests.servers.page"""
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_table(text)


class Questions:
    """Requests to a service, and the witness's lines about them."""

    def __init__(self, combination: Combination, service: Service, wire: Wire) -> None:
        self.combination, self.service, self.wire = combination, service, wire
        self.waited = False

    def about(self, sight: Sight) -> bool:
        """Is this seen? In the order of the columns."""
        questions = {
            Sight.REQUESTS: self.requests,
            Sight.WAITS: self.waits,
            Sight.STALE_OR_IN_USE: self.stale_and_in_use,
            Sight.MASKED: self.masked,
            Sight.SLOTS_LOST: self.slots_lost,
        }
        return questions[sight]()

    def ask(self, path: str, request_id: str) -> Line:
        """The witness's line about a request, which has the status that the client got."""
        status = self.service.get(self.combination.prefix + path, request_id)
        line = self.service.request(request_id)
        assert line["status"] in {status, None}, line
        return line | {"got": status}

    def requests(self) -> bool:
        """One that succeeds: it took one connection, gave it back, and said 200."""
        line = self.ask("/select", "good")
        (checkout,) = line["checkouts"]
        assert (line["status"], line["began"], line["failed"], line["raised"]) == (200, True, False, None)
        return checkout["held_ms"] is not None and checkout["port"] is not None

    def waits(self) -> bool:
        """One that waits while another sleeps on the only connection, until that is killed: so it was in use."""
        sleeping = self.service.start(self.combination.prefix + "/sleep", "in use")
        self.service.wait_busy(self.wire.database)
        waiting = None
        if self.combination.is_concurrent:
            waiting = self.service.start(self.combination.prefix + "/select", "waits")
            self.service.until(self._has_stalled, "a stall of the request that waits")
        self.wire.end("reset")
        assert sleeping.result() == SERVER_ERROR
        if waiting is None:
            return False
        assert waiting.result() == 200
        (checkout,) = self.service.request("waits")["checkouts"]
        return bool(checkout["wait_ms"] > 300)

    def _has_stalled(self) -> bool | None:
        lines = self.service.lines("stall")
        return any((line["id"], line["act"]) == ("waits", "checkout") for line in lines) or None

    def stale_and_in_use(self) -> bool:
        """The request whose connection died in its hands, and one whose connection had died before."""
        self.ask("/select", "opens")
        self.wire.end("reset")
        if self.combination.notices:
            assert self.ask("/select", "noticed")["got"] == 200
            return self._is_seen_dying({"in use": False})
        return self._is_seen_dying({"in use": False, "stale": True})

    def _is_seen_dying(self, expected: dict[str, bool]) -> bool:
        """These requests failed in a statement, on connections that were dead or not when they were handed out."""
        lines = [
            self.ask("/select", name) if dead else self.service.request(name)
            for name, dead in expected.items()
        ]
        for line in lines:
            assert (line["status"] in {SERVER_ERROR, None}, line["failed"]) == (True, True), line
            assert line["raised"] is not None, "the exception is not known"
            assert any(
                link["type"].startswith(("sqlalchemy.", "psycopg", "asyncpg")) for link in line["raised"]
            )
        dead = [line["errors"][0]["dead_at_checkout"] for line in lines]
        wheres = {line["errors"][0]["where"] for line in lines}
        return wheres == {"statement"} and dead == list(expected.values())

    def masked(self) -> bool:
        """A pool that checks finds a dead connection and opens another, which no client notices."""
        if self.combination.unseen.get(Sight.MASKED):
            return False
        self.ask("/select_checked", "checks")
        self.wire.end("reset")
        line = self.ask("/select_checked", "masked")
        assert (line["got"], line["errors"]) == (200, [])
        if self.combination.notices:
            return any(close["after"] == "noticed" for close in self.service.lines("close"))
        closes = [close for close in self.service.lines("close") if close["id"] == "masked"]
        return any(close["dead"] or close["after"] == "ping" for close in closes)

    def slots_lost(self) -> bool:
        """A request is over, and has not given back its connection."""
        if self.combination.unseen.get(Sight.SLOTS_LOST):
            return False
        line = self.ask("/keep", "keeps")
        self.service.get(self.combination.prefix + "/give_back")
        (checkout,) = line["checkouts"]
        return checkout["t"] is not None and checkout["held_ms"] is None

    def about_a_stream(self) -> None:
        """A request that is answered in parts is current while the server reads them, and is over after the last."""
        line = self.ask("/streamed", "streamed")
        (checkout,) = line["checkouts"]
        assert (line["status"], line["failed"], line["left_t"]) == (200, False, None)
        assert line["began_t"] < checkout["t"] < line["t1"]

    def about_websockets(self) -> None:
        """They are counted."""
        socket = websocket.create_connection(self.service.url.replace("http", "ws") + "/ws", timeout=10)
        self.service.until(lambda: self.service.lines("websocket") or None, "a WebSocket to be counted")
        socket.close()
        assert len(self.service.lines("websocket")) == 1

    def about_planes(self) -> None:
        """The server and the pool, each with its version, once in each process, and each request once."""
        planes = {line["plane"]: (line["library"], line["version"]) for line in self.service.lines("plane")}
        library = self.combination.library
        version = None if library == "wsgiref" else importlib.metadata.version(library)
        assert planes["requests"] == (library, version)
        assert "pools" in planes
        ids = [line["id"] for line in self.service.lines("request")]
        assert len(ids) == len(set(ids)), "a request was recorded twice"
        assert self.service.lines("repeat") == []
