"""Users who do nothing but leave memories, each under a key that no one else uses."""

import random

from locust import FastHttpUser, between, task


class Writer(FastHttpUser):
    """Someone with a lot to remember."""

    wait_time = between(0.1, 0.3)
    connection_timeout = 10.0
    network_timeout = 10.0

    @task
    def remember(self):
        """The header tells whoever counts the writes which one it is; the service takes the key from the body."""
        key = f"{random.randint(0, 2**64 - 1):016x}"
        memory = {"key": key, "text": "likes tea"}
        self.client.post("/memories", name="POST /memories", json=memory, headers={"Idempotency-Key": key})
