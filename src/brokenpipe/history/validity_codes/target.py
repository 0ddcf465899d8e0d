"""Doubts about the service and its database, and the figures from which they are raised."""

from __future__ import annotations

from collections.abc import Mapping

from brokenpipe.history.validity_codes.kind import Code, DoubtKind

FULL = 0.98
NEARLY_FULL = 0.9
NEARLY_ALL = 0.9  # of an arm's requests
ENOUGH_REQUESTS = 20
HARDLY_ANY = 0.02  # transactions for each request that succeeded

TARGET: Mapping[Code, DoubtKind] = {
    Code.TARGET_DIED: DoubtKind(
        "the service of an arm ended by itself",
        "unknown",
        "Find out why in logs/target-ARM.log; what failed after that is no fault of a setting.",
    ),
    Code.TARGET_RESTARTED: DoubtKind(
        "a process of the service that was there at the start ended in mid-run, and another may have taken its place",
        "unknown",
        "Find out why in logs/target-ARM.log; a new process has an empty pool, whatever its settings.",
    ),
    Code.SERVICE_STOPPED: DoubtKind(
        "a process of the service stood still for half a second or more, or its witness said nothing for 3 s",
        "unknown",
        "Something stopped it (SIGSTOP, a debugger): leave the processes of a run alone, and run again.",
    ),
    Code.BYPASSES_PROXY: DoubtKind(
        "connections to an arm's database came from somewhere else than its proxy",
        "unknown",
        "Let the service take its database from the variable that target.toml names, and from nowhere else.",
        stands="counts",
    ),
    Code.NO_DATABASE_TRAFFIC: DoubtKind(
        "requests succeeded while their arm's database did nothing: less than one transaction in fifty requests",
        "unknown",
        "Find out who answered (logs/target-ARM.log): a cache or another database survives all, a dead writer too.",
        stands="counts",
    ),
    Code.SERVICE_BROKEN: DoubtKind(
        "nine of ten requests of an arm or more failed in a phase without a fault, and it never did better before",
        "unknown",
        "Mend the service, or what must be there before it, and run again: `prepare` in its target.toml makes tables, "
        "[env] sets variables; its log is logs/target-ARM.log.",
    ),
    Code.WITNESS_TROUBLE: DoubtKind(
        "the witness inside the service failed at something",
        "unknown",
        "Its counts are lower bounds; please report this with your versions.",
        stands="counts",
    ),
    Code.REQUESTS_UNSEEN: DoubtKind(
        "requests of an arm failed, why is not known, and the witness did not see its requests or not its pool",
        "note",
        "Which servers and pools it sees, docs/witness.md lists; elsewhere expect `failed`: "
        "`broken` stays unknown.",
    ),
    Code.ERRORS_SWALLOWED: DoubtKind(
        "the service answered requests as successes although the database had failed them and nothing made up for it, "
        'and no [[expect]] of the metric "swallowed" decides about that',
        "unknown",
        "Let the service answer with an error or repeat the work; if it may go without, expect that.",
        stands="counts",
    ),
    Code.LEDGER_UNKNOWN: DoubtKind(
        "the target has a ledger, and an arm's could not be read or compared: expectations of its writes are unknown",
        "note",
        "Read what became of it in the text, and docs/ledger.md.",
    ),
    Code.LEDGER_NOT_SETTLED: DoubtKind(
        "transactions of an arm were still open when its ledger was read, long after the load had ended",
        "unknown",
        "Find out what the service does when nobody asks (logs/), and let it come to an end.",
        stands="nothing",
    ),
    Code.LOST_BETWEEN_PHASES: DoubtKind(
        "acknowledged writes that were asked for between phases are missing, of an arm that the scenario allows to "
        "lose some",
        "unknown",
        "No bound is about them: look at the section on writes. Of any other arm they are a check, and it fails.",
        stands="counts",
    ),
    Code.PGBOUNCER_DIED: DoubtKind(
        "PgBouncer ended by itself",
        "unknown",
        "Find out why in logs/pgbouncer.log; what failed after that is no fault of a setting.",
    ),
    Code.PGBOUNCER_HUNG: DoubtKind(
        "PgBouncer stood still for half a second or more, or answered no new connection for 2 s",
        "unknown",
        "Find out what held it (logs/pgbouncer.log); what failed meanwhile is no fault of a setting.",
    ),
    Code.POSTGRES_DIED: DoubtKind(
        "Postgres ended by itself",
        "unknown",
        "Find out why in logs/postgres.log; what failed after that is no fault of a setting.",
        stands="nothing",
    ),
    Code.POSTGRES_CRASHED: DoubtKind(
        "a process of Postgres crashed or was killed, so that Postgres ended every session of every arm",
        "unknown",
        "Find out what killed it (logs/postgres.log, dmesg): often it is the kernel, out of memory. Then run again.",
        stands="nothing",
    ),
    Code.SESSIONS_TERMINATED: DoubtKind(
        "sessions of an arm were ended as pg_terminate_backend does, and not by the nemesis",
        "unknown",
        "Leave the database of a run alone; for that fault, use backend_kill.",
    ),
    Code.POSTGRES_HUNG: DoubtKind(
        "a process of Postgres stood still for half a second or more, or Postgres answered no new connection for 2 s, "
        "and no fault of the scenario was the reason",
        "unknown",
        "Find out what held it (logs/postgres.log, SIGSTOP, a disk that hangs); for that fault, use server_pause.",
    ),
    Code.OUT_OF_MEMORY: DoubtKind(
        "the kernel ended a process in a container, because that had used up the memory it may have",
        "unknown",
        "Find out what takes so much (logs/containers.log says when), or raise its mem_limit in compose/services.yaml.",
        stands="nothing",
    ),
    Code.CONTAINER_PAUSED: DoubtKind(
        "a container was made to stand still, and not by the nemesis",
        "unknown",
        "Leave the containers of a run alone (logs/containers.log says when); for that fault, use server_pause.",
    ),
    Code.POSTGRES_FULL: DoubtKind(
        "Postgres had 98 % or more of the connections that it allows, so it refused others whatever their pool",
        "unknown",
        "Lower pool sizes, workers, users or arms: together they want more than max_connections.",
    ),
    Code.POSTGRES_NEARLY_FULL: DoubtKind(
        "Postgres had more than 90 % of the connections that it allows",
        "note",
        "Lower pool sizes, workers, users or arms before it refuses connections.",
    ),
}
