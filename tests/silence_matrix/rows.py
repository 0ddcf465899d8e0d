"""What is measured: settings of a service, as it is given them, and the silences that they are tried in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DRIVERS = ("asyncpg", "psycopg", "psycopg2")
ASYNC = ("asyncpg", "psycopg")

LIMIT_S = 2  # every limit that a row sets, so that they can be compared
USER_TIMEOUT = {"DB_TCP_USER_TIMEOUT_MS": str(1000 * LIMIT_S)}
KEEPALIVES = {"DB_KEEPALIVES": "1,1,2"}  # given up 3 s after the last byte
CONNECT = {"DB_CONNECT_TIMEOUT": str(LIMIT_S)}
PING = {"DB_POOL_PRE_PING": "true"}
COMMAND = {"DB_COMMAND_TIMEOUT": str(LIMIT_S)}

Silence = Literal["black hole", "packet loss"]
Situation = Literal["idle, then used", "in mid-query"]
SILENCES: tuple[Silence, ...] = ("black hole", "packet loss")
SITUATIONS: tuple[Situation, ...] = ("idle, then used", "in mid-query")


@dataclass(frozen=True)
class Row:
    """A line of the table. `within_s`: a time limit that the service itself puts around all that a request does."""

    name: str
    env: Mapping[str, str] = field(default_factory=dict)
    drivers: tuple[str, ...] = DRIVERS
    within_s: float | None = None


ROWS = (
    Row("nothing"),
    Row("pre-ping", PING),
    Row("TCP_USER_TIMEOUT", USER_TIMEOUT),
    Row("keepalives", KEEPALIVES),
    Row("TCP_USER_TIMEOUT + keepalives", USER_TIMEOUT | KEEPALIVES),
    Row("the same + pre-ping", USER_TIMEOUT | KEEPALIVES | PING),
    Row("the same + pre-ping + connect timeout", USER_TIMEOUT | KEEPALIVES | PING | CONNECT),
    Row("command_timeout", COMMAND, ("asyncpg",)),
    Row("command_timeout + pre-ping + connect timeout", COMMAND | PING | CONNECT, ("asyncpg",)),
    Row("asyncio.timeout around the request", {}, ASYNC, LIMIT_S),
    Row("asyncio.timeout + pre-ping", PING, ASYNC, LIMIT_S),
)


@dataclass(frozen=True, order=True)
class Cell:
    """One of the table, measured: seconds from the injection to the error and what it was; None: there was none."""

    driver: str
    row: str
    silence: Silence
    situation: Situation
    after_s: float | None = None
    error: str = ""

    @property
    def place(self) -> tuple[str, str, str, str]:
        return self.driver, self.row, self.silence, self.situation
