"""Texts that need nothing of what was measured: the display of a run imports nothing else of the report."""

from __future__ import annotations


def to_one_line(text: str) -> str:
    """Keep a text on one line and harmless to a terminal: control characters and escapes become `?`."""
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))


def strip_phase_name(fault: str, phase: str) -> str:
    """Say a fault, `name · manner`, beside the name of its phase: without what the phase's name says already."""
    rest = fault.removeprefix(phase)
    return (
        fault if rest and rest[0].isidentifier() else rest.strip(" ·")
    )  # the phase `idle` is not in `idle_reset`
