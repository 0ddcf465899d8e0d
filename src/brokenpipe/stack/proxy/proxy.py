"""One proxy of a Toxiproxy server: the wire that faults break.

    client ──▶ listen port ─▶ latency ─▶ kill_switch ─▶ idle_reset ─▶ … [─▶ armed] ──▶ upstream

The wanted state is kept here; after each change the whole proxy is read back and compared with it. So a fault that was
not injected cannot look injected.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

from brokenpipe.errors import ProxyError
from brokenpipe.faults import Toxic, neutral_toxics
from brokenpipe.stack.packet_loss.api import OwnPacketFilter, PacketFilter
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.processes.ports import Address, Port, ReservedPort
from brokenpipe.stack.proxy.api import ProxyState, ToxicState, ToxiproxyApi

_RST_ON_CLOSE = ToxicState("armed", "reset_peer", "upstream", toxicity=0.0, attributes={"timeout": 0})
_KILL_SWITCH = "kill_switch"
ENDING = Toxic("ending", "ending", "upstream", {"reset": 0}, stage="ending")
"""The toxic with which open connections, too, can be told how to end. A proxy has it if it was made with it."""


class Proxy:
    """A listener on the server's host in front of `upstream`, with neutral toxics. It satisfies faults.ProxyControl.

    `toxics`: None stands for those of all faults.

    Made by ToxiproxyServer. Calls from several threads are taken one after the other. Every method raises
    ProxyHung or ProxyError; after either the state of the wire is not known.
    """

    def __init__(
        self,
        api: ToxiproxyApi,
        name: str,
        upstream: Address,
        *,
        toxics: Sequence[Toxic] | None = None,
        rst_on_close: bool = False,
        database: Database | None = None,
        port: Port | None = None,
        packets: PacketFilter | None = None,
    ) -> None:
        self.name = name
        self._packets = packets or OwnPacketFilter()
        self._database = database
        self.host = api.host
        self._api = api
        toxics = neutral_toxics() if toxics is None else toxics
        self._neutral = tuple(
            ToxicState(t.name, t.type, t.stream, toxicity=1.0, attributes=dict(t.neutral)) for t in toxics
        )
        self._reserved = port or ReservedPort()
        self._wanted = ProxyState(
            name,
            listen=f"{self.host}:{self._reserved.port}",
            upstream=f"{upstream[0]}:{upstream[1]}",
            enabled=False,
            toxics=self._neutral + ((_RST_ON_CLOSE,) if rst_on_close else ()),
        )
        self._reported = {t.name: t.reported for t in toxics}
        self._lock = threading.RLock()

    @property
    def port(self) -> int:
        """The port clients connect to. It outlives restarts of the server, and stays ours while it does not listen."""
        return self._reserved.port

    @property
    def server(self) -> Database:
        """The database behind it. Raises ProxyError if it was made in front of something else."""
        if self._database is None:
            raise ProxyError(f"{self.name}: there is no database of ours behind this proxy")
        return self._database

    def lead_to(self, database: Database) -> None:
        """Say which database of ours stands behind it, if that was not known when it was made."""
        self._database = database

    @property
    def rst_on_close(self) -> bool:
        """Whether connections that open now end by RST."""
        return _RST_ON_CLOSE in self._wanted.toxics

    def create(self) -> None:
        """Create it on the server, neutral, with the arming it had, and let it listen."""
        with self._lock:
            ending = (_RST_ON_CLOSE,) if self.rst_on_close else ()
            self._wanted = replace(self._wanted, enabled=False, toxics=self._neutral + ending)
            self._api.create_proxy(self.name, listen=self._wanted.listen, upstream=self._wanted.upstream)
            for toxic in self._wanted.toxics:
                self._api.add_toxic(self.name, toxic)
            self._compare()
            if self._packets.is_available:
                self.drop(False)
            self.accept()

    def delete(self) -> None:
        """Remove it from the server; its connections are closed, its port is free."""
        with self._lock:
            self._api.delete_proxy(self.name)
            self.release()

    def release(self) -> None:
        """Give up its port. The server may be gone already."""
        self._reserved.release()

    def refuse(self) -> None:
        """Close every connection and refuse new ones. On Linux no other program can take the port meanwhile."""
        with self._lock:
            self._enabled(False)

    def accept(self) -> None:
        """Listen, always on the same port."""
        with self._lock, self._reserved.allow_listener():
            self._enabled(True)

    def _enabled(self, on: bool) -> None:
        self._api.set_enabled(self.name, on)
        self._wanted = replace(self._wanted, enabled=on)
        self._compare()

    def update(self, toxic: str, /, **attributes: int) -> None:
        """Set attributes of a toxic on this proxy, for live connections too."""
        with self._lock:
            current = self._toxic(toxic)
            if unknown := attributes.keys() - current.attributes.keys():
                raise ProxyError(
                    f"{self.name}: toxic {toxic} has no attribute {', '.join(sorted(unknown))}",
                    remedy=f"It has: {', '.join(current.attributes)}.",
                )
            changed = replace(current, attributes=current.attributes | attributes)
            self._api.update_toxic(self.name, toxic, attributes)
            toxics = tuple(changed if each is current else each for each in self._wanted.toxics)
            self._wanted = replace(self._wanted, toxics=toxics)
            self._compare()

    def drop(self, on: bool, /) -> None:
        """Lose every packet between clients and this proxy, or none any more. In namespaces of the run's only."""
        with self._lock:
            self._packets.set_loss(self.name, self.port, on)

    def read_back(self, toxic: str) -> Mapping[str, int]:
        """All attributes of a toxic on this proxy, read anew, with those that it sets itself."""
        for each in self._api.read_proxy(self.name).toxics:
            if each.name == toxic:
                return each.attributes
        raise ProxyError(f"{self.name}: there is no toxic {toxic} on this proxy")

    def kill(self) -> None:
        """End every connection that is open now; those that open later live, and none is refused.

        Each connection remembers the generation it was born in; raising it ends the older ones.
        """
        with self._lock:
            self.update(_KILL_SWITCH, generation=self._toxic(_KILL_SWITCH).attributes["generation"] + 1)

    def set_rst_on_close(self, on: bool) -> None:
        """Choose how connections that open from now on end: by RST if `on`, else by FIN.

        Toxiproxy sets a socket's linger time to 0 only while a connection starts, and only if a `reset_peer`
        toxic is there at that moment; with toxicity 0 it does nothing else. Its *presence* is the switch, so
        this is the one toxic that is added and deleted in a proxy's life, and the one that touches live
        connections in a way that can hang the server: deleting it waits until what it holds has been taken.
        So do it between phases, drained. It stands upstream, where the peer is a database: that stops reading
        only if its client goes on sending without reading the answers.

        Connections that are open already keep what they were opened with: kill them to be sure.
        """
        with self._lock:
            if on == self.rst_on_close:
                return
            if on:
                self._api.add_toxic(self.name, _RST_ON_CLOSE)
                toxics = (*self._wanted.toxics, _RST_ON_CLOSE)
            else:
                self._api.delete_toxic(self.name, _RST_ON_CLOSE.name)
                toxics = tuple(each for each in self._wanted.toxics if each is not _RST_ON_CLOSE)
            self._wanted = replace(self._wanted, toxics=toxics)
            self._compare()

    def end_by_reset(self, on: bool) -> None:
        """Choose how connections end, open ones too: by RST if `on`, else by FIN. It takes the toxic ENDING."""
        self.update(ENDING.name, reset=int(on))

    @property
    def ends_by_reset(self) -> bool:
        """What `end_by_reset` has chosen."""
        return bool(self._toxic(ENDING.name).attributes["reset"])

    def _toxic(self, name: str) -> ToxicState:
        for toxic in self._wanted.toxics:
            if toxic.name == name:
                return toxic
        raise ProxyError(
            f"{self.name}: there is no toxic {name} on this proxy",
            remedy=f"It has: {', '.join(toxic.name for toxic in self._wanted.toxics)}.",
        )

    def _compare(self) -> None:
        """Read the whole proxy back. The server takes a misspelt attribute for 0 and says 200."""
        actual = self._api.read_proxy(self.name)
        actual = replace(actual, toxics=tuple(self._as_set(toxic) for toxic in actual.toxics))
        wanted = replace(self._wanted, toxics=_by_name(self._wanted.toxics))
        if replace(actual, toxics=_by_name(actual.toxics)) != wanted:
            raise ProxyError(
                f"{self.name}: the server does not hold the state that was set",
                remedy="Nothing measured through this proxy is valid; restart the server.",
                details=(f"wanted: {wanted}", f"found:  {actual}"),
            )

    def _as_set(self, toxic: ToxicState) -> ToxicState:
        """The toxic without the attributes that it sets itself."""
        reported = self._reported.get(toxic.name, ())
        return replace(toxic, attributes={k: v for k, v in toxic.attributes.items() if k not in reported})


def _by_name(toxics: tuple[ToxicState, ...]) -> tuple[ToxicState, ...]:
    """The server lists upstream before downstream, whatever the order of creation."""
    return tuple(sorted(toxics, key=lambda toxic: toxic.name))
