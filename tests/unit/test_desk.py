"""What somebody may wish at the web page, and what they are told when they may not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from brokenpipe.drive.interactive.command_queue import CommandQueue
from brokenpipe.faults import AnyFault, Fault
from brokenpipe.load.web_messages import CommandName, CommandRequest

KILL = {"name": "socket_kill"}
LATENCY = {"name": "latency", "ms": 25}
FAULT_OF: dict[CommandName, dict[str, Any]] = {"strike": KILL, "hold": LATENCY}
_LATENCY = TypeAdapter[Fault](AnyFault).validate_python(LATENCY)


def _desk(**state: Any) -> CommandQueue:
    return CommandQueue(("plain", "pre_ping"), **{"running": True, **state})


def _first(desk: CommandQueue, what: CommandName) -> None:
    """Ask for the first of two commands; a heal has something to heal."""
    if what == "heal":
        assert _ask(desk, "hold", LATENCY) is None
        assert desk.take_next(0)
        desk.finish(held=_LATENCY)
    assert _ask(desk, what, FAULT_OF.get(what)) is None


def _ask(
    desk: CommandQueue, what: CommandName, fault: dict[str, Any] | None = None, *arms: str
) -> str | None:
    return desk.submit(CommandRequest(1, what, fault or {}, arms))


@pytest.mark.parametrize(
    ("fault", "arms", "says"),
    [
        ({}, (), "fault.name"),
        ({"name": "socket_kil"}, (), "did you mean 'socket_kill'"),
        ({"name": "latency", "ms": 0}, (), "fault.ms: found 0; must be 1 or more"),
        ({"name": "latency", "ms": "25"}, (), "fault.ms: found '25'"),
        ({"name": "latency"}, (), "required"),
        ({"name": "latency", "ms": 5, "jitter_ms": 9}, (), "jitter_ms is at most ms"),
        ({"name": "idle_reset", "after_ms": 5000}, (), "cannot be witnessed in a block of 2 s"),
        ({"name": "server_setting", "setting": "statement_timeout"}, (), "takes after_ms"),
        (LATENCY, ("plane",), "no such arm: plane; there are plain, pre_ping"),
        (
            {"name": "server_setting", "setting": "default_transaction_read_only"},
            ("plain",),
            "happens to what all arms share",
        ),
        (KILL, (), "happens at one moment: strike it"),
        ({"name": "packet_drop"}, (), "packet_drop takes network namespaces that were made ready for it"),
    ],
)
def test_a_form_that_is_wrong(fault: dict[str, Any], arms: tuple[str, ...], says: str) -> None:
    """Whoever filled in the form is told which field, what was found, and what is allowed; nothing is done."""
    desk = _desk()
    assert says in (_ask(desk, "hold", fault, *arms) or "")
    assert desk.take_next(0) is None


def test_packets_are_lost_where_that_was_made_ready() -> None:
    """In containers, with a scenario that has the fault, it may be held by hand."""
    assert _ask(_desk(packet_loss_available=True), "hold", {"name": "packet_drop"}) is None


def test_what_tls_hides_cannot_be_struck() -> None:
    """A cut waits for a COMMIT that passes: encrypted, none ever does. Without TLS it may be asked for."""
    assert "TLS hides" in (_ask(_desk(tls=True), "strike", {"name": "commit_cut"}) or "")
    assert _ask(_desk(), "strike", {"name": "commit_cut"}) is None


def test_what_is_right_is_done_in_order() -> None:
    """Wishes are taken one after the other; an empty field is one that was left out, and naming all arms is all."""
    desk = _desk()
    assert _ask(desk, "strike", KILL, "plain") is None
    assert _ask(desk, "hold", {**LATENCY, "jitter_ms": ""}, "plain", "pre_ping") is None
    strike, hold = desk.take_next(0), desk.take_next(0)
    assert strike
    assert (strike.name, str(strike.fault), strike.arms) == (
        "strike",
        "socket_kill · reset",
        ("plain",),
    )
    assert hold
    assert (hold.name, str(hold.fault), hold.arms) == ("hold", "latency · 25 ms downstream", ())


def test_one_fault_at_a_time() -> None:
    """While something is held, or will be, nothing else may be begun: every failure has one cause."""
    desk = _desk()
    assert _ask(desk, "heal") == "nothing is held"
    assert _ask(desk, "hold", LATENCY) is None
    assert "heal it first" in (_ask(desk, "strike", KILL) or "")
    assert "heal it first" in (_ask(desk, "play") or "")
    assert _ask(desk, "heal") is None
    assert _ask(desk, "strike", KILL) is None


# The first command, the second, and what the second is answered: None is "it will be done, after the first".
TWO_AT_ONCE: list[tuple[CommandName, CommandName, str | None]] = [
    ("hold", "hold", "heal it first"),
    ("hold", "strike", "heal it first"),
    ("hold", "play", "heal it first"),
    ("hold", "heal", None),
    ("strike", "strike", None),
    ("strike", "hold", None),
    ("strike", "play", None),
    ("strike", "heal", "nothing is held"),
    ("play", "play", "is being played"),
    ("play", "hold", "is being played"),
    ("play", "strike", "is being played"),
    ("play", "heal", "is being played"),
    ("play", "break_off", None),
    ("heal", "heal", "nothing is held"),
    ("heal", "hold", None),
    ("heal", "strike", None),
    ("heal", "play", None),
]


@pytest.mark.parametrize("taken", [False, True], ids=["waits", "is begun"])
@pytest.mark.parametrize(("first", "second", "answer"), TWO_AT_ONCE)
def test_two_commands_at_once(
    first: CommandName, second: CommandName, answer: str | None, taken: bool
) -> None:
    """The second is answered as if the first were done, from the moment in which the first was accepted.

    Before a fault is held it is tried on raw sockets for a second or two, and the timeline waits for a testimony:
    the answer is the same while the first command waits and while it is carried out.
    """
    desk = _desk()
    _first(desk, first)
    if taken:
        assert desk.take_next(0)
    found = _ask(desk, second, FAULT_OF.get(second))
    assert found is None if answer is None else answer in (found or ""), found


@pytest.mark.parametrize("what", ["hold", "play"])
def test_a_command_that_came_to_nothing_is_forgotten(what: CommandName) -> None:
    """A hold that failed, or a timeline that is over, stands in nobody's way."""
    desk = _desk()
    _first(desk, what)
    assert desk.take_next(0)
    desk.finish(held=None)
    assert (desk.held, desk.playing) == (None, False)
    assert _ask(desk, "hold", LATENCY) is None


@pytest.mark.parametrize("state", [{"running": False}, {"stop_requested_at": 1}])
def test_without_a_run_nothing_can_be_done(state: dict[str, Any]) -> None:
    """Before Start and after Stop the answer says what to press."""
    assert "press Start" in (_ask(_desk(**state), "strike", KILL) or "")


def test_while_the_timeline_is_played() -> None:
    """It can be broken off, and reported; nobody strikes between its faults."""
    desk = _desk(playing=True)
    assert "break it off first" in (_ask(desk, "strike", KILL) or "")
    assert _ask(desk, "report") is None
    assert _ask(desk, "break_off") is None
    assert desk.take_pending("break_off")
    assert not desk.take_pending("break_off"), "a wish is fulfilled once"
    assert "not being played" in (_ask(_desk(), "break_off") or "")


def test_a_click_is_not_a_drum() -> None:
    """Who clicks and clicks is told that it has arrived."""
    desk = _desk()
    answers = [_ask(desk, "strike", KILL) for _ in range(10)]
    assert answers[0] is None
    assert "waiting already" in (answers[-1] or "")
