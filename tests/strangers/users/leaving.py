"""Somebody who reads the beginning of a streamed answer and hangs up."""

import random
import time

from locust import HttpUser, between, task


class Leaving(HttpUser):
    wait_time = between(0.05, 0.1)

    @task
    def work(self):
        with self.client.get("/work", stream=True, catch_response=True) as response:
            if response.status_code == 200:
                time.sleep(random.uniform(0.0, 0.5))
                response.success()
        response.close()  # not read to its end: the socket is closed
