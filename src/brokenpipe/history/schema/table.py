"""One kind of line, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

EVERY_FILE = "*.ndjson"


@dataclass(frozen=True, slots=True)
class RecordTable:
    """Lines of one kind in the files that match `files`; `columns` are DuckDB types."""

    name: str
    files: str
    kind: str
    columns: Mapping[str, str]
    where: str = "true"  # which lines of that kind
    plain: bool = False  # nearly all lines of its files, so that a request's id is kept as a hash, `id_hash`

    @property
    def from_witness(self) -> bool:
        """Whether its lines carry the arm in their file's name, which becomes the column `witness_arm`."""
        return self.files.startswith("witness")
