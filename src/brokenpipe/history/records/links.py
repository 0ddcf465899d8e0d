"""links.ndjson: what the Toxiproxy server records of each connection through it, in Go (`proxies/links.go`).

`arm` is the name of the proxy; those of self-tests are called scratch_1 and so on. The n-th end of a port belongs to
its n-th opening, unless a `clock` of the writer toxiproxy stands between: then the server was restarted, and all links
had ended without a line. A test compares what the server writes with what is declared here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from brokenpipe.history.records.base import Int32, Record, TimeNs


@dataclass(frozen=True, slots=True)
class LinkOpened(Record):
    """A client's connection through a proxy was opened."""

    KIND: ClassVar[str] = "link_opened"
    TABLE: ClassVar[str] = "links_opened"
    FILES: ClassVar[str] = "links*.ndjson"
    t: TimeNs
    arm: str
    port: Int32


@dataclass(frozen=True, slots=True)
class LinkEnded(Record):
    """It ended. `ender`: client, server, toxic or no_server."""

    KIND: ClassVar[str] = "link_ended"
    TABLE: ClassVar[str] = "links_ended"
    FILES: ClassVar[str] = "links*.ndjson"
    t: TimeNs
    arm: str
    port: Int32
    ender: str | None = None


@dataclass(frozen=True, slots=True)
class LinkCut(Record):
    """A toxic ended it."""

    KIND: ClassVar[str] = "link_cut"
    TABLE: ClassVar[str] = "links_cut"
    FILES: ClassVar[str] = "links*.ndjson"
    t: TimeNs
    arm: str
    port: Int32
    toxic: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LinkSilenced(Record):
    """A toxic lets nothing through any more."""

    KIND: ClassVar[str] = "link_silenced"
    TABLE: ClassVar[str] = "links_silenced"
    FILES: ClassVar[str] = "links*.ndjson"
    t: TimeNs
    arm: str
    port: Int32
    toxic: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LinkForgotten(Record):
    """A toxic ends it with the client's next byte."""

    KIND: ClassVar[str] = "link_forgotten"
    TABLE: ClassVar[str] = "links_forgotten"
    FILES: ClassVar[str] = "links*.ndjson"
    t: TimeNs
    arm: str
    port: Int32
    toxic: str | None = None
    reason: str | None = None
