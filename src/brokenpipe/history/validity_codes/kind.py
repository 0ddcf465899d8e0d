"""A doubt's name, and what is known of it before it is raised."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Consequence = Literal["unknown", "note"]

Affected = Literal["nothing", "failed", "writes", "counts"]
"""What proves a failure although a doubt is there.

`counts`: every count above its bound, because the doubt can only hide events, never make them. `writes`: writes that
are lost or doubled, because a load, a wire or a clock that went wrong fails requests, but takes nothing out of a
database. `failed`: requests that failed, because what is in doubt says why they did, and not that. `nothing`: the
database, or what was recorded of it, is in doubt itself.
"""


class Code(StrEnum):
    """The name of a doubt in `summary.json` and in the report. Names are added, never changed."""

    # the load generator
    GENERATOR_SATURATED = "generator_saturated"
    GENERATOR_STARVED = "generator_starved"
    GENERATOR_LAGGED = "generator_lagged"
    GENERATOR_OUT_OF_FILES = "generator_out_of_files"
    GENERATOR_OUT_OF_PORTS = "generator_out_of_ports"
    GENERATOR_OUT_OF_MEMORY = "generator_out_of_memory"
    ARRIVALS_LATE = "arrivals_late"
    ARRIVALS_MISSED = "arrivals_missed"
    NO_TRAFFIC = "no_traffic"
    UNEQUAL_LOAD = "unequal_load"
    REQUESTS_REPEATED = "requests_repeated"
    NOT_DRAINED = "not_drained"
    USERS_CHANGED = "users_changed"
    LOAD_SHAPE = "load_load_shape"
    CLASS_WITHOUT_USERS = "load_class_without_users"
    USER_ENDED = "load_user_ended"
    TASK_ERROR = "load_task_error"
    NOTICES_CAPPED = "load_notices_capped"
    WORKER_LOST = "load_worker_lost"
    CLOCKS_APART = "clocks_apart"
    LOAD_STOPPED = "load_stopped"
    # the faults and what does them
    CONTRACT_NOT_PROBED = "contract_not_probed"
    CONTRACT_NOT_HELD = "contract_not_held"
    FAULT_DID_NOT_LAND = "fault_did_not_land"
    STRIKE_LATE = "strike_late"
    ACT_FAILED = "act_failed"
    NOT_BACK_AFTER_RENEWAL = "not_back_after_renewal"
    PROXY_RESTARTED = "proxy_restarted"
    PROXY_HUNG = "proxy_hung"
    TOXIPROXY_DIED = "toxiproxy_died"
    TOXIPROXY_STOPPED = "toxiproxy_stopped"
    OUT_OF_FILES = "out_of_files"
    FAULT_NOT_INSTALLED = "fault_not_installed"
    # the service and its database
    TARGET_DIED = "target_died"
    TARGET_RESTARTED = "target_restarted"
    SERVICE_STOPPED = "service_stopped"
    BYPASSES_PROXY = "bypasses_proxy"
    NO_DATABASE_TRAFFIC = "no_database_traffic"
    SERVICE_BROKEN = "service_broken"
    WITNESS_TROUBLE = "witness_trouble"
    REQUESTS_UNSEEN = "requests_unseen"
    ERRORS_SWALLOWED = "errors_swallowed"
    LEDGER_UNKNOWN = "ledger_unknown"
    LEDGER_NOT_SETTLED = "ledger_not_settled"
    LOST_BETWEEN_PHASES = "lost_between_phases"
    PGBOUNCER_DIED = "pgbouncer_died"
    PGBOUNCER_HUNG = "pgbouncer_hung"
    POSTGRES_DIED = "postgres_died"
    POSTGRES_CRASHED = "postgres_crashed"
    SESSIONS_TERMINATED = "sessions_terminated"
    POSTGRES_HUNG = "postgres_hung"
    OUT_OF_MEMORY = "out_of_memory"
    CONTAINER_PAUSED = "container_paused"
    POSTGRES_FULL = "postgres_full"
    POSTGRES_NEARLY_FULL = "postgres_nearly_full"
    # the harness
    HARNESS_STOPPED = "harness_stopped"
    GAUGES_SILENT = "gauges_silent"
    JANITOR_LOST = "janitor_lost"
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
    HISTORY_INCOMPLETE = "history_incomplete"
    HISTORY_CHANGED = "history_changed"
    # the plan
    NOTHING_EXPECTED = "nothing_expected"
    FEW_EPISODES = "few_episodes"
    TOO_FEW_TO_COMPARE = "too_few_to_compare"
    WARM_UP_SHORT = "warm_up_short"
    # the baseline
    BASELINE_IN_DOUBT = "baseline_in_doubt"
    BASELINE_NOT_COVERED = "baseline_not_covered"


@dataclass(frozen=True, slots=True)
class DoubtKind:
    """What is known of a doubt before it is raised. `unknown`: no check that rests on it may pass."""

    when: str
    consequence: Consequence
    remedy: str
    stands: Affected = "writes"  # of an unknown: which failures are proven all the same

    @property
    def unknown(self) -> bool:
        return self.consequence == "unknown"
