"""The schema of `summary.json`, as a stranger's program would have it: strictly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Decided = Literal["pass", "fail", "unknown"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Percentiles(Strict):
    p50: float | None
    p95: float | None
    p99: float | None


class MaskedBy(Strict):
    pre_ping: int
    recycle: int
    invalidation: int
    noticed: int


class Price(Strict):
    checkouts: int
    pings: int
    ping_ms: float | None
    wait_ms: float | None
    connects: int
    connect_ms: float | None
    most_connects_per_s: int
    mechanisms: dict[str, dict[str, int | float | None]]


class Owed(Strict):
    direct: int
    collateral: int
    secondary: int
    unattributed: int
    unknown: int
    by_fault: dict[str, int]
    by_request_phase: dict[str, int]
    preventable: int
    preventable_share: Share | None
    preventable_by: dict[str, int]
    not_preventable: int
    preventable_unknown: int
    by_time_alone: int
    service: int
    event_loop_stood_still_s: float | None


class Written(Strict):
    acknowledged: int
    refused: int
    unanswered: int
    lost: int
    unacknowledged: int
    doubled: int


class Ledger(Strict):
    unread: str | None
    total: Written | None
    never_asked_for: int | None
    examples: list[dict[str, str | int]]


class Arrived(Strict):
    due: int
    late: int
    missed: int
    worst_ms: float | None


class Pool(Strict):
    processes: int
    size: int
    most: int | None
    timeout_s: float | None
    checkouts: int
    gave_up: int
    wait_ms: Percentiles
    mean_out: float
    peak_out: int
    peak_connections: int | None


class Time(Strict):
    requests: int
    total: float
    pool: float
    connect: float
    ping: float
    statements: float
    loop: float | None
    elsewhere: float


class Sessions(Strict):
    quarters: Annotated[list[int], Field(min_length=4, max_length=4)]
    grow: bool | None


class LostSlot(Strict):
    request: str
    id: str
    port: int | None
    pool: int | None
    out_s: float


class LostSlots(Strict):
    count: int
    collected: int
    by_request: dict[str, int]
    example: LostSlot | None


class Nested(Strict):
    request: str
    requests: int
    nested: int
    connections: int
    waited: int
    gave_up: int


class Size(Strict):
    arm: str
    most: int
    wait_p95_ms: float
    ci95: list[float] | None
    timeouts: int
    refused: int
    answered_per_s: float
    held_ms: float | None
    room: Literal["short", "open", "enough"]


class Sizing(Strict):
    phase: str
    known: bool
    tolerable_ms: float
    knee: int | None
    unsure: list[int]
    why: str | None
    left_out: dict[str, str]
    sizes: list[Size]


class PerEpisode(Strict):
    mean: float
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)] | None


class Left(Strict):
    requests: int
    reconnects: int


class Phase(Strict):
    requests: int
    failed: int
    broken: int | None
    stale: int | None
    in_use: int | None
    after_rest: int | None
    rest_s: tuple[float, float] | None
    elsewhere: int
    otherwise: int
    unexplained: int
    swallowed: int | None
    wrong_results: int
    server_connections: int | None
    client_connections: int | None
    slots_lost: int | None
    lost_slots: LostSlots | None
    loop_lag_ms: float | None
    left: Left | None
    owed: Owed | None
    written: Written | None
    failed_by_class: dict[str, int]
    broken_pipe_rate: Share | None
    ci95: Annotated[list[Share], Field(min_length=2, max_length=2)] | None
    episodes: int
    masked: int | None
    masked_by: MaskedBy | None
    broken_per_episode: PerEpisode | None
    failed_per_episode: PerEpisode | None
    requests_per_s: float | None
    recovery_s: list[float | None]
    never_recovered: int | None
    unavailable_s: float | None
    longest_wait_ms: float | None
    price: Price | None
    latency_ms: Percentiles
    arrivals: Arrived | None
    pool: Pool | None
    nested_checkouts: list[Nested] | None
    sessions: Sessions | None
    time_ms: Time | None


class Witness(Strict):
    requests: bool
    pools: bool
    seen: Literal["requests and pools", "requests only", "pools only", "neither", "no file"]


class Arm(Strict):
    env: dict[str, str]
    differs_in: dict[str, str]
    witness: Witness | None
    requests: int
    failed: int
    phases: dict[str, Phase]
    ledger: Ledger | None


class Against(Strict):
    base: float | None
    new: float | None
    tolerated: float
    matters: float
    p: Share | None


class Check(Strict):
    arm: str
    phase: str
    metric: str
    bound: str
    value: float | int | None
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)] | None
    verdict: Decided
    text: str
    more_episodes: int | None
    against: Against | None


class Comparison(Strict):
    arm: str
    phase: str
    metric: str
    episodes: int
    difference: float | None
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)] | None
    p: Share | None
    differs: bool
    smallest_seen: float | None


class Warn(Strict):
    code: str
    text: str
    remedy: str
    unknown: bool
    phase: str | None
    arm: str | None


class Best(Strict):
    arm: str
    recommended: bool
    in_doubt: bool
    prevented_share: float
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)] | None
    failed: int
    requests: int
    control_failed: int
    control_requests: int
    beyond_chance: bool
    better_in: list[str]
    ranked_by: Literal["preventable", "failed"]
    tied: list[str]
    cost_ms: float | None


class Cost(Strict):
    phase: str
    added_ms: float | None
    price_ms: float | None
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)] | None
    matters_ms: float


class Memory(Strict):
    role: str
    arm: str | None
    private: bool
    early_s: float | None
    early_bytes: int | None
    end_bytes: int
    peak_bytes: int
    grew: bool | None


class History(Strict):
    requests: int
    bytes: int


class Played(Strict):
    fault: str
    renewed_connections: dict[str, int | None]


class Summary(Strict):
    schema_: Literal[1] = Field(alias="schema")
    scenario: str
    started: str
    duration_s: float
    finished: str
    verdict: Decided
    sentence: str
    evidence: list[str]
    target: str
    control: str
    users_per_arm: int
    isolated: list[str]
    arrivals_per_s: float | None
    seed: int
    baseline: str | None
    best: Best | None
    costs: dict[str, Cost]
    arms: dict[str, Arm]
    sizing: Sizing | None
    phases: dict[str, Played]
    environment: dict[str, str]
    checks: list[Check]
    comparisons: list[Comparison]
    warnings: list[Warn]
    memory: list[Memory]
    history: History
