"""The Toxiproxy server: one for all arms. Here as a child process on a free port of the loopback."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from brokenpipe.errors import ProxyError
from brokenpipe.faults import Toxic
from brokenpipe.stack.packet_loss.api import PacketFilter
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.ports import (
    LOOPBACK,
    START_ATTEMPTS,
    Address,
    Port,
    ReservedPort,
    free_port,
    is_taken,
    poll,
)
from brokenpipe.stack.processes.process import Child, child
from brokenpipe.stack.proxy.api import ToxiproxyApi
from brokenpipe.stack.proxy.proxy import Proxy

NewPort = Callable[[], Port]

READY_TIMEOUT_S = 5.0  # measured: answers 20 ms after its start


class ToxiproxyServer:
    """A running server and its proxies. Made by `toxiproxy_server`.

    `launch` starts its process. `new_port` gives each proxy a port on the server's host, `packets` is the packet
    filter in front of them.
    """

    def __init__(
        self,
        api: ToxiproxyApi,
        launch: Callable[[], AbstractContextManager[Child]],
        new_port: NewPort = ReservedPort,
        packets: PacketFilter | None = None,
    ) -> None:
        self._api = api
        self._launch = launch
        self._new_port = new_port
        self._packets = packets
        self._process = ExitStack()
        self._proxies: list[Proxy] = []
        self._scratch_count = 0
        self.version = ""
        self.child: Child

    @property
    def api_port(self) -> int:
        return self._api.port

    @property
    def host(self) -> str:
        """Address on which its API and all its proxies listen."""
        return self._api.host

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """All that were made and not deleted: what a restart brings back."""
        return tuple(self._proxies)

    def create_proxy(
        self,
        name: str,
        upstream: Address,
        *,
        toxics: Sequence[Toxic] | None = None,
        rst_on_close: bool = False,
        database: Database | None = None,
    ) -> Proxy:
        """A new proxy in front of `upstream` (host, port), listening on a free port, its toxics neutral.

        `database`: what stands there, if it is one of ours; faults at the server need it.

        Raises ProxyError, for example when the name is taken.
        """
        proxy = Proxy(
            self._api, name, upstream, toxics=toxics, rst_on_close=rst_on_close, database=database,
            port=self._new_port(),            packets=self._packets,
        )  # fmt: skip
        try:
            proxy.create()
        except BaseException:
            proxy.release()
            raise
        self._proxies.append(proxy)
        return proxy

    @contextmanager
    def scratch_proxy(
        self,
        upstream: Address,
        *,
        rst_on_close: bool = False,
        database: Database | None = None,
    ) -> Iterator[Proxy]:
        """A proxy for a probe, deleted after it."""
        self._scratch_count += 1
        name = f"scratch_{self._scratch_count}"
        proxy = self.create_proxy(name, upstream, rst_on_close=rst_on_close, database=database)
        try:
            yield proxy
        finally:
            self.delete_proxy(proxy)

    def delete_proxy(self, proxy: Proxy) -> None:
        """Remove a proxy; its connections end and its port is free, also if the server does not answer."""
        self._proxies.remove(proxy)
        try:
            proxy.delete()
        finally:
            proxy.release()

    def restart(self) -> None:
        """Kill the server, however stuck it is, start it on the same port and create every proxy anew.

        Proxies keep their ports and their arming; their toxics are neutral; all connections are gone.
        """
        self.stop()
        self.start()
        for proxy in self._proxies:
            proxy.create()

    def start(self) -> None:
        """Start the process and wait until it answers. Raises ProxyError if it does not."""
        self.child = self._process.enter_context(self._launch())
        version = poll(self._answer, timeout_s=READY_TIMEOUT_S)
        if not version or not self.child.running:
            self.stop()
            raise ProxyError(
                f"toxiproxy: no answer on port {self.api_port} within {READY_TIMEOUT_S:g} s of its start"
                if version is None
                else f"toxiproxy: ended while starting on port {self.api_port}",
                remedy=f"See {self.child.log_path}.",
                details=self.child.last_lines(),
            )
        self.version = version

    def _answer(self) -> str | None:
        """Its version once it answers, "" if it ended, None as long as neither is the case."""
        if not self.child.running:
            return ""
        with suppress(ProxyError):
            return self._api.version()
        return None

    def check_answer(self, turn: int = 0) -> None:
        """Read one of its proxies, another at each turn. Raises ProxyHung or ProxyError if it does not answer."""
        if self._proxies:
            self._api.read_proxy(self._proxies[turn % len(self._proxies)].name)

    def stop(self) -> None:
        """End the process and wait for its end."""
        self._process.close()

    def close(self) -> None:
        """End the process and give up the ports of its proxies."""
        self.stop()
        for proxy in self._proxies:
            proxy.release()


def _start_process(
    binary: Path, api_port: int, log_path: Path, janitor: Janitor, links_path: Path | None
) -> AbstractContextManager[Child]:
    _require_free(api_port)
    argv = [str(binary), "-host", LOOPBACK, "-port", str(api_port)]
    if links_path:
        argv += ["-links", str(links_path)]
    # SIGKILL: it has nothing to flush, and a server that hangs would not act on anything else.
    return child("toxiproxy", argv, log_path=log_path, janitor=janitor, stop_signal=signal.SIGKILL)


def _require_free(port: int) -> None:
    """Refuse a port with another listener: another Toxiproxy would answer instead of ours, which could not start."""
    if is_taken(port):
        raise ProxyError(
            f"toxiproxy: port {port} for its API is taken: another program listens there",
            remedy="End what listens there, or choose another port.",
        )


@contextmanager
def toxiproxy_server(
    binary: Path,
    *,
    log_path: Path,
    janitor: Janitor,
    api_port: int | None = None,
    links_path: Path | None = None,
) -> Iterator[ToxiproxyServer]:
    """Run the server for as long as the block lasts. `api_port`: a free one by default.

    To `links_path`, if given, the server appends a line for each link that opens and each that ends.

    Raises ProxyError when it does not come up, StackError when the binary cannot be started.
    """
    server = _start_on_free_port(binary, api_port, log_path, janitor, links_path)
    try:
        yield server
    finally:
        server.close()


def _start_on_free_port(
    binary: Path, api_port: int | None, log_path: Path, janitor: Janitor, links_path: Path | None
) -> ToxiproxyServer:
    """A server that answers; on another port if another program took a free one."""
    for attempts_left in reversed(range(START_ATTEMPTS)):
        api = ToxiproxyApi(api_port or free_port())
        server = ToxiproxyServer(
            api, partial(_start_process, binary, api.port, log_path, janitor, links_path)
        )
        try:
            server.start()
        except BaseException as error:
            server.stop()
            lost_a_race = isinstance(error, ProxyError) and not api_port and is_taken(server.api_port)
            if not (lost_a_race and attempts_left):
                raise
        else:
            return server
    raise AssertionError("the last attempt returns or raises")
