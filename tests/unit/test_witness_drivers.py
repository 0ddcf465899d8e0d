"""psycopg2's pool, pg8000 and Django's persistent connections: what the witness writes of them.

The real libraries, against a server that answers nothing: what they do with a connection that has ended needs no more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.unit.speaking_postgres import SpeakingPostgres

from brokenpipe.witness import SITE

PROGRAM = """
import sys
from contextlib import contextmanager
from brokenpipe_witness.request_context import CURRENT_REQUEST, RequestContext
port = int(sys.argv[1])

@contextmanager
def request(name):
    context = RequestContext(name)
    token = CURRENT_REQUEST.set(context)
    try:
        yield
        context.status = 200
        context.write(None)
    except Exception as error:
        context.write(error)
    finally:
        CURRENT_REQUEST.reset(token)

def end():
    print(flush=True)
    sys.stdin.readline()
"""
PSYCOPG2 = """
from psycopg2.pool import ThreadedConnectionPool
pool = ThreadedConnectionPool(2, 2, f"host=127.0.0.1 port={port} user=x dbname=x sslmode=disable gssencmode=disable")

def visit():
    connection = pool.getconn()
    try:
        connection.cursor().execute("select 1")
    finally:
        pool.putconn(connection)

with request("good"):
    visit()
end()
with request("stale"):
    visit()
with request("full"):
    held = pool.getconn(), pool.getconn()
    try:
        pool.getconn()
    finally:
        for each in held:
            pool.putconn(each)
"""
PG8000 = """
import pg8000.dbapi
with request("opens"):
    connection = pg8000.dbapi.connect("x", host="127.0.0.1", port=port)
with request("uses"):
    connection.cursor().execute("select 1")
    connection.commit()
end()
with request("stale"):
    connection.cursor().execute("select 1")
"""
DJANGO = """
import django
from django.conf import settings
database = dict(ENGINE="django.db.backends.postgresql", NAME="x", USER="x", HOST="127.0.0.1", PORT=port)
database |= dict(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=CHECKS, OPTIONS=dict(sslmode="disable", gssencmode="disable"))
settings.configure(DATABASES=dict(default=database), USE_TZ=True)
django.setup()
from django.db import connection

def visit():
    connection.close_if_unusable_or_obsolete()
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    finally:
        connection.close_if_unusable_or_obsolete()

for name in ("opens", "uses"):
    with request(name):
        visit()
end()
with request("stale"):
    visit()
"""

Line = dict[str, Any]


def lines(program: str, folder: Path) -> list[Line]:
    """What the witness writes of a program, whose connections are ended where it asks for that."""
    server = SpeakingPostgres()
    variables = {
        "PYTHONPATH": os.pathsep.join((str(SITE), *filter(None, sys.path))),
        "BROKENPIPE_WITNESS": str(folder),
        "BROKENPIPE_ARM": "plain",
        "BROKENPIPE_EVERY_REQUEST": "1",
    }
    command = [sys.executable, "-c", PROGRAM + program, str(server.port)]
    with subprocess.Popen(
        command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        server.end()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(timeout=60) == 0
    (path,) = folder.glob("witness-plain-*.ndjson")
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line for line in written if line["k"] == "trouble"] == []
    return written


def of(written: list[Line], kind: str) -> list[Line]:
    return [line for line in written if line["k"] == kind]


def request(written: list[Line], name: str) -> Line:
    return next(line for line in of(written, "request") if line["id"] == name)


def test_psycopg2s_pool(tmp_path: Path) -> None:
    """A checkout says whether the connection was dead; statements are not seen, but the error that leaves is."""
    written = lines(PSYCOPG2, tmp_path)
    assert [(line["plane"], line["library"]) for line in of(written, "plane")] == [("pools", "psycopg2")]
    (made,) = of(written, "pool_settings")
    assert (made["constructor"], made["arguments"]) == (
        "ThreadedConnectionPool",
        {"minconn": 2, "maxconn": 2},
    )
    (good,) = request(written, "good")["checkouts"]
    assert (good["dead"], good["statements_ms"]) == (False, None)
    assert good["held_ms"] > 0
    stale = request(written, "stale")
    (error,) = stale["errors"]
    assert (error["where"], error["dead_at_checkout"], error["statement"]) == ("statement", True, None)
    assert (error["port"], error["chain"][0]["type"]) == (
        stale["checkouts"][0]["port"],
        "psycopg2.OperationalError",
    )
    close = of(written, "close")[0]
    assert (close["port"], close["dead"], close["after"], close["id"]) == (
        error["port"],
        True,
        "error",
        "stale",
    )
    (full,) = request(written, "full")["errors"]
    assert (full["where"], full["pool_state"]["out"], full["pool_state"]["most"]) == ("checkout", 2, 2)


def test_a_connection_of_pg8000(tmp_path: Path) -> None:
    """Kept by the service: the first use by a request is its checkout, and it is dead when that begins."""
    written = lines(PG8000, tmp_path)
    assert [(line["plane"], line["library"]) for line in of(written, "plane")] == [("connections", "pg8000")]
    (opened,), (used,) = (request(written, name)["checkouts"] for name in ("opens", "uses"))
    assert (opened["fresh"], used["fresh"], used["dead"], used["statements"]) == (True, False, False, 1)
    (error,) = request(written, "stale")["errors"]
    assert (error["where"], error["statement"]) == ("statement", 1)
    assert (error["dead_at_checkout"], error["dead"], error["port"]) == (True, True, opened["port"])


def test_djangos_persistent_connection(tmp_path: Path) -> None:
    """Without a health check a request meets the dead connection; what Django asks afterwards masks nothing."""
    written = lines(DJANGO.replace("CHECKS,", "False,"), tmp_path)
    assert ("pools", "django") in {(line["plane"], line["library"]) for line in of(written, "plane")}
    (used,) = request(written, "uses")["checkouts"]
    assert (used["fresh"], used["dead"], used["ping_ms"]) == (False, False, None)
    (error, *_) = request(written, "stale")["errors"]
    assert (error["where"], error["dead_at_checkout"]) == ("statement", True)
    (close,) = of(written, "close")
    assert (close["dead"], close["after"], close["recycle_ms"]) == (True, "error", 60_000)


def test_djangos_health_check(tmp_path: Path) -> None:
    """A ping, once a request; one that fails masks a dead connection, and no request fails."""
    written = lines(DJANGO.replace("CHECKS,", "True,"), tmp_path)
    (made,) = of(written, "pool_settings")
    assert made["arguments"] == {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    (used,) = request(written, "uses")["checkouts"]
    assert used["ping_ms"] > 0
    assert used["statements"] == 1
    spared = request(written, "stale")
    assert (spared["errors"], spared["checkouts"][0]["fresh"], spared["checkouts"][0]["dead"]) == (
        [],
        True,
        False,
    )
    (failed,), (close,) = of(written, "ping_failed"), of(written, "close")
    assert (failed["id"], failed["dead"]) == ("stale", True)
    assert (close["id"], close["dead"], close["after"]) == ("stale", True, "ping")
