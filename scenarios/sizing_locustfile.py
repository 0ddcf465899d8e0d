"""Users who do nothing but chat: each holds one database connection while the language model thinks."""

import random

from locust import FastHttpUser, between, task


class Talker(FastHttpUser):
    """Someone who always wants to know something."""

    wait_time = between(0.2, 0.5)
    connection_timeout = 10.0
    network_timeout = 10.0

    @task
    def chat(self):
        """The agent has 50 conversations from the start."""
        turn = {"conversation_id": random.randint(1, 50), "message": "What should I look at first today?"}
        self.client.post("/chat", name="POST /chat", json=turn)
