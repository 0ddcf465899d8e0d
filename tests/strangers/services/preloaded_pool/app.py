"""Flask on psycopg's own pool, opened before gunicorn forks (as --preload has it) or in the worker.

A forked pool has its connections and none of its threads: it lends what is whole, and can open nothing new.
"""

import os
from functools import cache

from flask import Flask
from psycopg_pool import ConnectionPool


@cache
def pool():
    return ConnectionPool(os.environ["DATABASE_URL"], min_size=2, max_size=2, timeout=1, open=True)


if os.environ.get("OPENED") == "before":
    pool().wait()
app = Flask(__name__)


@app.get("/up")
def up():
    return {}


@app.get("/work")
def work():
    with pool().connection() as connection:
        connection.execute("select 1")
    return {}
