"""The locustfile is plain Locust and uses every endpoint that does work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LOCUSTFILE = Path(__file__).parents[2] / "scenarios" / "locustfile.py"
ROWS = {
    "POST /chat",
    "POST /chat?hold=query",
    "GET /chat/stream",
    "GET /conversations/{id}",
    "POST /memories",
}


def test_plain_locust_runs_it_without_a_failure(shared_agents):
    """Locust alone, without the harness: every row appears, and nothing fails."""
    options = ["--headless", "--users", "20", "--spawn-rate", "20", "--run-time", "6s", "--stop-timeout", "2"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "locust",
            "-f",
            LOCUSTFILE,
            "--host",
            shared_agents["asyncpg"].url,
            *options,
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {row["name"] for row in rows} == ROWS
    assert {row["name"]: row["num_failures"] for row in rows} == dict.fromkeys(ROWS, 0)
