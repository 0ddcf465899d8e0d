"""The table: what is done to each part of the instrument, when, and what may come of it.

What a service does without descriptors or memory is its own result, and stands in no line.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.sabotage.cell import Act, Cell, Line, Moment, Part

CONTROL = Cell(Part.HARNESS, Act.NOTHING, Moment.PHASE, passes=True)

_AT_WORK = (Moment.PHASE, Moment.PAUSE)


def _over_the_run(part: Part, act: Act, *codes: str, ends: bool = False) -> Sequence[Line]:
    """Ended at start-up; doubted in a phase and in a pause; without effect once the load has ended."""
    return (
        (Cell(part, act, Moment.START_UP, frozenset(codes), ends=True),),
        *((Cell(part, act, moment, frozenset(codes), ends=ends),) for moment in _AT_WORK),
        (Cell(part, act, Moment.REPORT, passes=True),),
    )


def _in_phase(part: Part, act: Act, *codes: str, ends: bool = False, passes: bool = False) -> Line:
    return (Cell(part, act, Moment.PHASE, frozenset(codes), ends=ends, passes=passes),)


def _at_start_up(part: Part, act: Act, *codes: str, passes: bool = False) -> Line:
    return (Cell(part, act, Moment.START_UP, frozenset(codes), ends=True, passes=passes),)


def _harness(act: Act) -> Sequence[Line]:
    return [(Cell(Part.HARNESS, act, moment, ends=True, passes=True),) for moment in Moment]


_LOAD = (
    *_over_the_run(Part.LOAD, Act.KILLED, ends=True),
    *_over_the_run(Part.LOAD, Act.STOPPED, "load_stopped"),
    _in_phase(Part.LOAD, Act.CONTINUED, "load_stopped", "generator_starved"),
    _at_start_up(Part.LOAD, Act.DESCRIPTORS, "generator_out_of_files"),
    _in_phase(Part.LOAD, Act.DESCRIPTORS, "generator_out_of_files", ends=True),
    _at_start_up(Part.LOAD, Act.MEMORY),
    _in_phase(Part.LOAD, Act.MEMORY, "generator_out_of_memory", ends=True, passes=True),
    *_over_the_run(Part.LOAD_MASTER, Act.KILLED, ends=True),
    *_over_the_run(Part.LOAD_MASTER, Act.STOPPED, "load_stopped", ends=True),
    _in_phase(Part.LOAD_MASTER, Act.CONTINUED, "load_stopped", "generator_starved"),
    *_over_the_run(Part.LOAD_WORKER, Act.KILLED, "load_worker_lost"),
    *_over_the_run(Part.LOAD_WORKER, Act.STOPPED, "load_worker_lost", "load_stopped"),
    _in_phase(Part.LOAD_WORKER, Act.CONTINUED, "load_worker_lost", "load_stopped", "generator_starved"),
    _in_phase(Part.LOAD_WORKER, Act.DESCRIPTORS, "generator_out_of_files"),
    _in_phase(Part.LOAD_WORKER, Act.CLOCK, "clocks_apart"),
)
_TOXIPROXY = (
    *_over_the_run(Part.TOXIPROXY, Act.KILLED, "toxiproxy_died", ends=True),
    *_over_the_run(
        Part.TOXIPROXY, Act.STOPPED, "toxiproxy_stopped", "proxy_hung", "proxy_restarted", ends=True
    ),
    _in_phase(Part.TOXIPROXY, Act.CONTINUED, "toxiproxy_stopped", "proxy_hung", "proxy_restarted"),
    _in_phase(Part.TOXIPROXY, Act.DESCRIPTORS, "out_of_files"),
    _in_phase(Part.TOXIPROXY, Act.MEMORY, "toxiproxy_died", "proxy_hung", ends=True, passes=True),
)
_POSTGRES = (
    *_over_the_run(Part.POSTMASTER, Act.KILLED, "postgres_died", ends=True),
    *_over_the_run(Part.POSTMASTER, Act.STOPPED, "postgres_hung", ends=True),
    _in_phase(Part.POSTMASTER, Act.CONTINUED, "postgres_hung"),
    _in_phase(Part.POSTMASTER, Act.DESCRIPTORS, "postgres_hung", "postgres_crashed", "postgres_died"),
    _in_phase(Part.POSTMASTER, Act.MEMORY, "postgres_hung", "postgres_crashed", "postgres_died", passes=True),
    *_over_the_run(Part.POSTGRES, Act.STOPPED, "postgres_hung", ends=True),
    _in_phase(Part.POSTGRES, Act.CONTINUED, "postgres_hung"),
    *((Cell(Part.BACKEND, Act.KILLED, moment, frozenset({"postgres_crashed"})),) for moment in _AT_WORK),
    (Cell(Part.BACKEND, Act.KILLED, Moment.REPORT, passes=True),),
    *((Cell(Part.BACKEND, Act.STOPPED, moment, frozenset({"postgres_hung"})),) for moment in _AT_WORK),
    (Cell(Part.BACKEND, Act.STOPPED, Moment.REPORT, passes=True),),
    _in_phase(Part.BACKEND, Act.CONTINUED, "postgres_hung"),
    _in_phase(Part.BACKEND, Act.DESCRIPTORS, passes=True),
)
_PGBOUNCER = (
    *_over_the_run(Part.PGBOUNCER, Act.KILLED, "pgbouncer_died", ends=True),
    *_over_the_run(Part.PGBOUNCER, Act.STOPPED, "pgbouncer_hung", ends=True),
    _in_phase(Part.PGBOUNCER, Act.CONTINUED, "pgbouncer_hung"),
    _in_phase(Part.PGBOUNCER, Act.DESCRIPTORS, "pgbouncer_hung"),
)
_SERVICE = (
    *_over_the_run(Part.SERVICE, Act.KILLED, "target_died"),
    *_over_the_run(Part.SERVICE, Act.STOPPED, "service_stopped"),
    _in_phase(Part.SERVICE, Act.CONTINUED, "service_stopped"),
    _in_phase(Part.SERVICE_WORKER, Act.KILLED, "target_restarted"),
    _in_phase(Part.SERVICE_WORKER, Act.STOPPED, "service_stopped", "target_restarted"),
    _in_phase(Part.SERVICE_WORKER, Act.CONTINUED, "service_stopped", "target_restarted"),
)
_JANITOR = (
    *(
        (Cell(Part.JANITOR, act, moment, passes=True, ends=True),)
        for act in (Act.KILLED, Act.STOPPED)
        for moment in Moment
    ),
    _in_phase(Part.JANITOR, Act.CONTINUED, passes=True),
    (
        Cell(Part.JANITOR, Act.KILLED, Moment.PHASE, passes=True, ends=True),
        Cell(Part.HARNESS, Act.KILLED, Moment.PAUSE, passes=True, ends=True),
    ),
)
_HARNESS = (
    *_harness(Act.KILLED),
    *_harness(Act.STOPPED),
    _at_start_up(Part.HARNESS, Act.CONTINUED, passes=True),
    _in_phase(Part.HARNESS, Act.CONTINUED, "harness_stopped"),
    (Cell(Part.HARNESS, Act.CONTINUED, Moment.PAUSE, frozenset({"harness_stopped"})),),
    (Cell(Part.HARNESS, Act.CONTINUED, Moment.REPORT, passes=True),),
    *_harness(Act.DESCRIPTORS),
    *_harness(Act.MEMORY),
)
_FILES = (
    *((Cell(Part.REPORTS, Act.FULL, moment, ends=True),) for moment in Moment),
    _at_start_up(Part.SCRATCH, Act.FULL, passes=True),  # what has begun by then has its place already
    _in_phase(Part.SCRATCH, Act.FULL, "postgres_crashed", "postgres_died", passes=True),
    _in_phase(Part.WITNESS, Act.REMOVED, "history_incomplete"),
    _in_phase(Part.GAUGES, Act.REMOVED, "history_incomplete"),
)
TABLE: Sequence[Line] = (
    *_LOAD, *_TOXIPROXY, *_POSTGRES, *_PGBOUNCER, *_SERVICE, *_JANITOR, *_HARNESS, *_FILES,
)  # fmt: skip


def _in_pause(part: Part, act: Act, *codes: str, ends: bool = False) -> Line:
    return (Cell(part, act, Moment.PAUSE, frozenset(codes), ends=ends),)


SHORT: Sequence[Line] = (
    (
        CONTROL,
        *_in_phase(Part.JANITOR, Act.CONTINUED, passes=True),
        Cell(Part.SERVICE, Act.KILLED, Moment.REPORT, passes=True),
    ),
    _in_phase(Part.LOAD, Act.STOPPED, "load_stopped")
    + _in_phase(Part.BACKEND, Act.KILLED, "postgres_crashed")
    + _in_phase(Part.HARNESS, Act.CONTINUED, "harness_stopped")
    + _in_pause(Part.SERVICE, Act.KILLED, "target_died")
    + _in_pause(Part.TOXIPROXY, Act.KILLED, "toxiproxy_died", ends=True),
    _in_phase(Part.LOAD_WORKER, Act.CLOCK, "clocks_apart")
    + _in_phase(Part.SERVICE, Act.STOPPED, "service_stopped")
    + _in_phase(Part.WITNESS, Act.REMOVED, "history_incomplete")
    + _in_pause(Part.PGBOUNCER, Act.STOPPED, "pgbouncer_hung", ends=True),
    _in_phase(Part.GAUGES, Act.REMOVED, "history_incomplete")
    + _in_pause(Part.LOAD, Act.DESCRIPTORS, "generator_out_of_files", ends=True)
    + _in_pause(Part.POSTMASTER, Act.STOPPED, "postgres_hung", ends=True),
    _in_phase(Part.JANITOR, Act.KILLED, passes=True, ends=True)
    + _in_pause(Part.REPORTS, Act.FULL, ends=True),
)
"""Played in CI: several in each run, where they cannot be taken for each other. What may end a run comes last."""
