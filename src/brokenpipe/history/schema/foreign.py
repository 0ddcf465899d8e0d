"""The lines that others write: the witness, which imports nothing of ours, and the Toxiproxy server, no Python at all.

They are described here only. `arm` of a link is the name of its proxy; those of probes are called scratch_1 and so on.
The n-th end of a port belongs to its n-th opening, unless a `clock` of the writer toxiproxy stands between: then the
server was restarted, and all links had ended without a line.
"""

from __future__ import annotations

from brokenpipe.history.schema.table import RecordTable

_CHECKOUT = (
    "STRUCT(t BIGINT, port INTEGER, wait_ms DOUBLE, ping_ms DOUBLE, connect_ms DOUBLE, "
    "fresh BOOLEAN, dead BOOLEAN, held_ms DOUBLE, statements INTEGER)[]"
)

FOREIGN_TABLES = (
    RecordTable(
        "testimonies",
        "witness-*.ndjson",
        "request",
        {
            "id": "VARCHAR",
            "t0": "BIGINT",
            "t1": "BIGINT",
            "status": "INTEGER",
            "began": "BOOLEAN",
            "began_t": "BIGINT",
            "failed": "BOOLEAN",
            "left_t": "BIGINT",
            "checkouts": _CHECKOUT,
            "nested": "INTEGER",
            "nested_wait_ms": "DOUBLE",
            "errors": "JSON",
            "waiting": "JSON",
            "raised": "JSON",
            "pool": "JSON",
        },
    ),
    RecordTable(
        "tallies",
        "witness-*.ndjson",
        "tally",
        {
            "t0": "BIGINT",
            "t": "BIGINT",
            "requests": "INTEGER",
            "checkouts": "INTEGER",
            "pings": "INTEGER",
            "ping_ms": "DOUBLE",
            "wait_ms": "DOUBLE",
            "waits_ms": "DOUBLE[]",
            "held_ms": "DOUBLE",
            "connects": "INTEGER",
            "connect_ms": "DOUBLE",
        },
    ),
    RecordTable(
        "stalls",
        "witness-*.ndjson",
        "stall",
        {
            "t": "BIGINT",
            "id": "VARCHAR",
            "act": "VARCHAR",
            "since": "BIGINT",
            "port": "INTEGER",
            "holding": "INTEGER",
            "pid": "INTEGER",
            "dead_at_checkout": "BOOLEAN",
            "dead": "BOOLEAN",
            "handed": "BIGINT",
            "statement": "INTEGER",
            "transaction": "INTEGER",
            "rest_ms": "DOUBLE",
        },
    ),
    RecordTable(
        "connects",
        "witness-*.ndjson",
        "connect",
        {"t": "BIGINT", "port": "INTEGER", "ms": "DOUBLE", "of": "INTEGER", "id": "VARCHAR"},
    ),
    RecordTable(
        "connect_failures",
        "witness-*.ndjson",
        "connect_failed",
        {"t": "BIGINT", "ms": "DOUBLE", "of": "INTEGER", "id": "VARCHAR", "chain": "JSON"},
    ),
    RecordTable(
        "ping_failures",
        "witness-*.ndjson",
        "ping_failed",
        {"t": "BIGINT", "port": "INTEGER", "id": "VARCHAR", "ms": "DOUBLE", "dead": "BOOLEAN"},
    ),
    RecordTable(
        "invalidations",
        "witness-*.ndjson",
        "invalidate",
        {"t": "BIGINT", "port": "INTEGER", "soft": "BOOLEAN", "of": "INTEGER", "id": "VARCHAR"},
    ),
    RecordTable(
        "closes",
        "witness-*.ndjson",
        "close",
        {
            "t": "BIGINT",
            "port": "INTEGER",
            "age_ms": "DOUBLE",
            "recycle_ms": "DOUBLE",
            "dead": "BOOLEAN",
            "after": "VARCHAR",
            "pool_invalidated": "BOOLEAN",
            "of": "INTEGER",
            "id": "VARCHAR",
        },
    ),
    RecordTable(
        "pools",
        "witness-*.ndjson",
        "pool",
        {
            "t": "BIGINT",
            "pid": "INTEGER",
            "size": "INTEGER",
            "idle": "INTEGER",
            "out": "INTEGER",
            "overflow": "INTEGER",
            "most": "INTEGER",
            "timeout_s": "DOUBLE",
        },
    ),
    RecordTable(
        "links_opened", "links*.ndjson", "link_opened", {"t": "BIGINT", "arm": "VARCHAR", "port": "INTEGER"}
    ),
    RecordTable(
        "links_ended",
        "links*.ndjson",
        "link_ended",
        {"t": "BIGINT", "arm": "VARCHAR", "port": "INTEGER", "ender": "VARCHAR"},
    ),
    RecordTable(
        "links_cut",
        "links*.ndjson",
        "link_cut",
        {"t": "BIGINT", "arm": "VARCHAR", "port": "INTEGER", "toxic": "VARCHAR", "reason": "VARCHAR"},
    ),
    RecordTable(
        "links_silenced",
        "links*.ndjson",
        "link_silenced",
        {"t": "BIGINT", "arm": "VARCHAR", "port": "INTEGER", "toxic": "VARCHAR", "reason": "VARCHAR"},
    ),
    RecordTable(
        "links_forgotten",
        "links*.ndjson",
        "link_forgotten",
        {"t": "BIGINT", "arm": "VARCHAR", "port": "INTEGER", "toxic": "VARCHAR", "reason": "VARCHAR"},
    ),
    RecordTable("loops", "witness-*.ndjson", "loop", {"t": "BIGINT", "pid": "INTEGER", "ms": "DOUBLE"}),
    RecordTable("witness_ticks", "witness-*.ndjson", "tick", {"t": "BIGINT", "pid": "INTEGER"}),
    RecordTable("repeats", "witness-*.ndjson", "repeat", {"t": "BIGINT", "id": "VARCHAR"}),
    RecordTable("troubles", "witness-*.ndjson", "trouble", {"t": "BIGINT", "text": "VARCHAR"}),
)
