"""What all records have in common: how a field is stored, and the line that opens each file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Self

FORMAT = 2
"""Of what is written. 1: a fault was a text that also held its parameters, and a `Clock` had no format."""

EVERY_FILE = "*.ndjson"


@dataclass(frozen=True, slots=True)
class Stored:
    """How a field is stored where its Python type alone does not say it: the type of its column, which may be narrower.

    `is_time`: a monotonic time in nanoseconds, which moves with its clock. `digits`: of a fraction, in lines made fast.
    `holds`: the type of what a JSON value holds.
    """

    column: str
    is_time: bool = False
    digits: int | None = None
    holds: Any = None


Int32 = Annotated[int, Stored("INTEGER")]
TimeNs = Annotated[int, Stored("BIGINT", is_time=True)]
Microseconds = Annotated[float, Stored("DOUBLE", digits=3)]  # milliseconds, as exact as that
Json = Annotated[Any, Stored("JSON")]


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a history. A field with a default may be missing in a line; one without may be only if it can be None.

    `KIND` is its tag, the `k` of the JSON object. `TABLE` is what a query calls it, `FILES` where it stands.
    """

    KIND: ClassVar[str]
    TABLE: ClassVar[str]
    FILES: ClassVar[str]
    SPARSE: ClassVar[bool] = False
    """Whether fields that are None are left out of the line."""

    def to_json(self) -> dict[str, object]:
        """The object as it stands in the file."""
        fields = asdict(self)
        if self.SPARSE:
            fields = {name: value for name, value in fields.items() if value is not None}
        return {"k": self.KIND, **fields}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        """The record of a line. Keys that it does not know are left out. Raises TypeError if one is missing."""
        return cls(**{name: line[name] for name in cls.__dataclass_fields__ if name in line})


@dataclass(frozen=True, slots=True)
class Clock(Record):
    """The opening line: the same instant on the monotonic and on the wall clock."""

    KIND: ClassVar[str] = "clock"
    TABLE: ClassVar[str] = "clocks"
    FILES: ClassVar[str] = EVERY_FILE
    t: TimeNs
    wall_ns: int
    pid: Int32
    writer: str
    format: Int32 | None = FORMAT
