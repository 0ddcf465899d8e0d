"""Users who connect anew for each request, so that a load without free descriptors shows.

Once a file `clock_ahead` lies beside this one, the clock of the second worker is 3 s ahead.
"""

import os
import time
from pathlib import Path

from locust import HttpUser, between, task

AHEAD_NS = 3_000_000_000
SIGN = Path(__file__).with_name("clock_ahead")

if os.environ.get("BROKENPIPE_SEAT") == "1":
    right, right_ns = time.monotonic, time.monotonic_ns

    def ahead_ns():
        return AHEAD_NS * SIGN.exists()

    time.monotonic_ns = lambda: right_ns() + ahead_ns()
    time.monotonic = lambda: right() + ahead_ns() / 1e9


class Caller(HttpUser):
    wait_time = between(0.05, 0.15)

    @task
    def work(self):
        self.client.get("/work", headers={"Connection": "close"})
