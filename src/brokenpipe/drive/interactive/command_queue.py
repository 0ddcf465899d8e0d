"""Where wishes from the web page arrive: each is answered at once, and carried out by whoever drives the run.

Wishes come from the thread that listens to the load; the run takes them in its own time, one after the other. The rule
for two at once: a wish is answered as if all that were accepted before it were done already. So a fault is held, and
the timeline is played, from the moment in which that was accepted; what is begun takes a second or two.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from brokenpipe.drive.interactive.manual_phases import manual_phase
from brokenpipe.faults import AnyFault, Fault
from brokenpipe.load.web_messages import Ask, What
from brokenpipe.plan.errors.messages import problem_of
from brokenpipe.plan.phases import Phase
from brokenpipe.plan.settings.postgres import UNREADABLE_OVER_TLS

_FAULT_ADAPTER: TypeAdapter[Fault] = TypeAdapter(AnyFault)
MAX_PENDING = 5  # strikes that somebody has clicked ahead


@dataclass(frozen=True, slots=True)
class Command:
    """What is to be done. `arms` empty: to all of them."""

    what: What
    fault: Fault | None = None
    arms: tuple[str, ...] = ()


@dataclass(slots=True)
class CommandQueue:
    """Takes wishes and refuses those that cannot be fulfilled now, with the reason."""

    arms: tuple[str, ...]
    tls: bool = False  # between services and database
    lossy: bool = False  # packets can be lost
    running: bool = False  # somebody has pressed Start, and nobody Stop
    held: Fault | None = None
    playing: bool = False  # the scenario's timeline is under way
    users: int = 0  # of each arm, as far as somebody has asked for them
    halting: int | None = None  # when somebody pressed Stop
    halted: bool = False
    _taken: Command | None = None  # what is being carried out
    _wishes: deque[Command] = field(default_factory=deque)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def ask(self, ask: Ask) -> str | None:
        """Take it. Why not, if not."""
        with self._news:
            try:
                wish = self._understood(ask)
            except ValueError as error:
                return str(error)
            if refusal := self._refusal(wish):
                return refusal
            self._wishes.append(wish)
            self._news.notify_all()
        return None

    def swarm(self, users: int) -> None:
        """Somebody pressed Start, or changed how many there are."""
        with self._news:
            self.users = users
            self._news.notify_all()

    def stop(self, t: int) -> None:
        """Somebody pressed Stop."""
        with self._news:
            self.halting = t
            self._news.notify_all()

    def stopped(self) -> None:
        """… and no user is left."""
        with self._news:
            self.halted = True
            self._news.notify_all()

    def anew(self) -> None:
        """For the next run: forget everything that was asked of this one."""
        with self._news:
            self._wishes.clear()
            self._taken = None
            self.running = self.playing = self.halted = False
            self.held, self.halting, self.users = None, None, 0

    def next(self, timeout_s: float) -> Command | None:
        """The next wish, which is under way until `finished`; None: none came in that time, or Stop was pressed."""
        with self._news:
            self._news.wait_for(lambda: self._wishes or self.halting is not None, timeout_s)
            if not self._wishes or self.halting is not None:
                return None
            self._taken = self._wishes.popleft()
            self.held = self._taken.fault if self._taken.what == "hold" else self.held
            self.playing = self._taken.what == "play"
            return self._taken

    def finished(self, *, held: Fault | None) -> None:
        """The wish that was taken is done, or came to nothing; this is held now."""
        with self._news:
            self.held, self.playing, self._taken = held, False, None

    def wants(self, what: What) -> bool:
        """Whether such a wish is waiting; it is not any more."""
        with self._news:
            waiting = [wish for wish in self._wishes if wish.what == what]
            for wish in waiting:
                self._wishes.remove(wish)
        return bool(waiting)

    # --- inside -------------------------------------------------------------------------------------

    def _understood(self, ask: Ask) -> Command:
        """Raises ValueError with what is wrong, in words for whoever filled in the form."""
        fault = _fault_of(ask.fault) if ask.what in {"strike", "hold"} else None
        if unknown := [arm for arm in ask.arms if arm not in self.arms]:
            raise ValueError(f"no such arm: {unknown[0]}; there are {', '.join(self.arms)}")
        arms = () if set(ask.arms) == set(self.arms) else ask.arms
        if fault:
            _check_phase(fault, arms)
            if self.tls and fault.reads:
                raise ValueError(f"{fault.name} {UNREADABLE_OVER_TLS}")
        return Command(ask.what, fault, arms)

    def _refusal(self, wish: Command) -> str | None:
        """The first reason there is."""
        held, playing = self._will_hold(), self._will_play()
        acts = wish.what in {"strike", "hold", "play"}
        reasons = {
            "no run is on: press Start on Locust's page first": not self.running or self.halting is not None,
            "the timeline is not being played": wish.what == "break_off" and not playing,
            "the scenario's timeline is being played: break it off first, or wait for its end": playing
            and (acts or wish.what == "heal"),
            "nothing is held": wish.what == "heal" and not held,
            f"{held} is held: heal it first, so that whatever breaks has one cause": acts
            and held is not None,
            f"{MAX_PENDING} wishes are waiting already": acts and len(self._wishes) >= MAX_PENDING,
            **_unsuitable(wish, self.lossy),
        }
        return next((reason for reason, applies in reasons.items() if applies), None)

    def _will_hold(self) -> Fault | None:
        """What is held once all that was accepted is done."""
        held = self.held
        for wish in self._accepted():
            if wish.what in {"hold", "heal"}:
                held = wish.fault
        return held

    def _will_play(self) -> bool:
        """Whether the timeline is being played, or will be."""
        return self.playing or any(wish.what == "play" for wish in self._accepted())

    def _accepted(self) -> list[Command]:
        """What is under way and what waits, in order."""
        return [*([self._taken] if self._taken else []), *self._wishes]


def _unsuitable(wish: Command, lossy: bool) -> dict[str, bool]:
    if wish.fault is None:
        return {}
    name, strikes = wish.fault.name, wish.fault.strikes
    return {
        f"{name} is no strike: it is held until somebody heals it": wish.what == "strike" and not strikes,
        f"{name} happens at one moment: strike it": wish.what == "hold" and strikes,
        f"{name} takes network namespaces that were made ready for it: by hand those of --stack compose, with a "
        "scenario that has it; or hold a black_hole": wish.fault.in_namespace and not lossy,
    }


def _check_phase(fault: Fault, arms: tuple[str, ...]) -> None:
    """Raises ValueError if this cannot be a phase."""
    try:
        manual_phase(fault, arms)
    except ValidationError as invalid:
        raise ValueError(
            str(invalid.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        ) from None


def _fault_of(data: Mapping[str, Any]) -> Fault:
    given = {key: value for key, value in data.items() if value not in (None, "")}
    try:
        fault = _FAULT_ADAPTER.validate_python(given)
    except ValidationError as invalid:
        error = invalid.errors(include_url=False)[0]
        # `problem_of` knows the words of a phase, of which this is a part.
        error["loc"] = ("fault", *error["loc"])
        raise ValueError(str(problem_of(Phase, error))) from invalid
    return fault
