"""The closed list of reasons to mistrust what was measured: when each is raised, its consequence, what to do.

Some are raised while an experiment runs and written into its history, others by the figures it leaves. All of them
stand here, and in docs/doubts.md, in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Consequence = Literal["unknown", "note"]


class Code(StrEnum):
    """The name of a doubt in `summary.json` and in the report. Names are added, never changed."""

    # the load generator
    GENERATOR_SATURATED = "generator_saturated"
    GENERATOR_STARVED = "generator_starved"
    GENERATOR_LAGGED = "generator_lagged"
    ARRIVALS_LATE = "arrivals_late"
    ARRIVALS_MISSED = "arrivals_missed"
    NO_TRAFFIC = "no_traffic"
    UNEQUAL_LOAD = "unequal_load"
    NOT_DRAINED = "not_drained"
    USERS_CHANGED = "users_changed"
    LOAD_SHAPE = "load_load_shape"
    CLASS_WITHOUT_USERS = "load_class_without_users"
    USER_ENDED = "load_user_ended"
    TASK_ERROR = "load_task_error"
    NOTICES_CAPPED = "load_notices_capped"
    WORKER_LOST = "load_worker_lost"
    CLOCKS_APART = "clocks_apart"
    # the faults and what does them
    CONTRACT_NOT_PROBED = "contract_not_probed"
    CONTRACT_NOT_HELD = "contract_not_held"
    FAULT_DID_NOT_LAND = "fault_did_not_land"
    STRIKE_LATE = "strike_late"
    ACT_FAILED = "act_failed"
    PROXY_RESTARTED = "proxy_restarted"
    PROXY_HUNG = "proxy_hung"
    TOXIPROXY_DIED = "toxiproxy_died"
    # the service and its database
    TARGET_DIED = "target_died"
    TARGET_RESTARTED = "target_restarted"
    BYPASSES_PROXY = "bypasses_proxy"
    NO_DATABASE_TRAFFIC = "no_database_traffic"
    WITNESS_TROUBLE = "witness_trouble"
    REQUESTS_UNSEEN = "requests_unseen"
    ERRORS_SWALLOWED = "errors_swallowed"
    LEDGER_UNKNOWN = "ledger_unknown"
    LEDGER_NOT_SETTLED = "ledger_not_settled"
    LOST_BETWEEN_PHASES = "lost_between_phases"
    PGBOUNCER_DIED = "pgbouncer_died"
    POSTGRES_DIED = "postgres_died"
    POSTGRES_FULL = "postgres_full"
    POSTGRES_NEARLY_FULL = "postgres_nearly_full"
    # the machine
    MACHINE_SATURATED = "machine_saturated"
    MACHINE_BUSY = "machine_busy"
    MACHINE_THROTTLED = "machine_throttled"
    MACHINE_STOLEN = "machine_stolen"
    MEMORY_GREW = "memory_grew"
    MACHINE_SUSPENDED = "machine_suspended"
    CLOCK_JUMPED = "clock_jumped"
    RESUMED = "resumed"
    LINES_UNREADABLE = "lines_unreadable"
    # the plan
    NOTHING_EXPECTED = "nothing_expected"
    FEW_EPISODES = "few_episodes"
    TOO_FEW_TO_COMPARE = "too_few_to_compare"
    WARM_UP_SHORT = "warm_up_short"
    # the baseline
    BASELINE_IN_DOUBT = "baseline_in_doubt"
    BASELINE_NOT_COVERED = "baseline_not_covered"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a doubt before it is raised. `unknown`: no check that rests on it may pass."""

    when: str
    consequence: Consequence
    remedy: str

    @property
    def unknown(self) -> bool:
        return self.consequence == "unknown"


SATURATED_CORES = 0.85  # one Locust process has one core; above this it sends later than users would
LAG_MS = 500.0
APART_MS = 20.0  # as much as a strike takes to land; an episode is longer by far
STARVED_MS = 1000.0
STARVED_MEDIAN_MS = 100.0
LATE_MS = 50.0
LATE_SHARE = 0.05
UNEQUAL = 0.5  # of the control's requests
SATURATED_MACHINE = 0.9
BUSY_MACHINE = 0.6  # latencies begin to measure the machine
STOLEN = 0.05
THROTTLED = 0.05
EARLY_S = 300.0  # by then a process has warmed up
GROWN_BYTES = 8e6
GROWN_SHARE = 0.05
JUMP_S = 0.25
FULL = 0.98
NEARLY_FULL = 0.9
FEWEST_EPISODES = 6  # with five, the smallest two-sided p of a sign-flip test is 2 / 2^5 = 0.06
HARDLY_ANY = 0.02  # transactions for each request that succeeded

_LOAD_LOG = "See logs/load.log, and the locustfile."

DOUBTS: Mapping[Code, Kind] = {
    Code.GENERATOR_SATURATED: Kind(
        "a process of Locust used more than 85 % of the one core it can use",
        "unknown",
        "Lower --users, or give it --workers: a generator without room sends late, and its latencies are its own.",
    ),
    Code.GENERATOR_STARVED: Kind(
        "Locust's event loop woke more than 1 s late, or more than 100 ms late in half of all half seconds",
        "unknown",
        "Something else held the processor, or Locust was stopped: end that, or lower --users.",
    ),
    Code.GENERATOR_LAGGED: Kind(
        "Locust's event loop woke more than 0.5 s late",
        "note",
        "Something else held the processor; run again if latencies matter.",
    ),
    Code.ARRIVALS_LATE: Kind(
        "more than 5 % of the arrivals of an open load began more than 50 ms late",
        "note",
        "Their latencies count from when they were due; give [load] users more room if the service is not the cause.",
    ),
    Code.ARRIVALS_MISSED: Kind(
        "arrivals of an open load were never sent, because every user was still busy when the load paused",
        "unknown",
        "Raise [load] users or lower arrivals_per_s: what was never sent has no latency.",
    ),
    Code.NO_TRAFFIC: Kind(
        "no request was started on an arm in a phase",
        "unknown",
        "Look at logs/load.log and at the locustfile.",
    ),
    Code.UNEQUAL_LOAD: Kind(
        "an arm received less than half of the control's requests in a phase",
        "note",
        "Users wait for answers, so a slow arm asks less: compare rates, not counts, or use [load] arrivals_per_s.",
    ),
    Code.NOT_DRAINED: Kind(
        "requests were still under way when they should have ended after the load paused",
        "note",
        "Raise [load] timeout_s, or find out why the target does not answer (logs/).",
    ),
    Code.USERS_CHANGED: Kind(
        "somebody changed the number of users in the middle of a run at the web UI",
        "note",
        "Rates of before and after are of different loads: make a run of its own for each number of users.",
    ),
    Code.LOAD_SHAPE: Kind("the locustfile has a load shape, which is ignored", "note", _LOAD_LOG),
    Code.CLASS_WITHOUT_USERS: Kind("a user class of the locustfile gets no users", "note", _LOAD_LOG),
    Code.USER_ENDED: Kind(
        "a user ended before it began, so that its arm has one fewer",
        "unknown",
        "Make on_start survive what it meets (logs/load.log): arms with different numbers of users do not compare.",
    ),
    Code.TASK_ERROR: Kind("a task of the locustfile raised an exception", "note", _LOAD_LOG),
    Code.NOTICES_CAPPED: Kind(
        "the locustfile gave more occasions for notes than are kept", "note", _LOAD_LOG
    ),
    Code.WORKER_LOST: Kind(
        "a worker of the load said nothing for 3 s: it ended, was stopped, or could not be reached",
        "unknown",
        "See its log, logs/load-w1.log for w1: its users were missing from then on, and its last requests may be.",
    ),
    Code.CLOCKS_APART: Kind(
        "a worker's clock is known to no better than 20 ms, or was not measured",
        "unknown",
        "Bring the worker nearer, or lower its load: its requests may be counted in the wrong episode.",
    ),
    Code.CONTRACT_NOT_PROBED: Kind(
        "no fault was tried on a raw socket before the experiment",
        "unknown",
        "Run again; every experiment begins with that.",
    ),
    Code.CONTRACT_NOT_HELD: Kind(
        "a fault did not do on a raw socket what it says",
        "unknown",
        "Run `brokenpipe doctor`; if it repeats, this machine cannot measure that fault.",
    ),
    Code.FAULT_DID_NOT_LAND: Kind(
        "a strike was not seen by the raw socket that waited for it, or nobody waited",
        "unknown",
        "Lower the load (--users) or run again; nothing that was not hit can survive.",
    ),
    Code.STRIKE_LATE: Kind(
        "a strike came after the end of its episode",
        "unknown",
        "Raise every_s, or lower the load: the sockets that watch a strike took too long to open.",
    ),
    Code.ACT_FAILED: Kind(
        "Toxiproxy, or whoever else was to break or mend something, refused",
        "unknown",
        "Run again; if it repeats, see logs/toxiproxy.log.",
    ),
    Code.PROXY_RESTARTED: Kind(
        "Toxiproxy did not answer a call in time and was killed and started anew",
        "unknown",
        "Run again; if it repeats, see logs/toxiproxy.log: a peer that stops reading can hang it.",
    ),
    Code.PROXY_HUNG: Kind(
        "Toxiproxy did not answer for 2 s while nothing was asked of it but its version",
        "unknown",
        "Run again; if it repeats, see logs/toxiproxy.log, and whether something stops the process.",
    ),
    Code.TOXIPROXY_DIED: Kind(
        "the Toxiproxy server ended by itself",
        "unknown",
        "Find out why in logs/toxiproxy.log; every failure after that is its own.",
    ),
    Code.TARGET_DIED: Kind(
        "the service of an arm ended by itself",
        "unknown",
        "Find out why in logs/target-ARM.log; what failed after that is no fault of a setting.",
    ),
    Code.TARGET_RESTARTED: Kind(
        "a process of the service that was there at the start ended in mid-run, and another may have taken its place",
        "unknown",
        "Find out why in logs/target-ARM.log; a new process has an empty pool, whatever its settings.",
    ),
    Code.BYPASSES_PROXY: Kind(
        "connections to an arm's database came from somewhere else than its proxy",
        "unknown",
        "Let the service take its database from the variable that target.toml names, and from nowhere else.",
    ),
    Code.NO_DATABASE_TRAFFIC: Kind(
        "requests succeeded while their arm's database did nothing: less than one transaction in fifty requests",
        "unknown",
        "Let the requests reach the database: an answer from a cache, or from another database, survives everything.",
    ),
    Code.WITNESS_TROUBLE: Kind(
        "the witness inside the service failed at something",
        "unknown",
        "Its counts are lower bounds; please report this with your versions.",
    ),
    Code.REQUESTS_UNSEEN: Kind(
        "requests of an arm failed without a word of why, and the witness saw none of its requests",
        "note",
        "It sees ASGI applications under uvicorn (docs/witness.md); elsewhere expect `failed`: `broken` stays unknown.",
    ),
    Code.ERRORS_SWALLOWED: Kind(
        "the service answered requests as successes although the database had failed them and nothing made up for it, "
        'and no [[expect]] of the metric "swallowed" decides about that',
        "unknown",
        "Let the service answer with an error or repeat the work; if it may go without, expect that.",
    ),
    Code.LEDGER_UNKNOWN: Kind(
        "the target has a ledger, and an arm's could not be read or compared: expectations of its writes are unknown",
        "note",
        "Read what became of it in the text, and docs/ledger.md.",
    ),
    Code.LEDGER_NOT_SETTLED: Kind(
        "transactions of an arm were still open when its ledger was read, long after the load had ended",
        "unknown",
        "Find out what the service does when nobody asks (logs/), and let it come to an end.",
    ),
    Code.LOST_BETWEEN_PHASES: Kind(
        "acknowledged writes that were asked for between phases are missing",
        "unknown",
        "No check is about them, but a service that does this loses writes: look at the section on writes.",
    ),
    Code.PGBOUNCER_DIED: Kind(
        "PgBouncer ended by itself",
        "unknown",
        "Find out why in logs/pgbouncer.log; what failed after that is no fault of a setting.",
    ),
    Code.POSTGRES_DIED: Kind(
        "Postgres ended by itself",
        "unknown",
        "Find out why in logs/postgres.log; what failed after that is no fault of a setting.",
    ),
    Code.POSTGRES_FULL: Kind(
        "Postgres had 98 % or more of the connections that it allows, so it refused others whatever their pool",
        "unknown",
        "Lower pool sizes, workers, users or arms: together they want more than max_connections.",
    ),
    Code.POSTGRES_NEARLY_FULL: Kind(
        "Postgres had more than 90 % of the connections that it allows",
        "note",
        "Lower pool sizes, workers, users or arms before it refuses connections.",
    ),
    Code.MACHINE_SATURATED: Kind(
        "all cores together were more than 90 % busy",
        "unknown",
        "Lower --users or run fewer arms (--only); latencies are those of the wait for a core.",
    ),
    Code.MACHINE_BUSY: Kind(
        "all cores together were more than 60 % busy",
        "note",
        "Lower --users or run fewer arms (--only); latencies include the wait for a core.",
    ),
    Code.MACHINE_THROTTLED: Kind(
        "the processor quota of the control group kept processes waiting for more than 5 % of the time",
        "unknown",
        "Raise the container's or the unit's CPU quota, or lower --users.",
    ),
    Code.MACHINE_STOLEN: Kind(
        "a hypervisor took more than 5 % of the processor away",
        "note",
        "Latencies include that; run on a quieter machine.",
    ),
    Code.MEMORY_GREW: Kind(
        "the memory of a process went on growing from the fifth minute to the end, by 5 % and 8 MB at least",
        "note",
        "Of a service: find out what it keeps. Of anything else: please report this with your versions.",
    ),
    Code.MACHINE_SUSPENDED: Kind(
        "the machine slept during the run",
        "unknown",
        "Run again with suspending switched off; nothing was measured while it slept.",
    ),
    Code.CLOCK_JUMPED: Kind(
        "the wall clock moved against the monotonic clock by more than 0.25 s within a few seconds",
        "unknown",
        "Run again when the clock is in step: SQLAlchemy tells the age of a connection by it, so recycle is off.",
    ),
    Code.RESUMED: Kind(
        "the run was cut off and resumed: its services and its database were new from then on",
        "note",
        "Writes are compared with the last database only; run again if they, or drift over time, matter.",
    ),
    Code.LINES_UNREADABLE: Kind(
        "lines of the history cannot be read; a last line that was cut off does not count",
        "unknown",
        "Find out what damaged that file: a full disk, or another program that wrote to it. Then run again.",
    ),
    Code.NOTHING_EXPECTED: Kind(
        "the scenario expects nothing, so nothing can pass",
        "unknown",
        "Add an [[expect]] to the scenario.",
    ),
    Code.FEW_EPISODES: Kind(
        "an expectation that is decided on an interval rests on fewer than six episodes, too few to show a difference",
        "note",
        "Raise episodes, or seconds: a block of 2 s is an episode. Twelve are a good number.",
    ),
    Code.TOO_FEW_TO_COMPARE: Kind(
        "arms broke different shares in a phase with so few episodes that no difference can be told from chance",
        "note",
        "Give the phase more episodes, or compare fewer arms (--only).",
    ),
    Code.WARM_UP_SHORT: Kind(
        "the first episode of a calm phase was unlike the others: much slower, or pools were still being filled",
        "note",
        "Put a phase that nothing is expected of first, or make this one longer.",
    ),
    Code.BASELINE_IN_DOUBT: Kind(
        "the run was held against a baseline that has an unknown of this list itself",
        "unknown",
        "Record a baseline without doubts, and hold this run against that: `brokenpipe report RUN --baseline …`.",
    ),
    Code.BASELINE_NOT_COVERED: Kind(
        "something of the run could not be held against the baseline, and no check is about it",
        "note",
        "Record a new baseline on this machine, with enough episodes, if that is to be gated, too.",
    ),
}  # fmt: skip
