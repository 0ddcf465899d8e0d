"""A real HTTP server whose answers can go wrong in the ways that matter, one port for each arm.

/ok /status/503        what they say
/slow/0.2              an answer after that many seconds
/hang                  no answer
/stalls                nobody gets an answer before `stalled_until`
/unheard               the first of a connection is answered, the second is closed on without an answer
/cut /cut-length       the headers and half of a body, chunked or of known length, then a reset
/events/5/0.02         five chunks, that far apart
/cookie/a=1            an answer that sets this cookie for all paths
/to?URL                a redirect
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    arm: str
    t_ns: int
    method: str
    path: str
    headers: dict[str, str]

    @property
    def id(self) -> str:
        return self.headers.get("x-request-id", "")


@dataclass
class Server:
    """The server and everything that it has seen. `arms` maps each arm to its base URL."""

    arms: dict[str, str] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    stalled_until: float = 0.0  # on the monotonic clock

    def of(self, arm: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.arm == arm]


@contextmanager
def serving(*arms: str) -> Iterator[Server]:
    server = Server()
    loop = asyncio.new_event_loop()
    listeners = {arm: socket.create_server(("127.0.0.1", 0)) for arm in arms}
    for arm, listener in listeners.items():
        server.arms[arm] = f"http://127.0.0.1:{listener.getsockname()[1]}"

    async def main() -> None:
        for arm, listener in listeners.items():
            await asyncio.start_server(_handler(server, arm), sock=listener)

    loop.run_until_complete(main())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_end(), loop)
        thread.join(5)
        loop.close()
        for listener in listeners.values():
            listener.close()


async def _end() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    asyncio.get_running_loop().stop()


def _handler(server, arm):
    async def handle(reader, writer):
        before = 0
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                seen = await _read(reader, arm)
                server.seen.append(seen)
                before += 1
                if seen.path == "/unheard" and before > 1:
                    break
                if seen.path == "/stalls":
                    await asyncio.sleep(server.stalled_until - time.monotonic())
                if not await _answer(seen.path, writer):
                    break
        writer.close()
        with suppress(ConnectionError, asyncio.CancelledError):
            await writer.wait_closed()

    return handle


async def _read(reader, arm: str) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    await reader.readexactly(int(headers.get("content-length", 0)))
    method, path, _ = first.split(" ")
    return Seen(arm, time.monotonic_ns(), method, path, headers)


async def _answer(path: str, writer) -> bool:
    """Answer one request; False when the connection is to end."""
    what, _, rest = path.removeprefix("/").partition("/")
    if path.startswith("/to?"):
        writer.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % path[4:].encode())
    elif what == "status":
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nno" % int(rest))
    elif what == "hang":
        await asyncio.sleep(60)
    elif what == "cut":
        await _cut(writer, CHUNKED + b"5\r\nhello\r\n")
        return False
    elif what == "cut-length":
        await _cut(writer, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        return False
    elif what == "events":
        await _events(writer, rest)
    else:
        if what == "slow":
            await asyncio.sleep(float(rest))
        cookie = {"cookie": f"Set-Cookie: {rest};Path=/\r\n"}.get(what, "")
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{cookie}\r\nok".encode())
    await writer.drain()
    return True


async def _events(writer, rest: str) -> None:
    count, gap_s = rest.split("/")
    writer.write(CHUNKED)
    for i in range(int(count)):
        await asyncio.sleep(float(gap_s))
        event = f"data: {i}\n\n".encode()
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await writer.drain()
    writer.write(b"0\r\n\r\n")


async def _cut(writer, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
    await asyncio.sleep(0.05)  # so that the headers are read before the reset discards them
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
