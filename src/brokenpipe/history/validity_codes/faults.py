"""Doubts about the faults, and about what does them."""

from __future__ import annotations

from collections.abc import Mapping

from brokenpipe.history.validity_codes.kind import Code, DoubtKind

FAULTS: Mapping[Code, DoubtKind] = {
    Code.CONTRACT_NOT_PROBED: DoubtKind(
        "no fault was tried on a raw socket before the experiment",
        "unknown",
        "Run again; every experiment begins with that.",
        stands="counts",
    ),
    Code.CONTRACT_NOT_HELD: DoubtKind(
        "a fault did not do on a raw socket what it says",
        "unknown",
        "Run `brokenpipe doctor`; if it repeats, this machine cannot measure that fault.",
    ),
    Code.FAULT_DID_NOT_LAND: DoubtKind(
        "a strike was not seen by the raw socket that waited for it, or nobody waited",
        "unknown",
        "Lower the load (--users) or run again; nothing that was not hit can survive.",
        stands="counts",
    ),
    Code.STRIKE_LATE: DoubtKind(
        "a strike came after the end of its episode",
        "unknown",
        "Raise every_s, or lower the load: the sockets that watch a strike took too long to open.",
        stands="counts",
    ),
    Code.ACT_FAILED: DoubtKind(
        "Toxiproxy, or whoever else was to break or mend something, refused",
        "unknown",
        "Run again; if it repeats, see logs/toxiproxy.log.",
    ),
    Code.NOT_BACK_AFTER_RENEWAL: DoubtKind(
        "an arm answered no request for long after the harness had renewed its connections",
        "unknown",
        "Have the scenario end connections in one way only (all by RST, or all by FIN): then none is renewed.",
    ),
    Code.PROXY_RESTARTED: DoubtKind(
        "Toxiproxy did not answer a call in time and was killed and started anew",
        "unknown",
        "Run again; if it repeats, see logs/toxiproxy.log: a peer that stops reading can hang it.",
    ),
    Code.PROXY_HUNG: DoubtKind(
        "Toxiproxy did not answer for 2 s while nothing was asked of it but its version",
        "unknown",
        "Run again; if it repeats, see logs/toxiproxy.log, and whether something stops the process.",
    ),
    Code.TOXIPROXY_DIED: DoubtKind(
        "the Toxiproxy server ended by itself",
        "unknown",
        "Find out why in logs/toxiproxy.log; every failure after that is its own.",
    ),
    Code.TOXIPROXY_STOPPED: DoubtKind(
        "the Toxiproxy server stood still for half a second or more, and no call of ours had noticed",
        "unknown",
        "Something stopped it (SIGSTOP, a debugger): leave the processes of a run alone, and run again.",
    ),
    Code.OUT_OF_FILES: DoubtKind(
        "Toxiproxy or PgBouncer had no file descriptor left, and so none for another connection",
        "unknown",
        "Raise the limit (ulimit -n), or lower pool sizes, --users or arms: what was refused is no fault of a setting.",
    ),
    Code.FAULT_NOT_INSTALLED: DoubtKind(
        "the report is made where a fault of the run is not installed, so that what it caused cannot be told",
        "note",
        "Install the distribution that the text names, and make the report again: `brokenpipe report RUN`.",
    ),
}
