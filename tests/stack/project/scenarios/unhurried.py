"""Someone who asks the same thing now and then, as often as a user of the sample agent."""

from locust import FastHttpUser, between, task


class Unhurried(FastHttpUser):
    wait_time = between(0.2, 0.5)

    @task
    def work(self):
        self.client.get("/work")
