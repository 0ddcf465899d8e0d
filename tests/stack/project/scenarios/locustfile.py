"""Someone who asks the same thing again and again."""

from locust import HttpUser, between, task


class Caller(HttpUser):
    """Plain Locust, with the client that it is usually used with."""

    wait_time = between(0.05, 0.15)

    @task
    def work(self):
        self.client.get("/work")
