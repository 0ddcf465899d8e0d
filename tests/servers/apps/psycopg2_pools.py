"""psycopg2's own pool as a service in threads uses it. It neither waits nor looks at a connection."""

import os
from contextlib import contextmanager

from psycopg2.pool import ThreadedConnectionPool

plain = ThreadedConnectionPool(1, 1, os.environ["DSN"])
other = ThreadedConnectionPool(0, 1, os.environ["DSN"])
kept: list = []


@contextmanager
def borrowed(pool):
    connection = pool.getconn()
    try:
        yield connection
    finally:
        pool.putconn(connection)


def _execute(pool, statement):
    with borrowed(pool) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def select():
    _execute(plain, "select 1")


def sleep():
    _execute(plain, "select pg_sleep(20)")


def keep():
    kept.append(other.getconn())


def give_back():
    while kept:
        other.putconn(kept.pop())
