"""The same with the client that is made for speed."""

from locust import FastHttpUser, between, task


class AskingFast(FastHttpUser):
    wait_time = between(0.03, 0.1)

    @task
    def work(self):
        self.client.get("/work")
