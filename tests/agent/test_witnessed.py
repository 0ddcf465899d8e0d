"""The sample agent with the witness in it: what a request does with its connections is seen, in threads as well."""

from __future__ import annotations

import json

import pytest

from brokenpipe.stack.processes.ports import poll
from brokenpipe.witness import environment, files_of

SAID = {"conversation_id": 1, "message": "hello"}
ASKED = {
    "one piece": ("/chat", 1),
    "two pieces": ("/chat?hold=query", 2),
}


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "psycopg2"])
def test_checkouts_and_a_stale_connection_belong_to_their_request(start_agent, tmp_path, driver):
    """As many checkouts as the request asks for, each with its port; after a kill the request's error is stale."""
    witness = environment("arm", tmp_path) | {"BROKENPIPE_EVERY_REQUEST": "1"}
    with start_agent(DB_DRIVER=driver, AGENT_LLM_MS="5", **witness) as agent:

        def line(request_id):
            lines = (
                json.loads(each)
                for path in files_of(tmp_path, "arm")
                for each in path.read_text().splitlines()
            )
            return next((each for each in lines if each["k"] == "request" and each["id"] == request_id), None)

        def told(request_id):
            found = poll(lambda: line(request_id), timeout_s=5)
            assert found, f"no line about {request_id}"
            return found

        for request_id, (path, connections) in ASKED.items():
            assert agent.post(path, SAID, headers={"X-Request-ID": request_id}).ok
            checkouts = told(request_id)["checkouts"]
            assert [each["port"] is not None for each in checkouts] == [True] * connections
            assert sum(each["statements"] for each in checkouts) >= 3  # the history, the memories, the turn
            assert all(each["held_ms"] > 0 for each in checkouts)

        agent.kill_backends()
        assert agent.get("/conversations/1", headers={"X-Request-ID": "stale"}).status_code == 500
        (error,) = told("stale")["errors"]
        assert (error["where"], error["statement"], error["dead_at_checkout"]) == ("statement", 1, True)
