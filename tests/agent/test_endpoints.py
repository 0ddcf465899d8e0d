"""What each endpoint answers, on every driver."""

from __future__ import annotations

import json
import secrets

import pytest

from brokenpipe.stack.processes.ports import poll


def test_a_chat_answers_and_stores_both_sides(agent):
    """POST /chat appends what the user said and the answer to the conversation, in this order."""
    said = f"hello {secrets.token_hex(4)}"
    reply = agent.post("/chat", {"conversation_id": 1, "message": said})
    assert reply.status_code == 200
    user, assistant = agent.get("/conversations/1").json()["messages"][-2:]
    assert (user["role"], user["content"]) == ("user", said)
    assert (assistant["role"], assistant["content"]) == ("assistant", reply.json()["answer"])
    assert assistant["id"] == reply.json()["message_id"]


@pytest.mark.parametrize("hold", ["session", "query"])
def test_a_chat_without_a_conversation_begins_a_new_one(agent, hold):
    """New conversations are numbered after the 50 seeded ones and hold exactly the first turn."""
    reply = agent.post(f"/chat?hold={hold}", {"conversation_id": None, "message": "hello"}).json()
    assert reply["conversation_id"] > 50
    conversation = agent.get(f"/conversations/{reply['conversation_id']}").json()
    assert [m["role"] for m in conversation["messages"]] == ["user", "assistant"]


def test_history_is_bounded(agent):
    """However long a conversation has become, its 10 newest messages are read, oldest first."""
    started = agent.post("/chat", {"message": "turn 0"}).json()
    for turn in range(1, 7):
        agent.post("/chat", {"conversation_id": started["conversation_id"], "message": f"turn {turn}"})
    messages = agent.get(f"/conversations/{started['conversation_id']}").json()["messages"]
    assert [m["content"] for m in messages if m["role"] == "user"] == [f"turn {n}" for n in range(2, 7)]
    assert len(messages) == 10


def test_a_stream_ends_with_done_once_its_answer_is_stored(agent):
    """GET /chat/stream sends five chunks and then `done`, whose message holds the chunks put together."""
    with agent.get("/chat/stream?conversation_id=2&message=hello", stream=True) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [
            dict(line.split(": ", 1) for line in e.splitlines()) for e in response.text.split("\n\n") if e
        ]
    assert [e["event"] for e in events] == ["chunk"] * 5 + ["done"]
    done = json.loads(events[-1]["data"])
    [[stored]] = agent.query(f"SELECT content FROM messages WHERE id = {done['message_id']}")
    assert stored.startswith("".join(json.loads(e["data"])["text"] for e in events[:-1]))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/conversations/987654", None),
        ("POST", "/chat", {"conversation_id": 987654, "message": "hello"}),
        ("POST", "/chat?hold=query", {"conversation_id": 987654, "message": "hello"}),
        ("GET", "/chat/stream?conversation_id=987654&message=hello", None),
    ],
)
def test_a_conversation_that_does_not_exist_is_404(agent, method, path, body):
    """Also for a stream: the history is loaded before the response begins."""
    response = agent.get(path) if method == "GET" else agent.post(path, body)
    assert (response.status_code, "987654" in response.json()["detail"]) == (404, True)


def test_an_acknowledged_memory_is_committed(agent):
    """After a 201 the row can be read past the service."""
    key = secrets.token_hex(8)
    reply = agent.post("/memories", {"key": key, "text": "likes tea"})
    assert reply.status_code == 201
    stored = agent.query(f"SELECT id, text FROM memories WHERE key = '{key}'")
    assert stored == [(reply.json()["id"], "likes tea")]


def test_a_repeated_key_is_stored_twice(agent):
    """Nothing prevents a doubled write, so that doubled writes can be counted; the key is indexed for it."""
    key = secrets.token_hex(8)
    answers = [agent.post("/memories", {"key": key, "text": "likes tea"}) for _ in range(2)]
    assert [a.status_code for a in answers] == [201, 201]
    assert agent.query(f"SELECT count(*) FROM memories WHERE key = '{key}'") == [(2,)]
    indexed = "SELECT count(*) FROM pg_indexes WHERE tablename = 'memories' AND indexdef LIKE '%(key)'"
    assert agent.query(indexed) == [(1,)]


def test_each_tool_answers_in_its_own_words(agent):
    """An answer says which tool gave it, and on what: one to another question is seen to be wrong."""
    for tool in (1, 4):
        assert agent.get(f"/tools/{tool}?conversation_id=7").json() == {
            "tool": tool, "conversation_id": 7, "found": f"tool {tool} on Conversation 7"
        }  # fmt: skip
    assert agent.get("/tools/1?conversation_id=999999").status_code == 404
    assert agent.get("/tools/5?conversation_id=7").status_code == 422


def test_the_pool_says_its_settings_and_no_password(agent):
    """GET /pool shows every setting but the URL of the database."""
    assert agent.get("/conversations/1").ok
    pool = agent.pool()
    assert (pool["size"], pool["overflow"]) == (10, 0)
    # A thread gives its connection back after the answer is out.
    assert poll(lambda: agent.pool()["checked_in"] >= 1 or None, timeout_s=5)
    assert pool["settings"]["db_pool_pre_ping"] is False
    assert "database_url" not in pool["settings"]
    assert agent.server.password not in agent.get("/pool").text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat", {"conversation_id": 1, "message": ""}),
        ("/chat?hold=sometimes", {"conversation_id": 1, "message": "hello"}),
        ("/memories", {"key": "", "text": "likes tea"}),
    ],
)
def test_a_wrong_request_is_422(agent, path, body):
    """What a client got wrong is told to it and is no failure of the service."""
    assert agent.post(path, body).status_code == 422
