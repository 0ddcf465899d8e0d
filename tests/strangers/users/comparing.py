"""Somebody who looks whether the answer belongs to the question."""

import random

from locust import HttpUser, between, task


class Comparing(HttpUser):
    wait_time = between(0.03, 0.1)

    @task
    def ask(self):
        asked = random.randint(1, 1000)
        with self.client.get(
            f"/answers/{asked}", name="GET /answers/{asked}", catch_response=True
        ) as response:
            if response.status_code == 200 and response.json()["answer"] != asked:
                response.failure(f"wrong result: asked for {asked}, got {response.json()['answer']}")
