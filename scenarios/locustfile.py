"""What users of the agent do: mostly talk to it, now and then read a conversation again or leave it a memory.

Plain Locust: `locust -f scenarios/locustfile.py --host http://127.0.0.1:8000` works as well.
"""

import random

from locust import FastHttpUser, between, task

CONVERSATIONS = 50  # the agent seeds these
SAYINGS = (
    "What did we decide about the connection pool?",
    "Summarise our last discussion in two sentences.",
    "Which customers wrote to us about timeouts?",
    "Draft an answer to the last message.",
    "What should I look at first today?",
)


class AgentUser(FastHttpUser):
    """Someone who thinks for a moment between two requests.

    With a request of about 50 ms these pauses make some 26 requests per second of ten users.
    """

    wait_time = between(0.2, 0.5)
    # Above the time that the agent waits for a connection, so that its own error arrives first.
    connection_timeout = 10.0
    network_timeout = 10.0

    @task(8)
    def chat(self):
        """Continue a conversation; the database connection is held while the language model thinks."""
        self.client.post("/chat", name="POST /chat", json=_turn())

    @task(3)
    def chat_without_holding(self):
        """The same, with the connection given back while the language model thinks."""
        self.client.post("/chat?hold=query", name="POST /chat?hold=query", json=_turn())

    @task(2)
    def chat_stream(self):
        """Read an answer as it is being written. Only its last event says that it is complete and stored."""
        turn = _turn()
        with self.client.get(
            "/chat/stream", name="GET /chat/stream", params=turn, stream=True, catch_response=True
        ) as response:
            if response.status_code == 0:
                return  # there was no answer: Locust counts it as a failure by itself
            # Read in every case: an answer left unread keeps its HTTP connection from being used again.
            body = b"".join(response.iter_content(decode_content=False))
            if response.status_code == 200 and b"event: done" not in body:
                response.failure("the stream ended without its done event")

    @task(4)
    def read(self):
        """Read a conversation again."""
        self.client.get(f"/conversations/{_conversation()}", name="GET /conversations/{id}")

    @task(3)
    def remember(self):
        """Leave a memory, under a key that no one else uses: it can be looked for afterwards.

        The header tells whoever counts the writes; a client that asks again for the same write repeats it.
        """
        key = f"{random.randint(0, 2**64 - 1):016x}"
        memory = {"key": key, "text": random.choice(SAYINGS)}
        self.client.post("/memories", name="POST /memories", json=memory, headers={"Idempotency-Key": key})


def _conversation():
    return random.randint(1, CONVERSATIONS)


def _turn():
    return {"conversation_id": _conversation(), "message": random.choice(SAYINGS)}
