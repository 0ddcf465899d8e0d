"""Thread-safe queue of commands from the web page: each is accepted or refused at once, and carried out later.

Commands come from the thread that reads the load's messages; ManualRun takes them one after the other. A command is
answered as if all that were accepted before it were done already: a fault counts as held, and the timeline as played,
from the moment in which that was accepted, although it takes effect a second or two later.
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
from brokenpipe.load.web_messages import CommandName, CommandRequest
from brokenpipe.plan.errors.messages import problem_of
from brokenpipe.plan.phases import Phase
from brokenpipe.plan.settings.postgres import UNREADABLE_OVER_TLS

_FAULT_ADAPTER: TypeAdapter[Fault] = TypeAdapter(AnyFault)
MAX_PENDING = 5  # strikes that were clicked ahead


@dataclass(frozen=True, slots=True)
class Command:
    """A command from the page. Empty `arms`: all arms."""

    name: CommandName
    fault: Fault | None = None
    arms: tuple[str, ...] = ()


@dataclass(slots=True)
class CommandQueue:
    """Accepts commands, and refuses those that cannot be carried out now, with the reason."""

    arms: tuple[str, ...]
    tls: bool = False  # between services and database
    packet_loss_available: bool = False  # packets can be lost
    running: bool = False  # Start was pressed, and Stop was not
    held: Fault | None = None
    playing: bool = False  # the scenario's timeline is under way
    users: int = 0  # of each arm, as asked for on Locust's page
    stop_requested_at: int | None = None  # when Stop was pressed (monotonic nanoseconds)
    stopped: bool = False
    _current: Command | None = None  # the command that is being carried out
    _pending: deque[Command] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def submit(self, request: CommandRequest) -> str | None:
        """Accept a command, or return the reason why not."""
        with self._changed:
            try:
                command = self._parse(request)
            except ValueError as error:
                return str(error)
            if refusal := self._refusal(command):
                return refusal
            self._pending.append(command)
            self._changed.notify_all()
        return None

    def set_users(self, users: int) -> None:
        """Start was pressed, or the number of users changed."""
        with self._changed:
            self.users = users
            self._changed.notify_all()

    def request_stop(self, t: int) -> None:
        """Stop was pressed."""
        with self._changed:
            self.stop_requested_at = t
            self._changed.notify_all()

    def confirm_stopped(self) -> None:
        """Stop was pressed, and no user is left."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def reset(self) -> None:
        """Reset for the next run."""
        with self._changed:
            self._pending.clear()
            self._current = None
            self.running = self.playing = self.stopped = False
            self.held, self.stop_requested_at, self.users = None, None, 0

    def take_next(self, timeout_s: float) -> Command | None:
        """The next command, which is under way until `finish`; None: none came in that time, or Stop was pressed."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self.stop_requested_at is not None, timeout_s)
            if not self._pending or self.stop_requested_at is not None:
                return None
            self._current = self._pending.popleft()
            self.held = self._current.fault if self._current.name == "hold" else self.held
            self.playing = self._current.name == "play"
            return self._current

    def finish(self, *, held: Fault | None) -> None:
        """The current command is done, or failed. `held`: the fault that is held now."""
        with self._changed:
            self.held, self.playing, self._current = held, False, None

    def take_pending(self, name: CommandName) -> bool:
        """Remove every pending command of this kind; whether there was one."""
        with self._changed:
            waiting = [command for command in self._pending if command.name == name]
            for command in waiting:
                self._pending.remove(command)
        return bool(waiting)

    # --- inside -------------------------------------------------------------------------------------

    def _parse(self, request: CommandRequest) -> Command:
        """The command of a form. Raises ValueError with what is wrong, in the words of the form."""
        fault = _fault_of(request.fault) if request.command in {"strike", "hold"} else None
        if unknown := [arm for arm in request.arms if arm not in self.arms]:
            raise ValueError(f"no such arm: {unknown[0]}; there are {', '.join(self.arms)}")
        arms = () if set(request.arms) == set(self.arms) else request.arms
        if fault:
            _check_phase(fault, arms)
            if self.tls and fault.parses_protocol:
                raise ValueError(f"{fault.name} {UNREADABLE_OVER_TLS}")
        return Command(request.command, fault, arms)

    def _refusal(self, command: Command) -> str | None:
        """The first reason to refuse a command."""
        held, playing = self._will_hold(), self._will_play()
        acts = command.name in {"strike", "hold", "play"}
        reasons = {
            "no run is on: press Start on Locust's page first": not self.running
            or self.stop_requested_at is not None,
            "the timeline is not being played": command.name == "break_off" and not playing,
            "the scenario's timeline is being played: break it off first, or wait for its end": playing
            and (acts or command.name == "heal"),
            "nothing is held": command.name == "heal" and not held,
            f"{held} is held: heal it first, so that whatever breaks has one cause": acts
            and held is not None,
            f"{MAX_PENDING} commands are waiting already": acts and len(self._pending) >= MAX_PENDING,
            **_unsuitable(command, self.packet_loss_available),
        }
        return next((reason for reason, applies in reasons.items() if applies), None)

    def _will_hold(self) -> Fault | None:
        """The fault that is held once every accepted command is done."""
        held = self.held
        for command in self._accepted():
            if command.name in {"hold", "heal"}:
                held = command.fault
        return held

    def _will_play(self) -> bool:
        """Whether the timeline is being played, or will be."""
        return self.playing or any(command.name == "play" for command in self._accepted())

    def _accepted(self) -> list[Command]:
        """The current command and the pending ones, in order."""
        return [*([self._current] if self._current else []), *self._pending]


def _unsuitable(command: Command, packet_loss_available: bool) -> dict[str, bool]:
    if command.fault is None:
        return {}
    name, strikes = command.fault.name, command.fault.momentary
    return {
        f"{name} is no strike: it is held until it is healed": command.name == "strike" and not strikes,
        f"{name} happens at one moment: strike it": command.name == "hold" and strikes,
        f"{name} takes network namespaces that were made ready for it: by hand those of --stack compose, with a "
        "scenario that has it; or hold a black_hole": command.fault.in_namespace
        and not packet_loss_available,
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
