"""The other targets have the sample agent's endpoints, so that one locustfile serves all: what each must answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping

import pytest

from brokenpipe.stack.processes.ports import poll

from .conftest import Agent, StartAgent

SERVICES: Mapping[str, Mapping[str, str]] = {
    "asyncpg.Pool": {"target": "driver_pools", "POOL": "asyncpg"},
    "psycopg_pool": {"target": "driver_pools", "POOL": "psycopg"},
    "psycopg_pool check": {"target": "driver_pools", "POOL": "psycopg", "POOL_CHECK": "true"},
    "Flask": {"target": "flask"},
    "Django, WSGI": {"target": "django", "CONN_MAX_AGE": "60", "CONN_HEALTH_CHECKS": "true"},
    "Django, ASGI, pool": {"target": "django", "SERVER": "asgi", "DB_POOL": "true"},
}
SIZE = dict.fromkeys(
    ("POOL_MIN_SIZE", "POOL_MAX_SIZE", "DB_POOL_SIZE", "DB_POOL_MIN_SIZE", "DB_POOL_MAX_SIZE"), "3"
)


@pytest.fixture(scope="module", params=SERVICES)
def service(request: pytest.FixtureRequest, start_agent: StartAgent) -> Iterator[Agent]:
    with start_agent(**SIZE, **SERVICES[request.param]) as running:
        yield running


def test_it_answers_as_the_sample_does(service: Agent) -> None:
    """A chat stores both sides, a stream ends with `done`, a memory is committed, what is not there is 404."""
    said = f"hello {secrets.token_hex(4)}"
    reply = service.post("/chat", {"conversation_id": 1, "message": said}).json()
    user, assistant = service.get("/conversations/1").json()["messages"][-2:]
    assert (user["role"], user["content"]) == ("user", said)
    assert (assistant["role"], assistant["id"]) == ("assistant", reply["message_id"])
    new = service.post("/chat", {"message": said}).json()
    assert new["conversation_id"] > 50

    stream = service.get("/chat/stream?conversation_id=2&message=hello").text
    events = [
        dict(line.split(": ", 1) for line in each.splitlines()) for each in stream.split("\n\n") if each
    ]
    assert [each["event"] for each in events] == ["chunk"] * 5 + ["done"]
    stored = json.loads(events[-1]["data"])["message_id"]
    assert service.query(f"SELECT role FROM messages WHERE id = {stored}") == [("assistant",)]

    key = secrets.token_hex(8)
    assert service.post("/memories", {"key": key, "text": "likes tea"}).status_code == 201
    assert service.query(f"SELECT text FROM memories WHERE key = '{key}'") == [("likes tea",)]
    missing = ("/conversations/987654", "/chat/stream?conversation_id=987654&message=hello")
    assert [service.get(path).status_code for path in missing] == [404, 404]


def test_every_connection_comes_back(service: Agent) -> None:
    """Also that of a client who leaves a stream after its first chunk: the pool can lend all of them again."""
    for _ in range(4):
        with service.get("/chat/stream?message=hello", stream=True) as response:
            next(response.iter_content(1))

    def idle() -> bool | None:
        return not service.backends("state <> 'idle'") or None

    assert poll(idle, timeout_s=5)
    assert [service.post("/chat", {"message": "still there?"}).status_code for _ in range(4)] == [200] * 4
