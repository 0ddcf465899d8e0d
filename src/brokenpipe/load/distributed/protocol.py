"""What master and workers say to each other beside what Locust says: the names of Locust's custom messages.

    worker ──▶ master   JOIN    before anything else: what is to be run?
                        HERE    Locust has connected; which shard is mine?
                        PING    what does your clock show?
                        NEWS    a line for the harness, as one process alone would have sent it
                        LINES   what the request log took in, to be written down
                        OVER    nothing more will come
    master ──▶ worker   CONFIG  the answer to JOIN: a configuration and the locustfile, or why not
                        SEAT    the answer to HERE
                        PONG    the answer to PING
                        ORDER   a line of the harness, and the moment from which it holds

Nothing else is shared: what a worker needs comes through this, and what it records goes back through it.
"""

from __future__ import annotations

from importlib import metadata

MASTER = "BROKENPIPE_MASTER"  # the variable that makes a process a worker: HOST:PORT of its master
WANTED = "BROKENPIPE_SEAT"  # the shard it would like, from 0

JOIN, CONFIG = "brokenpipe_join", "brokenpipe_config"
HERE, SEAT = "brokenpipe_here", "brokenpipe_seat"
PING, PONG = "brokenpipe_ping", "brokenpipe_pong"
ORDER, NEWS = "brokenpipe_order", "brokenpipe_news"
LINES, OVER = "brokenpipe_lines", "brokenpipe_over"


def versions() -> list[str]:
    """What must be the same at both ends."""
    return [f"{package} {metadata.version(package)}" for package in ("brokenpipe", "locust")]
