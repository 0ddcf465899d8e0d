"""The columns of every kind of line, so that reading needs no guessing and a torn line changes nothing.

Here are those of the harness and the load; others' are in `foreign.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from brokenpipe.history.records import NEVER_SENT
from brokenpipe.history.schema.foreign import FOREIGN_TABLES
from brokenpipe.history.schema.table import EVERY_FILE, RecordTable

# A success of whose start nothing is written and who wrote nothing: nearly every line of a large history.
_PLAIN = """(k = 'end' AND t0 IS NOT NULL AND ms IS NOT NULL AND begun IS NOT TRUE AND t IS NULL
    AND key IS NULL AND failure IS NULL AND error IS NULL)"""

TABLES = (
    RecordTable(
        "clocks",
        EVERY_FILE,
        "clock",
        {"t": "BIGINT", "wall_ns": "BIGINT", "pid": "INTEGER", "writer": "VARCHAR", "format": "INTEGER"},
    ),
    RecordTable(
        "phase_edges", "experiment*.ndjson", "phase", {"t": "BIGINT", "name": "VARCHAR", "edge": "VARCHAR"}
    ),
    RecordTable(
        "episodes",
        "experiment*.ndjson",
        "episode",
        {
            "phase": "VARCHAR",
            "n": "INTEGER",
            "t0": "BIGINT",
            "t1": "BIGINT",
            "strike": "BIGINT",
            "counts": "BOOLEAN",
            "arm": "VARCHAR",
        },
    ),
    RecordTable(
        "doubts",
        "experiment*.ndjson",
        "doubt",
        {
            "t": "BIGINT",
            "code": "VARCHAR",
            "text": "VARCHAR",
            "remedy": "VARCHAR",
            "unknown": "BOOLEAN",
            "phase": "VARCHAR",
            "arm": "VARCHAR",
        },
    ),
    RecordTable(
        "probes",
        "experiment*.ndjson",
        "probe",
        {
            "t": "BIGINT",
            "fault": "VARCHAR",
            "situation": "VARCHAR",
            "expected": "VARCHAR",
            "seen": "VARCHAR",
            "after_ms": "DOUBLE",
            "held": "BOOLEAN",
            "parameters": "JSON",
        },
    ),
    RecordTable(
        "resumptions",
        "experiment*.ndjson",
        "resumed",
        {"t": "BIGINT", "part": "INTEGER", "command": "VARCHAR"},
    ),
    RecordTable(
        "finishes",
        "experiment*.ndjson",
        "finish",
        {
            "t": "BIGINT",
            "how": "VARCHAR",
            "files": "MAP(VARCHAR, BIGINT)",
            "checksums": "MAP(VARCHAR, VARCHAR)",
        },
    ),
    RecordTable(
        "syncs",
        "experiment*.ndjson",
        "sync",
        {"t": "BIGINT", "worker": "VARCHAR", "offset_ns": "BIGINT", "error_ns": "BIGINT"},
    ),
    RecordTable(
        "acts",
        "nemesis*.ndjson",
        "act",
        {
            "t0": "BIGINT",
            "t1": "BIGINT",
            "action": "VARCHAR",
            "fault": "VARCHAR",
            "arm": "VARCHAR",
            "phase": "VARCHAR",
            "episode": "INTEGER",
            "error": "VARCHAR",
            "parameters": "JSON",
        },
    ),
    RecordTable(
        "landings",
        "nemesis*.ndjson",
        "landing",
        {
            "t": "BIGINT",
            "fault": "VARCHAR",
            "arm": "VARCHAR",
            "phase": "VARCHAR",
            "episode": "INTEGER",
            "expected": "VARCHAR",
            "seen": "VARCHAR",
            "after_ms": "DOUBLE",
            "landed": "BOOLEAN",
            "parameters": "JSON",
            "timed_from": "VARCHAR",
        },
    ),
    RecordTable(
        "started",
        "requests*.ndjson",
        "start",
        {"t": "BIGINT", "arm": "VARCHAR", "id": "VARCHAR", "name": "VARCHAR", "key": "VARCHAR"},
    ),
    RecordTable(
        "ended",
        "requests*.ndjson",
        "end",
        {
            "t0": "BIGINT",
            "arm": "VARCHAR",
            "name": "VARCHAR",
            "id": "VARCHAR",
            "ms": "DOUBLE",
            "status": "INTEGER",
            "key": "VARCHAR",
            "begun": "BOOLEAN",
            "failure": "VARCHAR",
            "error": "VARCHAR",
            "t": "BIGINT",
        },
        where=f"{_PLAIN} IS NOT TRUE",
    ),
    RecordTable(
        "plain_ends",
        "requests*.ndjson",
        "end",
        {
            "t0": "BIGINT",
            "arm": "VARCHAR",
            "name": "VARCHAR",
            "ms": "DOUBLE",
            "status": "INTEGER",
        },
        where=_PLAIN,
        plain=True,
    ),
    RecordTable(
        "late",
        "requests*.ndjson",
        "late",
        {"t": "BIGINT", "arm": "VARCHAR", "id": "VARCHAR", "ms": "DOUBLE"},
    ),
    RecordTable("missed", "requests*.ndjson", "missed", {"t": "BIGINT", "arm": "VARCHAR"}),
    RecordTable("lags", "requests*.ndjson", "lag", {"t": "BIGINT", "ms": "DOUBLE"}),
    RecordTable(
        "process_gauges",
        "gauges*.ndjson",
        "process",
        {
            "t": "BIGINT",
            "role": "VARCHAR",
            "arm": "VARCHAR",
            "cpu_s": "DOUBLE",
            "rss_bytes": "BIGINT",
            "private_bytes": "BIGINT",
        },
    ),
    RecordTable(
        "machine_gauges",
        "gauges*.ndjson",
        "machine",
        {"t": "BIGINT", "busy": "DOUBLE", "stolen": "DOUBLE", "throttled": "DOUBLE"},
    ),
    RecordTable("ticks", "gauges*.ndjson", "tick", {"t": "BIGINT", "wall_ns": "BIGINT", "boot_ns": "BIGINT"}),
    RecordTable("slots", "gauges*.ndjson", "slots", {"t": "BIGINT", "used": "INTEGER", "allowed": "INTEGER"}),
    RecordTable(
        "postgres_gauges",
        "gauges*.ndjson",
        "postgres",
        {
            "t": "BIGINT",
            "arm": "VARCHAR",
            "connections": "INTEGER",
            "active": "INTEGER",
            "idle": "INTEGER",
            "idle_in_transaction": "INTEGER",
            "transactions": "BIGINT",
            "worked": "INTEGER",
            "direct": "INTEGER",
            "killed": "BIGINT",
        },
    ),
    RecordTable("watched", "watch*.ndjson", "watched", {"t": "BIGINT", "part": "VARCHAR", "arm": "VARCHAR"}),
    RecordTable("looks", "watch*.ndjson", "look", {"t": "BIGINT"}),
    RecordTable(
        "silences",
        "watch*.ndjson",
        "silence",
        {
            "t": "BIGINT",
            "edge": "VARCHAR",
            "part": "VARCHAR",
            "arm": "VARCHAR",
            "pid": "INTEGER",
            "how": "VARCHAR",
        },
    ),
    RecordTable(
        "server_starts",
        "gauges*.ndjson",
        "server_start",
        {"t": "BIGINT", "postmaster_us": "BIGINT", "helpers_us": "BIGINT"},
    ),
    RecordTable(
        "entries",
        "ledger*.ndjson",
        "entry",
        {"arm": "VARCHAR", "edge": "VARCHAR", "key": "VARCHAR", "count": "BIGINT"},
    ),
    RecordTable(
        "balances",
        "ledger*.ndjson",
        "balance",
        {"t": "BIGINT", "arm": "VARCHAR", "edge": "VARCHAR", "entries": "BIGINT", "error": "VARCHAR"},
    ),
    RecordTable(
        "container_events",
        "containers*.ndjson",
        "container",
        {
            "t": "BIGINT",
            "service": "VARCHAR",
            "change": "VARCHAR",
            "exit_code": "INTEGER",
            "signal": "VARCHAR",
            "limit_bytes": "BIGINT",
        },
    ),
    *FOREIGN_TABLES,
)

# A request is known from its end, which says all that its start says. Where a start was written because the end was
# not there yet, or before ends said so much, the two belong together by arm and id.
VIEWS: Mapping[str, str] = {
    "never_sent": f"SELECT arm, failure, t0 AS t FROM ended WHERE failure IN {NEVER_SENT}",
    "other_requests": f"""
        SELECT arm, id, hash(id) AS id_hash, name, key, t0 AS t, t0 + (ms * 1e6)::BIGINT AS t_end, ms, status,
               failure, error
        FROM ended WHERE t0 IS NOT NULL AND (failure IS NULL OR failure NOT IN {NEVER_SENT})
        UNION ALL
        SELECT s.arm, s.id, hash(s.id), s.name, s.key, s.t, e.t, e.ms, e.status, e.failure, e.error
        FROM started s LEFT JOIN (FROM ended WHERE t0 IS NULL OR begun) e ON s.arm = e.arm AND s.id = e.id
        WHERE e.t0 IS NULL""",
    "requests": """
        SELECT arm, NULL::VARCHAR AS id, id_hash, name, NULL::VARCHAR AS key, t0 AS t,
               t0 + (ms * 1e6)::BIGINT AS t_end, ms, status, NULL::VARCHAR AS failure, NULL::VARCHAR AS error
        FROM plain_ends
        UNION ALL FROM other_requests""",
    # Ended or made to stand still, and not by an act of the nemesis: those may lie 0.25 s beside what the engine says.
    # Nor by the stack, which ends all of them when an experiment is over or cut off: then no edge of a phase follows.
    "disturbed": """
        SELECT c.* FROM container_events c WHERE c.change IN ('ended', 'paused') AND c.service NOT LIKE 'scratch%'
        AND (SELECT arg_min(edge, t) FROM (
                SELECT t, true AS edge FROM phase_edges UNION ALL SELECT t, false FROM resumptions
            ) WHERE t >= c.t)
        AND NOT EXISTS (
            FROM acts a WHERE c.t BETWEEN a.t0 - 250000000 AND a.t1 + 250000000
            AND ((c.service = 'postgres' AND a.fault IN (SELECT name FROM fault_kinds WHERE stops_server))
                 OR (c.service = 'toxiproxy' AND a.action = 'restart')))""",
}
