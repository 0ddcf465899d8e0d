"""What is shown while an experiment runs."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from brokenpipe.progress import ArmProgress, Progress, ProgressDisplay
from brokenpipe.report.terminal.progress import LineDisplay, LiveDisplay, describe_activity, display_for

STEADY = Progress(phase="steady", elapsed_s=2.0, total_s=80.0, arms=(ArmProgress("plain", 0, 0, 0),))
KILL = Progress(
    phase="socket_kill",
    fault="socket_kill · reset",
    episode=4,
    episodes=12,
    elapsed_s=20.0,
    total_s=80.0,
    arms=(ArmProgress("plain", 901, 900, 31, 4), ArmProgress("pre_ping", 901, 899, 0)),
)


def shown(*states: Progress, terminal: bool) -> str:
    out = io.StringIO()
    with display_for(Console(file=out, width=80, force_terminal=terminal, color_system=None)) as display:
        for state in states:
            display.show(state)
    return out.getvalue()


def test_a_log_gets_one_line_for_each_phase() -> None:
    """However often progress is told, a log has a line at the start and at the end of each phase."""
    counted = replace(STEADY, elapsed_s=12.0, arms=(ArmProgress("plain", 470, 470, 2),))
    text = shown(Progress("starting Postgres"), Progress("starting Postgres"), STEADY, STEADY, counted, KILL, KILL,
                 terminal=False)  # fmt: skip
    assert text.splitlines() == [
        "[   0.0 s] starting Postgres",
        "[   2.0 s] steady",
        "[  12.0 s] steady ended: plain 2 of 470 failed",
        "[  20.0 s] socket_kill · reset",
        "[  20.0 s] socket_kill ended: plain 0 of 0 failed, 1 unanswered yet, pre_ping 0 of 0 failed, 2 unanswered yet",
    ]


def test_what_a_lead_in_did_is_not_counted() -> None:
    """The counts at a phase's end begin with its first episode: what the settling broke is no result."""
    settling = replace(KILL, episode=0, arms=(ArmProgress("plain", 40, 40, 3),))
    first = replace(KILL, episode=1, arms=(ArmProgress("plain", 50, 50, 5),))
    last = replace(KILL, episode=12, arms=(ArmProgress("plain", 90, 90, 6),))
    assert shown(settling, first, last, terminal=False).splitlines()[-1] == (
        "[  20.0 s] socket_kill ended: plain 1 of 40 failed"
    )


def test_requests_without_an_answer_are_said() -> None:
    """A phase whose requests hang at its end has not failed none of them: how many are open is said."""
    first = Progress(
        phase="black_hole", episode=1, arms=(ArmProgress("plain", 10, 10, 0), ArmProgress("ping", 9, 9, 0))
    )
    last = replace(first, arms=(ArmProgress("plain", 19, 15, 0), ArmProgress("ping", 14, 14, 2)))
    assert (
        shown(first, last, terminal=False)
        .splitlines()[-1]
        .endswith("black_hole ended: plain 0 of 5 failed, 4 unanswered yet, ping 2 of 5 failed")
    )


def test_a_phase_whose_name_begins_its_faults_name() -> None:
    """A fault's name is left out beside a phase of the same name, and of no other."""
    idle = Progress(phase="idle", fault="idle_reset \u00b7 reset after 600 ms idle")
    assert describe_activity(idle) == "idle \u00b7 idle_reset \u00b7 reset after 600 ms idle"
    assert describe_activity(replace(idle, phase="idle_reset")) == "idle_reset \u00b7 reset after 600 ms idle"


def test_a_terminal_shows_phase_episode_time_left_and_arms() -> None:
    """The live picture names what is going on, what is left, and each arm's counts."""
    text = shown(KILL, terminal=True)
    for part in ("socket_kill · reset · episode 4 of 12", "60 s left", "pre_ping", "900", "+4"):
        assert part in text


def test_the_terminal_is_given_back_after_an_error() -> None:
    """Whatever happens while it is shown, the cursor is visible again afterwards."""
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True)

    def interrupted() -> None:
        with LiveDisplay(console) as display:
            display.show(KILL)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l")


def test_the_console_decides() -> None:
    """A terminal gets the picture, a file the lines."""

    def kind(terminal: bool) -> type[ProgressDisplay]:
        return type(display_for(Console(file=io.StringIO(), force_terminal=terminal)))

    assert kind(terminal=True) is LiveDisplay
    assert kind(terminal=False) is LineDisplay
