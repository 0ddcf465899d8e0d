"""Another service that somebody else wrote: WSGI, and a psycopg_pool that is opened before gunicorn forks.

Its threads stay in the parent, so the child uses the connections that are there and can open no other.
"""

import os

from psycopg_pool import ConnectionPool, PoolTimeout

pool = ConnectionPool(os.environ["PG"], min_size=2, max_size=2, timeout=1.0, open=True)
pool.wait(timeout=10.0)


def app(environ, start_response):
    if environ["PATH_INFO"] != "/work":
        return answer(start_response, "200 OK", b"ready")
    try:
        with pool.connection() as connection:
            connection.execute("SELECT pg_sleep(0.005)")
    except PoolTimeout:
        return answer(start_response, "503 Service Unavailable", b"no connection")
    return answer(start_response, "200 OK", b"done")


def answer(start_response, status, body):
    start_response(status, [("Content-Length", str(len(body)))])
    return [body]
