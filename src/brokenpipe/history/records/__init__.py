"""Records of a history: one frozen dataclass for each kind of line, with its keys, their types, and its file.

Each file has one writer, and none is ever rewritten:

    experiment.ndjson        the harness   PhaseEdge, Episode, RecordedDoubt, SelfTest, ClockOffset, Resumed, Finish
    nemesis.ndjson           the nemesis   FaultAction, FaultDetection
    requests.ndjson          the load      RequestStart, RequestEnd, LoopLag, ArrivalLate, ArrivalMissed;
                                           of each worker, requests-w1.ndjson
    witness-ARM-PID.ndjson   the target    declared in `witness.py`, written by `witness/`
    gauges.ndjson            the sampler   ProcessGauge, MachineGauge, ClockReading, PostgresGauge, ConnectionSlots,
                                           ServerStart
    links.ndjson             Toxiproxy     declared in `links.py`, written by `proxies/`, which is Go
    ledger.ndjson            the harness   LedgerEntry, LedgerSummary, of `ledger.py`: only of a target that has one
    containers.ndjson        the stack     ContainerEvent, of `containers.py`: only of a stack in containers
    watch.ndjson             the watch     WatchedPart, WatchTick, SilenceEdge, of `silences.py`

Every time is `time.monotonic_ns()`, which all processes of one machine share; a worker's differs by its
`ClockOffset`. Each file opens with a `Clock`, which ties it to the wall clock and names its format (`format.py`). Large
files go on in further ones, and an experiment that was cut off and resumed has files for each part: `file_names.py`
says how they are called, `resume.py` how their clocks are joined.
"""

from __future__ import annotations

from brokenpipe.history.records.base import EVERY_FILE, FORMAT, Clock, Record
from brokenpipe.history.records.experiment import (
    ClockOffset,
    Episode,
    Finish,
    PhaseEdge,
    RecordedDoubt,
    Resumed,
    RunEnding,
    SelfTest,
)
from brokenpipe.history.records.gauges import (
    ClockReading,
    ConnectionSlots,
    MachineGauge,
    PostgresGauge,
    ProcessGauge,
    ServerStart,
)
from brokenpipe.history.records.nemesis import Action, FaultAction, FaultDetection
from brokenpipe.history.records.requests import (
    NEVER_SENT,
    ArrivalLate,
    ArrivalMissed,
    FailureKind,
    LoopLag,
    RequestEnd,
    RequestStart,
)

__all__ = [
    "EVERY_FILE",
    "FORMAT",
    "NEVER_SENT",
    "Action",
    "ArrivalLate",
    "ArrivalMissed",
    "Clock",
    "ClockOffset",
    "ClockReading",
    "ConnectionSlots",
    "Episode",
    "FailureKind",
    "FaultAction",
    "FaultDetection",
    "Finish",
    "LoopLag",
    "MachineGauge",
    "PhaseEdge",
    "PostgresGauge",
    "ProcessGauge",
    "Record",
    "RecordedDoubt",
    "RequestEnd",
    "RequestStart",
    "Resumed",
    "RunEnding",
    "SelfTest",
    "ServerStart",
]
