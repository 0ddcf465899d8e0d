"""docs/error-classes.md, from the table of provocations. `python -m tests.pools.page` writes it anew."""

from __future__ import annotations

from pathlib import Path

from brokenpipe.error_class import ErrorClass

from .other_drivers import OTHER_DRIVERS, OTHERS
from .provocation_setup import DRIVERS
from .provocations import PROVOCATIONS, Expected

PAGE = Path(__file__).parents[2] / "docs" / "error-classes.md"

_BEGIN = """\
# What a failure is called

Each failed request has one cause from a closed list. It is decided from the chain of exceptions that the witness
wrote down, by one table (`src/brokenpipe/measure/failures/error_classes.py`), in this order of evidence: SQLSTATE, the
server's own word; errno, the kernel's; the type; SQLAlchemy's `connection_invalidated`; and only then text, which
differs between versions. The same exception can mean two things where it was met: a time limit while connecting is a
*connect timeout*, on a connection that was in use it is a *client-side timeout*.

These are disconnects, and so a broken request if the pool had handed the connection out as usable; nothing else is:

{disconnects}

## What was provoked, and what each driver leaves of it

Every row was made to happen on real servers, through the witness (`tests/pools`), which also write this page.
**Bold**: the driver does not pass on what it was, so the class says less than the truth. asyncpg notices an end
while nobody asks it anything and forgets why; psycopg2 never tells the server's reason, nor does libpq an RST.
Compare arms with the same driver, or read the disconnects together.

| provoked | phase of the request | {drivers} |
|---|---|{rule}|
"""

_SAID = """
## What one reads over TLS

With `tls = true` below `[postgres]` in a scenario ([what a fault is](faults.md#over-tls)). These words stood in the
chain of exceptions; the class is the same as without TLS.

| provoked | {drivers} |
|---|{rule}|
"""

_OTHERS = """
## Other drivers, and psycopg's pipeline

pg8000 below SQLAlchemy; psqlpy with its own pool; psycopg's pipeline mode; and *executemany*: SQLAlchemy's `execute` of
one statement with a list of parameters, or psycopg's own `executemany`, which psycopg sends as a pipeline.

| provoked | {drivers} |
|---|{rule}|
{rows}
- **psycopg's executemany loses 57P01**, and a pipeline does: the server's last words are in the answer that the
  pipeline does not read any more. Each further command of the pipeline fails as well, and so does the end of its block
  (*the connection is lost*, *no result available*, *flush request failed*).
- **pg8000** says *network error*, or passes on the kernel's own error, which SQLAlchemy does not know for a
  disconnect: its pool keeps such a connection. It alone may say *broken pipe*, when it closes one.
- **psqlpy** has no SQLSTATE; what the server said stands in the text.
- **A driver's own pool** that has nothing to give in time says the same for all connections in use, for dead ones that
  it tests in vain, and for a server that is away (`psycopg_pool.PoolTimeout` and `TooManyRequests`, the `TimeoutError`
  of `asyncpg.Pool`). The witness wrote down what the pool was at: *pool exhausted* if all connections were out, *dead
  connections in the pool* if its tests found such, else the class of how it could not connect. Without that record it
  is *no connection from the pool*. Django's errors are classed by what psycopg had raised.
- **`asyncpg.Pool` takes back a connection that ends in the hands of a request**, and says that it *has been released
  back to the pool*. That is an end of the connection if its socket was dead, and else an application error.
- **What others did is no disconnect**: an HTTP client's or a cache's error, say of a language model that hung up, is an
  *application error*, whatever its socket met.
"""

_END = """
## What to know

- **"Broken pipe" is said by none of the three large drivers.** A write to a connection that is gone would be one
  (EPIPE), but asyncpg sees the end before it writes, and libpq reads the server's last words after a failed write and
  reports an end. The class is there for other drivers. The broken-pipe rate counts disconnects, whatever they are
  called.
- **psycopg calls a late refusal the end of a connection.** It looks for the outcome of a connect once, at once; a
  refusal that comes any later, as over any network but the loopback, it tells as *server closed the connection
  unexpectedly*, and a time-out of the kernel's too. psycopg2 and asyncpg do not (`tests/wire/test_packet_drop.py`).
  In a report such an end is *connection refused*, or *connect timeout* if it took a second or more, when the proxy
  has let nobody in.
- **A crash of the server is an end of the connection.** Postgres sends its reason (57P02) as a warning, not as an
  error, so no driver raises it.
- **A time limit of the service's own** (`asyncio.timeout`) around psycopg2 ends the waiting, not the thread: the
  statement goes on.
- **A pooler's error is not a disconnect.** PgBouncer gives one code (08P01) to everything that it says itself, and
  while connecting libpq passes on only its text. Its connection to the service was in order. One text is a disconnect
  all the same: *server conn crashed?*, with which it ends its client's connection when Postgres ended the one behind.
- **A statement after a disconnect** is refused by SQLAlchemy without being sent (*aborted transaction*). That is
  never a request's cause, which is the first error it met.
- **The phase** is what was under way when the connection ended, not which call found out: a COMMIT on a connection
  that had died before was never sent. Only *COMMIT sent and unanswered* leaves open whether the work was done.
- Failed requests without a chain are *no answer in time*, *transport between load and target*, *application error*
  (a declared failure or a 4xx), or *failed without testimony*. A failure that a locustfile declares with the words
  *wrong result* is one (docs/pgbouncer.md), whatever else happened on the way.
"""


def page() -> str:
    """The whole page."""
    disconnects = "\n".join(f"- {each}" for each in ErrorClass if each.is_disconnect)
    begin = _BEGIN.format(
        disconnects=disconnects, drivers=" | ".join(DRIVERS), rule="|".join(["---"] * len(DRIVERS))
    )
    rows = (_row(name, expected) for name, (_, expected) in PROVOCATIONS.items())
    return begin + "".join(rows) + _said() + _others() + _END


def _others() -> str:
    rows = "".join(
        f"| {name} | {' | '.join(_found(truth, cells[driver]) for driver in OTHERS)} |\n"
        for name, (_, truth, cells) in OTHER_DRIVERS.items()
    )
    return _OTHERS.format(drivers=" | ".join(OTHERS), rule="|".join(["---"] * len(OTHERS)), rows=rows)


def _said() -> str:
    head = _SAID.format(drivers=" | ".join(DRIVERS), rule="|".join(["---"] * len(DRIVERS)))
    rows = (
        f"| {name} | {' | '.join(f'`{expected.says[driver]}`' for driver in DRIVERS)} |\n"
        for name, (_, expected) in PROVOCATIONS.items()
        if expected.says
    )
    return head + "".join(rows)


def _row(name: str, expected: Expected) -> str:
    return f"| {name} | {expected.phase} | {' | '.join(_cell(expected, driver) for driver in DRIVERS)} |\n"


def _cell(expected: Expected, driver: str) -> str:
    return _found(expected.truth, expected.cells()[driver])


def _found(truth: ErrorClass, found: ErrorClass | str) -> str:
    if not isinstance(found, ErrorClass):
        return f"– ({found})"
    return str(found) if found is truth else f"**{found}**"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
