"""A service that answers well and need not have asked the database on the wire, as WAY says.

proper    each request is a query, on one connection through the address that it was given
cached    the first answer is kept
straight  it asks Postgres where it listens, and goes there from then on
each      as straight, on a connection of its own for each request
greedy    as proper, and it keeps a megabyte of each request
tableless asks for a table that nobody made
"""

import os

import psycopg
from psycopg.conninfo import make_conninfo

kept: dict = {}


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


async def greedy():
    kept.setdefault("notes", []).append(os.urandom(1_000_000))
    return await proper()


async def tableless():
    return (await query(await connected(os.environ["POSTGRES"]), "SELECT what FROM never_made"))[0]


async def straight():
    return await ask(await way_past())


async def each():
    async with await psycopg.AsyncConnection.connect(await way_past(), autocommit=True) as connection:
        return (await query(connection, "SELECT 'done'"))[0]


async def way_past():
    if "way" not in kept:
        host, port = await query(await connected(os.environ["POSTGRES"]), WHERE)
        await kept.pop("connection").close()
        kept["way"] = make_conninfo(os.environ["POSTGRES"], host=host, port=port)
    return kept["way"]


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


WHERE = "SELECT host(inet_server_addr()), inet_server_port()"
ANSWERS = {
    "proper": proper, "cached": cached, "straight": straight, "each": each, "greedy": greedy, "tableless": tableless,
}  # fmt: skip
