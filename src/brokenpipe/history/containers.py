"""What happened to a container of the run, as the engine told it; and how that is said in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from brokenpipe.history.records.base import Int32, Record, TimeNs

Change = Literal["started", "ended", "out_of_memory", "signalled", "paused", "unpaused"]

_NAMES = {
    "postgres": "Postgres",
    "postgres-place": "what keeps Postgres's address",
    "toxiproxy": "Toxiproxy",
    "pgbouncer": "PgBouncer",
    "scratch": "the Postgres for probes",
    "scratch-place": "what keeps the address of the Postgres for probes",
}
_OF_ARM = "agent-"


@dataclass(frozen=True, slots=True)
class ContainerEvent(Record):
    """A change in one container. `service` is what compose.json calls it, `arm` whose service it is, if it is one.

    `out_of_memory`: the kernel ended a process in it, not always the first one; `limit_bytes` is what it may have.
    """

    KIND: ClassVar[str] = "container"
    TABLE: ClassVar[str] = "container_events"
    FILES: ClassVar[str] = "containers*.ndjson"
    t: TimeNs
    service: str
    change: Change
    exit_code: Int32 | None = None  # of one that ended
    signal: str | None = None  # which the engine was asked to send
    limit_bytes: int | None = None

    @property
    def arm(self) -> str | None:
        return arm_of(self.service)

    def __str__(self) -> str:
        what = {
            "ended": f"ended with exit code {self.exit_code}",
            "out_of_memory": describe_out_of_memory(self.limit_bytes),
            "signalled": f"was sent signal {self.signal}",
        }.get(self.change, self.change)
        return f"{display_name(self.service)}: {what}"


def arm_of(service: str) -> str | None:
    """Of the service of an arm, which."""
    return service.removeprefix(_OF_ARM) if service.startswith(_OF_ARM) else None


def display_name(service: str) -> str:
    """What people call it."""
    arm = arm_of(service)
    return f"target of arm {arm}" if arm else _NAMES.get(service, service)


def describe_out_of_memory(limit_bytes: int | None) -> str:
    """With the limit that it had, if there was one."""
    return f"out of memory (limit {limit_bytes // 2**20} MiB)" if limit_bytes else "out of memory"
