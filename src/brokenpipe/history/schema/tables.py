"""The tables of a history: one for each record, and a narrower one for the requests that are nearly all of it."""

from __future__ import annotations

from brokenpipe.history.containers import ContainerEvent
from brokenpipe.history.ledger import LedgerEntry, LedgerSummary
from brokenpipe.history.records import experiment, gauges, links, nemesis, requests, witness
from brokenpipe.history.records.base import Clock
from brokenpipe.history.schema.columns import columns_of, optional_fields, time_fields
from brokenpipe.history.schema.table import RecordTable, table_of
from brokenpipe.history.silences import SilenceEdge, WatchedPart, WatchTick

RECORDS = (
    Clock,
    experiment.PhaseEdge, experiment.Episode, experiment.RecordedDoubt, experiment.SelfTest, experiment.Resumed,
    experiment.Finish, experiment.ClockOffset,
    nemesis.FaultAction, nemesis.FaultDetection,
    requests.RequestStart, requests.RequestEnd, requests.ArrivalLate, requests.ArrivalMissed, requests.LoopLag,
    gauges.ProcessGauge, gauges.MachineGauge, gauges.ClockReading, gauges.ConnectionSlots, gauges.PostgresGauge,
    gauges.ServerStart,
    WatchedPart, WatchTick, SilenceEdge,
    LedgerEntry, LedgerSummary,
    ContainerEvent,
    witness.WitnessRequest, witness.WitnessTally, witness.WitnessStall, witness.WitnessConnect,
    witness.WitnessConnectFailure, witness.WitnessPingFailure, witness.WitnessInvalidation, witness.WitnessClose,
    witness.WitnessPool, witness.WitnessLoopLag, witness.WitnessTick, witness.WitnessRepeat, witness.WitnessPlane,
    witness.WitnessPoolSettings, witness.WitnessWebSocket, witness.WitnessReturn, witness.WitnessTrouble,
    links.LinkOpened, links.LinkEnded, links.LinkCut, links.LinkSilenced, links.LinkForgotten,
)  # fmt: skip
"""Every kind of line."""

TIME_KEYS = frozenset(name for record in RECORDS for name in time_fields(record))

# A success of whose start nothing is written and who wrote nothing: nearly every line of a large history.
_OPTIONAL = optional_fields(requests.RequestEnd)
_PLAIN = " AND ".join(
    ("k = 'end'", "t0 IS NOT NULL", "ms IS NOT NULL", *(f"{name} IS NULL" for name in _OPTIONAL))
)
_PLAIN_COLUMNS = {
    name: kind
    for name, kind in columns_of(requests.RequestEnd).items()
    if name not in _OPTIONAL and name != "id"
}

TABLES = (
    *(table_of(record) for record in RECORDS if record is not requests.RequestEnd),
    table_of(requests.RequestEnd, where=f"({_PLAIN}) IS NOT TRUE"),
    RecordTable(requests.RequestEnd, "plain_ends", _PLAIN_COLUMNS, f"({_PLAIN})", plain=True),
)
