"""The sample agent behind a relay that forgets an idle connection in silence, and answers its next byte by RST.

    agent ──▶ relay ──▶ what DATABASE_URL says

FORGET_AFTER_S is the limit; AGENT is the folder of the agent.
"""

import asyncio
import os
import socket
import struct
import sys
import threading
import time
from urllib.parse import urlsplit

LIMIT_S = float(os.environ["FORGET_AFTER_S"])
ON_CLOSE_RESET = struct.pack("ii", 1, 0)


class Relay:
    def __init__(self, host, port):
        self.upstream = (host, port)
        self.port = None
        self.listening = threading.Event()

    async def serve(self):
        server = await asyncio.start_server(self.relay, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.listening.set()
        await server.serve_forever()

    async def relay(self, reader, writer):
        from_server, to_server = await asyncio.open_connection(*self.upstream)
        back = asyncio.create_task(self.pass_on(from_server, writer))
        last = time.monotonic()
        while chunk := await self.read(reader):
            if time.monotonic() - last > LIMIT_S:
                client = writer.get_extra_info("socket")
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ON_CLOSE_RESET)
                writer.transport.abort()
                break
            to_server.write(chunk)
            last = time.monotonic()
        back.cancel()
        to_server.close()
        writer.close()

    async def pass_on(self, reader, writer):
        while chunk := await self.read(reader):
            writer.write(chunk)
        writer.close()

    async def read(self, reader):
        try:
            return await reader.read(65536)
        except OSError:
            return b""


def main(host, port):
    dsn = urlsplit(os.environ["DATABASE_URL"])
    relay = Relay(dsn.hostname, dsn.port)
    threading.Thread(target=asyncio.run, args=(relay.serve(),), daemon=True).start()
    relay.listening.wait()
    through = dsn.netloc.replace(f"{dsn.hostname}:{dsn.port}", f"127.0.0.1:{relay.port}")
    os.environ["DATABASE_URL"] = dsn._replace(netloc=through).geturl()
    sys.path.insert(0, os.environ["AGENT"])
    import uvicorn

    uvicorn.run(
        "agent.app:create_app",
        factory=True,
        host=host,
        port=int(port),
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
