"""Ends of connections with drivers, and with ways to use psycopg, that say less than the three of the large table.

`pipeline` is psycopg's pipeline mode, `executemany` SQLAlchemy's `execute` of one statement with a list of parameters,
which psycopg sends as a pipeline. What a driver repairs by itself before anyone fails is a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from brokenpipe.error_class import ErrorClass as E

from .disturbances import BUSY, HELD, IDLE, ONE, cut
from .provocation_setup import Case, terminate

OTHERS = ("pg8000", "psqlpy", "pipeline", "executemany")
REPAIRED = "it connects again by itself"

_LIMITED = [["set statement_timeout = '50ms'", "select pg_sleep(20)"]]
_IN_A_PIPELINE: dict[str, list[Any]] = {
    str(_LIMITED): [["set statement_timeout = '50ms'", "MANY"]],
    str(IDLE): [ONE, "GATE", ["MANY"]],
    str(HELD): [["select 1", "GATE", "MANY"]],
    str(BUSY): [["MANY"]],
}

Cells = Mapping[str, E | str]

OTHER_DRIVERS: dict[str, tuple[Case, E, Cells]] = {
    "RST, idle in the pool": (
        Case(IDLE, disturb=cut),
        E.RESET,
        {"pg8000": E.RESET, "psqlpy": REPAIRED, "pipeline": E.EOF, "executemany": E.EOF},
    ),
    "FIN, idle in the pool": (
        Case(IDLE, disturb=cut, armed=False),
        E.EOF,
        {"pg8000": E.EOF, "psqlpy": REPAIRED, "pipeline": E.EOF, "executemany": E.EOF},
    ),
    "RST between two statements": (
        Case(HELD, disturb=cut),
        E.RESET,
        {"pg8000": E.RESET, "psqlpy": E.EOF, "pipeline": E.EOF, "executemany": E.EOF},
    ),
    "RST in mid-statement": (
        Case(BUSY, disturb=cut, busy=True),
        E.RESET,
        {"pg8000": E.RESET, "psqlpy": E.EOF, "pipeline": E.EOF, "executemany": E.EOF},
    ),
    "FIN in mid-statement": (
        Case(BUSY, disturb=cut, busy=True, armed=False),
        E.EOF,
        {"pg8000": E.EOF, "psqlpy": E.EOF, "pipeline": E.EOF, "executemany": E.EOF},
    ),
    "`pg_terminate_backend`, idle in the pool": (
        Case(IDLE, disturb=terminate, armed=False),
        E.SERVER_SHUTDOWN,
        {"pg8000": E.EOF, "psqlpy": REPAIRED, "pipeline": E.EOF, "executemany": E.EOF},
    ),
    "`pg_terminate_backend` in mid-statement": (
        Case(BUSY, disturb=terminate, busy=True, armed=False),
        E.SERVER_SHUTDOWN,
        {"pg8000": E.EOF, "psqlpy": E.SERVER_SHUTDOWN, "pipeline": E.EOF, "executemany": E.EOF},
    ),
    "`statement_timeout`": (
        Case(_LIMITED),
        E.STATEMENT_CANCELLED,
        dict.fromkeys(OTHERS, E.STATEMENT_CANCELLED),
    ),
}


def case_of(name: str, driver: str) -> tuple[Case, str]:
    """The case, and the driver that plays it."""
    case, _, _ = OTHER_DRIVERS[name]
    if driver != "executemany":
        return case, driver
    return replace(case, visits=_IN_A_PIPELINE[str(case.visits)]), "psycopg"
