"""The agent while packets are lost, whichever stack it runs in: one arm that waits, one whose kernel gives up."""

from __future__ import annotations

from pathlib import Path

from tests.stack.runs import REPOSITORY, write_scenario

ARMS = """plain = {}
limits = { DB_TCP_USER_TIMEOUT_MS = "1000", DB_KEEPALIVES = "1,1,1", DB_CONNECT_TIMEOUT = "2" }"""
LOSS = """
[[phases]]
name = "packet_drop"
fault = { name = "packet_drop" }
seconds = 6

[[phases]]
name = "afterwards"
seconds = 2
"""
LONG_LOSS = """
[[phases]]
name = "lost"
fault = { name = "packet_drop" }
seconds = 60
"""


def packet_loss_scenario(folder: Path, phases: str) -> Path:
    """A scenario of these phases."""
    return write_scenario(
        folder / "lossy.toml",
        phases,
        target="agent",
        locustfile=REPOSITORY / "scenarios/locustfile.py",
        arms=ARMS,
        users=3,
        timeout_s=5.0,
    )
