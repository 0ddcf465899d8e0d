"""Doubts about the harness itself, and for how long a part of a run may stand still."""

from __future__ import annotations

from collections.abc import Mapping

from brokenpipe.history.validity_codes.kind import Code, DoubtKind

STOPPED_S = 0.5  # two looks: what stands still for less shows as lateness
LOAD_GAP_S = 2.0  # it tells of itself twice a second
GAUGE_GAP_S = 3.0  # what is written once a second, and on a busy machine somewhat later

HARNESS: Mapping[Code, DoubtKind] = {
    Code.HARNESS_STOPPED: DoubtKind(
        "brokenpipe itself did nothing for more than 1 s",
        "unknown",
        "Something stopped it (SIGSTOP, Ctrl-Z, a terminal that takes no output), or the machine had no time for it.",
    ),
    Code.GAUGES_SILENT: DoubtKind(
        "what is gauged or looked at once a second is missing for more than 3 s",
        "unknown",
        "What was wrong meanwhile, nobody saw: run again; if it repeats, please report it.",
    ),
    Code.JANITOR_LOST: DoubtKind(
        "the process that would undo everything if brokenpipe were killed had ended, or stood still",
        "note",
        "Find out what ends processes here; the figures do not depend on it.",
    ),
}
