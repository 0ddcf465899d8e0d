"""A service that somebody else wrote: raw ASGI, asyncpg, and a list for a pool. It keeps books of its failures.

Every request for /work goes into the file named by LEDGER: its id, and whether it failed.
"""

import json
import os
from pathlib import Path

import asyncpg

idle: list = []
counts = {"asked": 0, "failed": 0}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await live(receive, send)
    elif scope["path"] == "/work":
        await work(scope, send)
    elif scope["path"] == "/counts":
        await answer(send, json.dumps(counts))
    else:
        await answer(send, "ready")


async def live(receive, send):
    await receive()
    idle.append(await connect())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    for connection in idle:
        connection.terminate()
    await send({"type": "lifespan.shutdown.complete"})


async def work(scope, send):
    """Whatever goes wrong leaves the service as it came: the server makes a 500 of it."""
    counts["asked"] += 1
    connection = idle.pop() if idle else await connect()
    try:
        said = await connection.fetchval("SELECT 'done' FROM pg_sleep(0.005)")
    except Exception:
        counts["failed"] += 1
        note(scope, "failed")
        raise
    idle.append(connection)
    note(scope, "fine")
    await answer(send, said)


def connect():
    return asyncpg.connect(os.environ["POSTGRES"])


def note(scope, outcome):
    name = dict(scope["headers"]).get(b"x-request-id", b"?").decode()
    with Path(os.environ["LEDGER"]).open("a") as ledger:
        ledger.write(f"{name} {outcome}\n")


async def answer(send, text):
    body = text.encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
