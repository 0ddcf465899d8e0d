"""A service that has never heard of SQLAlchemy."""

import os
import sys


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path == "/raise":
        reset = ConnectionResetError(104, "postgresql://me:hunter2@db/x: reset")
        raise RuntimeError("no answer, password=hunter2") from reset
    if path == "/fork":
        child = os.fork()
        if child == 0:
            await answer(send, 200, b"child")  # shares the socket: this is the one that answers
            return
        os.waitpid(child, 0)
        return
    await answer(send, 200, " ".join(sorted(sys.modules)).encode())
    if path == "/late":
        raise RuntimeError("after the answer")


async def answer(send, status, body):
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})
