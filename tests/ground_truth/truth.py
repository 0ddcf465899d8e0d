"""What each failed request was planted with, from the service's own books and the times of the strikes.

Nothing here has seen the witness, the log of links or a line of measure/; only its words are borrowed, to compare.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.ground_truth.scripts import CONNECT_TIMEOUT_S, LONG_S, PATIENCE_S, POOL_TIMEOUT_S, Play

from brokenpipe.error_class import ErrorClass as E
from brokenpipe.measure.failures.request_stage import RequestStage as P
from brokenpipe.measure.model.attribution import Relation

EDGE_NS = 10_000_000  # a strike so near to the edge of a step may have hit either of the two
SERVER_EDGE_NS = 250_000_000  # a session that is terminated ends some time after the call
NOTICED_NS = 250_000_000  # an event loop has seen by then that a connection is gone, on a busy machine
LATE_S = 0.6  # a time limit is over by then, on a busy machine


@dataclass(frozen=True)
class Planted:
    """What must be found. `classes`: more than one where chance decides, such as how far a server has come."""

    classes: frozenset[E]
    moment: P
    tie: Relation
    fault: str = ""
    episode: int | None = None  # of a strike
    preventable: bool | None = None  # None: nobody claims anything


@dataclass(frozen=True)
class Strike:
    """An act of the nemesis on one arm; monotonic nanoseconds."""

    episode: int
    t0: int
    t1: int


@dataclass
class Told:
    """One request, as the service's books tell it. `over` is None for one that never came to an end."""

    script: str
    cue: str
    asked: int
    steps: list[tuple[str, int]] = field(default_factory=list)
    over: int | None = None

    def still_waited_for(self, t: int) -> bool:
        """A thread goes on when nobody waits for it any more, and so does a request."""
        return self.over is None and t < self.asked + PATIENCE_S * 1e9

    @property
    def step(self) -> str:
        """The last one that was begun."""
        return self.steps[-1][0]

    @property
    def took_s(self) -> float:
        """The last step; for ever, if it never ended."""
        return float("inf") if self.over is None else (self.over - self.steps[-1][1]) / 1e9

    def hit(self, strike: Strike, edge_ns: int) -> str | None:
        """The step that was under way from before a strike until after it, or until it ended everything."""
        ends: list[int | None] = [begin for _, begin in self.steps[1:]]
        return next(
            (
                step
                for (step, begin), end in zip(self.steps, [*ends, None], strict=True)
                if begin + EDGE_NS < strike.t0 and (end is None or strike.t1 + edge_ns < end)
            ),
            None,
        )

    @property
    def is_first_statement(self) -> bool:
        return len(self.steps) == 2


def read_books(path: Path) -> Mapping[str, Told]:
    """Every request, by its id."""
    books: dict[str, Told] = {}
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        if entry["k"] == "asked":
            books[entry["id"]] = Told(entry["script"], entry["cue"], entry["t"])
        elif entry["k"] == "step" and books[entry["id"]].still_waited_for(entry["t"]):
            books[entry["id"]].steps.append((entry["step"], entry["t"]))
        elif entry["k"] == "over":
            books[entry["id"]].over = entry["t"]
    return books


def read_strikes(folder: Path) -> Mapping[tuple[str, str], Sequence[Strike]]:
    """Every strike, by arm and phase."""
    strikes = defaultdict(list)
    for line in (folder / "nemesis.ndjson").read_text().splitlines():
        act = json.loads(line)
        if act["k"] == "act" and act["action"] == "inject" and act["episode"] is not None:
            strikes[act["arm"], act["phase"]].append(Strike(act["episode"], act["t0"], act["t1"]))
    return strikes


# --- how an end looks to each driver (docs/error-classes.md) -----------------------------------------------

_ALL = ("asyncpg", "psycopg", "psycopg2")


def _same(error_class: E) -> dict[str, E]:
    return dict.fromkeys(_ALL, error_class)


# By how a connection ended, and whether anything was asked on it then.
_ENDS: Mapping[tuple[str, bool], Mapping[str, E]] = {
    ("rst", False): _same(E.EOF),
    ("rst", True): {**_same(E.EOF), "asyncpg": E.RESET},
    ("fin", False): _same(E.EOF),
    ("fin", True): _same(E.EOF),
    ("terminated", False): {**_same(E.EOF), "psycopg": E.SERVER_SHUTDOWN},
    ("terminated", True): {**_same(E.SERVER_SHUTDOWN), "psycopg2": E.EOF},
    ("idle session", False): {**_same(E.EOF), "psycopg": E.IDLE_SESSION},
    ("idle in transaction", False): {**_same(E.EOF), "psycopg": E.IDLE_IN_TRANSACTION},
}
_ENDED = {
    "idle_limit_on_the_wire": "rst",
    "idle_session_limit": "idle session",
    "idle_in_transaction_limit": "idle in transaction",
}


def read_holds(folder: Path) -> Mapping[tuple[str, str], tuple[int, int]]:
    """When what is held was injected and healed, by arm and phase; monotonic nanoseconds."""
    times: dict[tuple[str, str], list[int]] = defaultdict(list)
    for line in (folder / "nemesis.ndjson").read_text().splitlines():
        act = json.loads(line)
        if act["k"] == "act" and act["action"] in {"inject", "heal"} and act["episode"] is None:
            times[act["arm"], act["phase"]].append(act["t0"])
    return {place: (found[0], found[-1]) for place, found in times.items()}


def planted(
    play: Play, told: Told, strikes: Sequence[Strike], driver: str, held: tuple[int, int] = (0, 0)
) -> Planted | None:
    """What this request's failure was planted with; None if that depends on which came first.

    Raises AssertionError if nothing was planted that could make it fail.
    """
    if own := _own(told, driver):
        hit_as_well = any(told.asked < strike.t1 and strike.t0 < (told.over or 0) for strike in strikes)
        return None if hit_as_well else own
    if told.script == "impatient":  # its time was up before it came to what it does not want to wait for
        return None
    if play.ends:
        return _struck(play, told, strikes, driver)
    if play.phase in _UNDER_WAY:
        return _UNDER_WAY[play.phase](play, told, driver, held)
    rule = _HELD.get(play.phase)
    assert rule is not None, f"nothing can fail in {play.phase}: {told}"
    return rule(play, told, driver)


# By script and step, and how long that step takes at least.
_OWN: Mapping[tuple[str, str], tuple[E, P, float]] = {
    ("raise", "raise"): (E.APPLICATION, P.UNKNOWN, 0),
    ("clash", "clash"): (E.APPLICATION, P.MID_STATEMENT, 0),
    ("end oneself", "end oneself"): (E.SERVER_SHUTDOWN, P.MID_STATEMENT, 0),
    ("limit oneself", "sleep"): (E.STATEMENT_CANCELLED, P.MID_STATEMENT, 0),
    ("knock at the wrong door", "check out"): (E.APPLICATION, P.CONNECTING, 0),
    ("dawdle", "dawdle"): (E.TIMEOUT, P.UNKNOWN, 0),
    ("hog the small pool", "check out"): (E.POOL_EXHAUSTED, P.POOL_WAIT, POOL_TIMEOUT_S),
    ("impatient", "sleep"): (E.CLIENT_TIMEOUT, P.MID_STATEMENT, LONG_S / 2),
}


def _own(told: Told, driver: str) -> Planted | None:
    """A failure of the service's own making, whatever fault may be there."""
    own = _OWN.get((told.script, told.step))
    if own is None or told.took_s < own[2]:
        return None
    error_class, moment, _ = own
    if told.script == "end oneself":
        error_class = _ENDS["terminated", True][driver]
    return Planted(frozenset({error_class}), moment, Relation.UNATTRIBUTED)


# --- strikes ------------------------------------------------------------------------------------------------


def _struck(play: Play, told: Told, strikes: Sequence[Strike], driver: str) -> Planted | None:
    """Which strike ended its connection, and what it was about then."""
    assert told.over is not None, f"nothing hangs in {play.phase}: {told}"
    before = [strike for strike in strikes if strike.t0 < told.over]
    assert before, f"it failed before the first strike of {play.phase}: {told}"
    if told.step == "check out":
        return _before_use(play, told, before[-1])
    handed = told.steps[1][1]
    if play.fault_name == "commit_cut":
        assert told.step == "commit", f"{told.step} cannot fail in {play.phase}: {told}"
        if told.steps[-1][1] < before[-1].t0:  # this COMMIT may be what the strike before had waited for
            return None
        return _ended(play, told, driver, P.COMMIT, before[-1])
    # Whoever holds a connection loses it by the first strike that comes.
    edge_ns = _edge_ns(play)
    if since := [strike for strike in before if strike.t1 + edge_ns > handed]:
        return _in_use(play, told, driver, since[0])
    assert told.is_first_statement, f"nothing has struck since it began: {told}"
    return _ended(play, told, driver, P.STALE, before[-1])


def _edge_ns(play: Play) -> int:
    return SERVER_EDGE_NS if play.ends == "terminated" else EDGE_NS


def _in_use(play: Play, told: Told, driver: str, strike: Strike) -> Planted | None:
    hit = told.hit(strike, _edge_ns(play))
    if hit == "think":
        moment = P.ROLLBACK if told.step == "roll back" else P.BETWEEN
    elif hit == told.step == "sleep":
        moment = P.MID_STATEMENT
    elif hit == told.step == "commit" and told.script == "commit slowly":
        moment = P.COMMIT
    else:  # what takes a millisecond: it may have been over, or not yet sent
        return None
    return _ended(play, told, driver, moment, strike, asked=hit == told.step)


def _ended(
    play: Play, told: Told, driver: str, moment: P, strike: Strike, *, asked: bool | None = None
) -> Planted:
    stale = moment is P.STALE
    noticed = stale and told.steps[1][1] - strike.t1 > NOTICED_NS  # by the driver, before anything was asked
    unsaid = {_ENDS[play.ends, True][driver]} if stale and not noticed and driver == "asyncpg" else set()
    error_class = _ENDS[play.ends, not stale if asked is None else asked][driver]
    # A connection may lie dead in the pool for longer than a strike is away, unless everything is used in a burst.
    episode = None if stale and "burst" not in play.timing else strike.episode
    return Planted(
        frozenset({error_class} | unsaid),
        P.RESPONDING if told.script == "stream" else moment,
        Relation.DIRECT,
        play.fault_name or "",
        episode,
        preventable=stale,
    )


def _before_use(play: Play, told: Told, strike: Strike) -> Planted:
    """It could not connect: the strike hit what was being opened, or the server was away, or let nobody in."""
    classes, tie = {E.RESET, E.EOF, _ENDS[play.ends, True]["psycopg"]}, Relation.DIRECT
    if play.phase == "server_restarted":
        classes |= {E.REFUSED, E.NOT_ACCEPTING}
    elif told.steps[-1][1] > strike.t1:
        assert play.phase == "crowd_after_a_kill", f"nobody is refused in {play.phase}: {told}"
        classes, tie = {E.TOO_MANY_CONNECTIONS}, Relation.COLLATERAL
    # What is owed to a sister may be owed to one that had died before.
    episode = strike.episode if tie is Relation.DIRECT else None
    moment = P.RESPONDING if told.script == "stream" else P.CONNECTING
    return Planted(frozenset(classes), moment, tie, play.fault_name or "", episode, preventable=False)


# --- faults that are held -----------------------------------------------------------------------------------


def _stale(play: Play, told: Told, driver: str) -> Planted:
    if told.step == "check out" and play.fault_name == "idle_reset":  # it took longer than one may be silent
        classes = frozenset({E.RESET, E.EOF})
        return Planted(classes, P.CONNECTING, Relation.DIRECT, "idle_reset", preventable=False)
    assert told.is_first_statement, f"only what was idle can fail in {play.phase}: {told}"
    error_class = _ENDS[_ENDED[play.phase], False][driver]
    return Planted(
        frozenset({error_class}), P.STALE, Relation.DIRECT, play.fault_name or "", preventable=True
    )


def _in_transaction(play: Play, told: Told, driver: str) -> Planted:
    assert [step for step, _ in told.steps][-2] == "think", f"it had not thought: {told}"
    error_class = _ENDS[_ENDED[play.phase], False][driver]
    return Planted(
        frozenset({error_class}), P.BETWEEN, Relation.DIRECT, play.fault_name or "", preventable=False
    )


def _at(step: str, error_class: E, moment: P) -> Callable[[Play, Told, str], Planted]:
    """A failure that can come in one step only."""

    def rule(play: Play, told: Told, _driver: str) -> Planted:
        assert told.step == step, f"{told.step} cannot fail in {play.phase}: {told}"
        fault = play.fault_name or ""
        return Planted(frozenset({error_class}), moment, Relation.DIRECT, fault, preventable=False)

    return rule


def _queued(play: Play, told: Told) -> Planted | None:
    """It waited as long as one may for a connection that others had."""
    if told.step == "check out" and POOL_TIMEOUT_S <= told.took_s < POOL_TIMEOUT_S + LATE_S:
        fault = play.fault_name or ""
        return Planted(
            frozenset({E.POOL_EXHAUSTED}), P.POOL_WAIT, Relation.SECONDARY, fault, preventable=False
        )
    return None


def _refused(play: Play, told: Told, driver: str, held: tuple[int, int]) -> Planted | None:
    """Nobody listens. psycopg looks once, at once: a refusal that comes later it calls the end of a connection."""
    if told.steps[-1][1] < held[0] + NOTICED_NS:  # its connection ended when that began
        return None
    assert told.step == "check out", f"{told.step} cannot fail in {play.phase}: {told}"
    classes = frozenset({E.REFUSED, E.EOF} if driver == "psycopg" else {E.REFUSED})
    return Planted(classes, P.CONNECTING, Relation.DIRECT, play.fault_name or "", preventable=False)


def _silence(play: Play, told: Told, _driver: str, held: tuple[int, int]) -> Planted | None:
    """Those with a connection hang on it, those with a place connect in vain, those without wait for a place.

    Whoever still hangs when it is healed is cut then.
    """
    fault, begun = play.fault_name or "", told.steps[-1][1]
    if abs(begun - held[0]) < NOTICED_NS or begun > held[1] - NOTICED_NS:
        return None
    if queued := _queued(play, told):
        return queued
    cut = told.over is None or told.over > held[1]
    if told.step == "check out":
        if told.took_s < CONNECT_TIMEOUT_S and not cut:
            return None  # the pool gave it a connection that was being closed
        if cut:  # by a limit of its own, or by the healing
            return None
        return Planted(
            frozenset({E.CONNECT_TIMEOUT}), P.CONNECTING, Relation.DIRECT, fault, preventable=False
        )
    stale = told.is_first_statement and told.steps[1][1] > held[0]
    moment = P.STALE if stale else P.COMMIT if told.step == "commit" else P.MID_STATEMENT
    return Planted(frozenset({E.TIMEOUT, E.EOF, E.RESET}), moment, Relation.DIRECT, fault, preventable=False)


def _forgotten(play: Play, told: Told, _driver: str) -> Planted:
    """The first statement gets no answer, and those without a place in the pool wait for one."""
    if queued := _queued(play, told):
        return queued
    assert told.is_first_statement, f"only what was idle is forgotten: {told}"
    return Planted(frozenset({E.TIMEOUT}), P.STALE, Relation.DIRECT, play.fault_name or "", preventable=False)


def _too_late(play: Play, told: Told, _driver: str) -> Planted | None:
    """The answer was under way for longer than one was in a hurry; so was a connection, or a place in the queue."""
    assert told.script == "hurry", f"everyone else has time: {told}"
    if told.step == "check out":
        return None
    classes = frozenset({E.CLIENT_TIMEOUT})
    return Planted(classes, P.MID_STATEMENT, Relation.DIRECT, play.fault_name or "", preventable=False)


_HELD: Mapping[str, Callable[[Play, Told, str], Planted | None]] = {
    "idle_limit_on_the_wire": _stale,
    "idle_session_limit": _stale,
    "idle_in_transaction_limit": _in_transaction,
    "statement_limit": _at("sleep", E.STATEMENT_CANCELLED, P.MID_STATEMENT),
    "read_only": _at("insert", E.READ_ONLY, P.MID_STATEMENT),
    "connection_limit": _at("check out", E.TOO_MANY_CONNECTIONS, P.CONNECTING),
    "forgotten_connections": _forgotten,
    "answers_too_late": _too_late,
}

# These hit what is under way when they come, and the healing ends what is under way then.
_UNDER_WAY: Mapping[str, Callable[[Play, Told, str, tuple[int, int]], Planted | None]] = {
    "nobody_listens": _refused,
    "black_hole": _silence,
}
