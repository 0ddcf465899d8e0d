"""Someone who asks for one failure after the other."""

from locust import FastHttpUser, constant, task


class Caller(FastHttpUser):
    """What is played is the service's affair."""

    wait_time = constant(0.05)
    network_timeout = 10.0
    connection_timeout = 10.0

    @task
    def play(self):
        self.client.get("/play")
