"""Connections through the proxies of a test session, as Toxiproxy's link log has them (proxies/README.md)."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ENDERS: Mapping[str, str] = {
    "client": "by its client",
    "server": "from the server's side",
    "toxic": "by the wire",
    "no_server": "no server behind the wire",
}


@dataclass(frozen=True, slots=True)
class WireConnection:
    """A connection through a wire, as its proxy sees it. Times are those of time.monotonic_ns.

    `port` is the client's. `ended_ns` is None as long as it is open, `ended_by` says in a few words who ended it, and
    `broken_by` names the toxic that has ended it or made it mute.
    """

    port: int
    began_ns: int
    ended_ns: int | None = None
    ended_by: str = ""
    broken_by: str = ""


@dataclass(slots=True)
class ConnectionLog:
    """The link log of one Toxiproxy server, read as it grows. Safe for threads."""

    path: Path
    _offset: int = 0
    _of_proxy: dict[str, list[WireConnection]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of_proxy(self, name: str) -> tuple[WireConnection, ...]:
        """Every connection through this proxy so far, in the order in which they were accepted."""
        with self._lock:
            self._read_on()
            return tuple(self._of_proxy[name])

    def forget(self, name: str) -> None:
        """Give up what is known of a proxy that is gone."""
        with self._lock:
            self._read_on()
            self._of_proxy.pop(name, None)

    def _read_on(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _torn = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        for line in whole.splitlines():
            self._take(json.loads(line))

    def _take(self, record: Mapping[str, Any]) -> None:
        if record["k"] == "link_opened":
            self._of_proxy[record["arm"]].append(WireConnection(record["port"], record["t"]))
            return
        if "arm" not in record:
            return
        connections = self._of_proxy[record["arm"]]
        for index in reversed(range(len(connections))):
            known = connections[index]
            if known.port == record["port"]:
                if known.ended_ns is None:
                    connections[index] = _changed(known, record)
                return


def _changed(known: WireConnection, record: Mapping[str, Any]) -> WireConnection:
    if record["k"] == "link_ended":
        ender = str(record.get("ender", ""))
        return replace(known, ended_ns=record["t"], ended_by=ENDERS.get(ender, ender))
    return replace(known, broken_by=str(record.get("toxic", "")))
