"""A service that answers well and need not have asked the database on the wire, as WAY says.

proper    each request is a query, on one connection through the address that it was given
cached    the first answer is kept
straight  it asks Postgres where it listens, and goes there from then on
"""

import os

import psycopg
from psycopg.conninfo import make_conninfo

kept = {}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    said = await ANSWERS[os.environ["WAY"]]() if scope["path"] == "/work" else "ready"
    body = said.encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def proper():
    return await ask(os.environ["POSTGRES"])


async def cached():
    if "answer" not in kept:
        kept["answer"] = await proper()
    return kept["answer"]


async def straight():
    if "port" not in kept:
        kept["port"] = (await query(await connected(os.environ["POSTGRES"]), "SHOW port"))[0]
        await kept.pop("connection").close()
    return await ask(make_conninfo(os.environ["POSTGRES"], port=kept["port"]))


async def ask(dsn):
    try:
        return (await query(await connected(dsn), "SELECT 'done'"))[0]
    except psycopg.Error:
        kept.pop("connection", None)
        raise


async def connected(dsn):
    if "connection" not in kept:
        kept["connection"] = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    return kept["connection"]


async def query(connection, text):
    return await (await connection.execute(text)).fetchone()


ANSWERS = {"proper": proper, "cached": cached, "straight": straight}
