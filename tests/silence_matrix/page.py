"""docs/silence.md: what each setting does about a database that has fallen silent, as it was measured."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from tests.silence_matrix.rows import DRIVERS, LIMIT_S, ROWS, SILENCES, SITUATIONS, Cell, Row

COMMAND = "make silence"

HEAD = """# Silence

What does a service notice of a database that answers nothing any more, and how soon? Two silences, side by side,
and nothing is healed:

- **black hole**: a proxy takes what is sent and swallows it. Its kernel acknowledges every byte and every probe. So
  it is behind a load balancer, a sidecar or a pooler whose other side hangs, or with a database process that is
  frozen.
- **packet loss**: the kernel's packet filter drops both directions. So it is when a host loses its power, a route
  goes, or a firewall has forgotten a connection.

In each, two situations: a connection that was **idle in the pool and is then used**, and one that is **in
mid-query**, whose question has arrived, and whose answer never comes. Pool and engine are the sample agent's own,
with the settings that a service would be given; every limit is {limit} s, keepalives are one second idle, one
second apart, two unanswered. Seconds count from the beginning of the silence to the moment at which the request
gets its error; the query was begun half a second before. *hangs*: no error within {patience:g} s.

`{command}` does it again and writes this page: as root, or where the kernel gives ordinary users namespaces. This
one is of {today}: {versions}, Python {python}, Linux {linux}.
"""

READING = """
## What the tables say

- **Without any setting every driver hangs**, in both silences. What was sent and not acknowledged is retransmitted
  for some 15 minutes (`net.ipv4.tcp_retries2`); who only waits for an answer waits for ever. Pre-ping alone changes
  nothing: the ping hangs.
- **In a black hole the kernel can do nothing.** All is acknowledged, so neither `TCP_USER_TIMEOUT` nor keepalives
  ever fire. Only a limit on the time of an answer helps, and that must be in the service or its driver.
- **`TCP_USER_TIMEOUT` limits how long something that was sent may stay unacknowledged.** So it ends a connection
  that is used into the silence, and does nothing for one that had asked before and now waits.
- **Keepalives are sent only while nothing is under way.** So they end the connection that waits in mid-query, and
  do nothing for one that is used: there the retransmissions are under way. Each closes the other's gap: set both.
- **Both together are sooner than keepalives alone.** Once `TCP_USER_TIMEOUT` is set it also decides when unanswered
  probes are enough, instead of their number.
- **Pre-ping needs a connect timeout.** The ping fails when the kernel gives up, and then the pool connects anew,
  into the same silence. libpq sets its `tcp_user_timeout` before it connects, so psycopg and psycopg2 get away with
  one limit more. asyncpg's socket can be had only after that; it tries for 60 s.
- **asyncpg's `command_timeout` is what ends a black hole**, and so is a limit of the service's own around the request
  (`asyncio.timeout`). Either takes two seconds longer than it says: so long SQLAlchemy tries to close the connection
  in good order before it lets the error out.
- **psycopg takes ten seconds longer to be cancelled**: five for a new connection by which it asks the server to
  cancel the query, five for the query to end.
- **psycopg2 in threads cannot be interrupted at all.** Against a black hole it has nothing.
- A `statement_timeout` of the server's does not help: what it says does not arrive.

## What to set

For libpq's drivers, as `connect_args` of the engine or in the DSN:

```python
connect_args = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,  # ms: above the longest hiccup that you want to survive
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}
```

asyncpg has no such arguments. `timeout` and `command_timeout` it has; the others are set on its socket when a
connection is made, as the sample does ([targets/agent/agent/silence.py](../targets/agent/agent/silence.py)). And a
limit around each request, for the silence that is acknowledged. In the sample all this is `DB_CONNECT_TIMEOUT`,
`DB_TCP_USER_TIMEOUT_MS`, `DB_KEEPALIVES` and `DB_COMMAND_TIMEOUT`, so that each can be an arm:

```sh
.venv/bin/brokenpipe run packet_loss                          # asyncpg
.venv/bin/brokenpipe run packet_loss --env DB_DRIVER=psycopg --only plain,user_timeout,keepalives,both
```

They are no free gift. A loss that heals within seconds costs a patient connection nothing but time, since TCP
delivers all of it afterwards (`tests/wire/test_packet_drop.py`); a limit that is shorter makes an error of it.
"""


def page(cells: Sequence[Cell], patience_s: float) -> str:
    """The whole page, as Markdown."""
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("sqlalchemy", "asyncpg", "psycopg", "psycopg2-binary")
    )
    head = HEAD.format(
        limit=LIMIT_S,
        patience=patience_s,
        command=COMMAND,
        today=datetime.now(UTC).strftime("%Y-%m-%d"),
        versions=versions,
        python=platform.python_version(),
        linux=platform.release().partition("-")[0],
    )
    found = {cell.place: cell for cell in cells}
    tables = [line for driver in DRIVERS for line in _table(driver, found)]
    return "\n".join([head, *tables, READING])


def _table(driver: str, found: Mapping[tuple[str, str, str, str], Cell]) -> Iterator[str]:
    places = [(silence, situation) for silence in SILENCES for situation in SITUATIONS]
    yield f"## {driver}\n"
    yield "| setting | " + " | ".join(f"{silence}: {situation}" for silence, situation in places) + " |"
    yield "|---|" + "---|" * len(places)
    for row in ROWS:
        if driver in row.drivers:
            cells = (_text(found[driver, row.name, *place]) for place in places)
            yield f"| {_named(row)} | " + " | ".join(cells) + " |"
    yield ""


def _named(row: Row) -> str:
    return "`asyncio.timeout`" + row.name.removeprefix("asyncio.timeout") if row.within_s else row.name


def _text(cell: Cell) -> str:
    return "hangs" if cell.after_s is None else f"**{cell.after_s:.1f} s** {cell.error}"
