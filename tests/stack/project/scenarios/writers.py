"""Users who write, each thing under a key of its own."""

import random

from locust import FastHttpUser, between, task


class Writer(FastHttpUser):
    wait_time = between(0.05, 0.15)
    network_timeout = connection_timeout = 10.0

    @task
    def write(self):
        self.client.post("/notes", headers={"Idempotency-Key": f"{random.randint(0, 2**64):x}"})
