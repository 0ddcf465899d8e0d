"""The protocol between master and workers, on top of Locust's own: the names of Locust's custom messages.

    worker ──▶ master   JOIN      before anything else: asks for the configuration
                        REGISTER  Locust has connected: asks for a shard
                        PING      asks for the time
                        EVENT     a line for the harness, as a single process would have sent it
                        RECORDS   lines of the request log, for the master to write
                        DONE      the last message
    master ──▶ worker   CONFIG    the answer to JOIN: a configuration and the locustfile, or the reason of a refusal
                        SHARD     the answer to REGISTER
                        PONG      the answer to PING
                        COMMAND   a line of the harness, and the moment at which it takes effect

Master and workers share nothing else: no files, no other connection.
"""

from __future__ import annotations

from importlib import metadata

MASTER_VARIABLE = "BROKENPIPE_MASTER"  # makes a process a worker: HOST:PORT of its master
WANTED_SHARD = "BROKENPIPE_SEAT"  # the shard that a worker asks for, from 0

JOIN, CONFIG = "brokenpipe_join", "brokenpipe_config"
REGISTER, SHARD = "brokenpipe_register", "brokenpipe_shard"
PING, PONG = "brokenpipe_ping", "brokenpipe_pong"
COMMAND, EVENT = "brokenpipe_command", "brokenpipe_event"
RECORDS, DONE = "brokenpipe_records", "brokenpipe_done"


def versions() -> list[str]:
    """The versions that must be the same at both ends."""
    return [f"{package} {metadata.version(package)}" for package in ("brokenpipe", "locust")]
