"""One kind of line, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brokenpipe.history.records.base import Record
from brokenpipe.history.schema.columns import columns_of


@dataclass(frozen=True, slots=True)
class RecordTable:
    """Lines of one kind; `columns` are DuckDB types."""

    record: type[Record]
    name: str
    columns: Mapping[str, str]
    where: str = "true"  # which lines of that kind
    plain: bool = False  # nearly all lines of its files, so that a request's id is kept as a hash, `id_hash`

    @property
    def kind(self) -> str:
        return self.record.KIND

    @property
    def files(self) -> str:
        """The pattern of the names of its files."""
        return self.record.FILES

    @property
    def from_witness(self) -> bool:
        """Whether its lines carry the arm in their file's name, which becomes the column `witness_arm`."""
        return self.files.startswith("witness")


def table_of(record: type[Record], *, where: str = "true") -> RecordTable:
    """The table with all fields of a record."""
    return RecordTable(record, record.TABLE, columns_of(record), where)
