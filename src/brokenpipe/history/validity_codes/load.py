"""Doubts about what made the load, and the figures from which they are raised."""

from __future__ import annotations

from collections.abc import Mapping

from brokenpipe.history.validity_codes.kind import Code, DoubtKind

SATURATED_CORES = 0.85  # one Locust process has one core; above this it sends later than users would
LAG_MS = 500.0
APART_MS = 20.0  # as much as a strike takes to land; an episode is longer by far
STARVED_MS = 1000.0
STARVED_MEDIAN_MS = 100.0
LATE_MS = 50.0
LATE_SHARE = 0.05
UNEQUAL = 0.5  # of the control's requests

_LOAD_LOG = "See logs/load.log, and the locustfile."

LOAD: Mapping[Code, DoubtKind] = {
    Code.GENERATOR_SATURATED: DoubtKind(
        "a process of Locust used more than 85 % of the one core it can use",
        "unknown",
        "Lower --users, or give it --workers: a generator without room sends late, and its latencies are its own.",
    ),
    Code.GENERATOR_STARVED: DoubtKind(
        "Locust's event loop woke more than 1 s late, or more than 100 ms late in half of all half seconds",
        "unknown",
        "Something else held the processor, or Locust was stopped: end that, or lower --users.",
    ),
    Code.GENERATOR_LAGGED: DoubtKind(
        "Locust's event loop woke more than 0.5 s late",
        "note",
        "Something else held the processor; run again if latencies matter.",
    ),
    Code.GENERATOR_OUT_OF_FILES: DoubtKind(
        "Locust had no file descriptor left for a request, which was therefore never sent",
        "unknown",
        "Raise the limit (ulimit -n), lower --users, or give the load --workers.",
        stands="counts",
    ),
    Code.GENERATOR_OUT_OF_PORTS: DoubtKind(
        "Locust had no local port left for a request, which was therefore never sent",
        "unknown",
        "Let users keep their connections, lower --users, or widen net.ipv4.ip_local_port_range.",
        stands="counts",
    ),
    Code.GENERATOR_OUT_OF_MEMORY: DoubtKind(
        "Locust had no memory, buffer or thread left for a request, which was therefore never sent",
        "unknown",
        "Lower --users, or give the machine (or its control group) more memory.",
        stands="counts",
    ),
    Code.ARRIVALS_LATE: DoubtKind(
        "more than 5 % of the arrivals of an open load began more than 50 ms late",
        "note",
        "Their latencies count from when they were due; give [load] users more room if the service is not the cause.",
    ),
    Code.ARRIVALS_MISSED: DoubtKind(
        "arrivals of an open load were never sent, because every user was still busy when the load paused",
        "unknown",
        "Raise [load] users or lower arrivals_per_s: what was never sent has no latency.",
        stands="counts",
    ),
    Code.NO_TRAFFIC: DoubtKind(
        "no request was started on an arm in a phase",
        "unknown",
        "Users who still wait ask nothing: logs/target-ARM.log. If none waited, see logs/load.log and the locustfile.",
        stands="counts",
    ),
    Code.UNEQUAL_LOAD: DoubtKind(
        "an arm received less than half of the control's requests in a phase",
        "note",
        "Users wait for answers, so a slow arm asks less: compare rates, not counts, or use [load] arrivals_per_s.",
    ),
    Code.REQUESTS_REPEATED: DoubtKind(
        "the same request arrived more than once at a service: the locustfile's client sends again what got no answer",
        "unknown",
        "Use HttpUser, or FastHttpUser, without retries of their own (docs/load.md): what a second try made good is in "
        "no rate of failures.",
    ),
    Code.NOT_DRAINED: DoubtKind(
        "requests were still under way when they should have ended after the load paused",
        "note",
        "A fault that is held for longer than users wait leaves them so. Without one, find out why nobody answers.",
    ),
    Code.USERS_CHANGED: DoubtKind(
        "somebody changed the number of users in the middle of a run at the web UI",
        "note",
        "Rates of before and after are of different loads: make a run of its own for each number of users.",
    ),
    Code.LOAD_SHAPE: DoubtKind("the locustfile has a load shape, which is ignored", "note", _LOAD_LOG),
    Code.CLASS_WITHOUT_USERS: DoubtKind("a user class of the locustfile gets no users", "note", _LOAD_LOG),
    Code.USER_ENDED: DoubtKind(
        "a user ended before it began, so that its arm has one fewer",
        "unknown",
        "Make on_start survive what it meets (logs/load.log): arms with different numbers of users do not compare.",
        stands="counts",
    ),
    Code.TASK_ERROR: DoubtKind("a task of the locustfile raised an exception", "note", _LOAD_LOG),
    Code.NOTICES_CAPPED: DoubtKind(
        "the locustfile gave more occasions for notes than are kept", "note", _LOAD_LOG
    ),
    Code.WORKER_LOST: DoubtKind(
        "a worker of the load said nothing for 3 s: it ended, was stopped, or could not be reached",
        "unknown",
        "See its log, logs/load-w1.log for w1: its users were missing from then on, and its last requests may be.",
    ),
    Code.CLOCKS_APART: DoubtKind(
        "a worker's clock is known to no better than 20 ms, or was not measured",
        "unknown",
        "Bring the worker nearer, or lower its load: its requests may be counted in the wrong episode.",
    ),
    Code.LOAD_STOPPED: DoubtKind(
        "a process of Locust stood still for half a second or more, or said nothing of itself for 2 s",
        "unknown",
        "Something stopped it (SIGSTOP, a debugger): leave the processes of a run alone, and run again.",
    ),
}
