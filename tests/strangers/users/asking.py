"""Somebody who asks the same thing again and again."""

from locust import HttpUser, between, task


class Asking(HttpUser):
    wait_time = between(0.03, 0.1)

    @task
    def work(self):
        self.client.get("/work")
