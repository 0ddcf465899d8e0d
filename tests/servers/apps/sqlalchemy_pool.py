"""SQLAlchemy's pool as the services use it: in threads over psycopg2, or async over asyncpg."""

import os
from contextlib import suppress

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

DSN = os.environ["DSN"]
OPTIONS = {"pool_size": 1, "max_overflow": 0}

plain = create_engine(DSN.replace("://", "+psycopg2://"), **OPTIONS)
checked = create_engine(DSN.replace("://", "+psycopg2://"), pool_pre_ping=True, **OPTIONS)
plain_async = create_async_engine(DSN.replace("://", "+asyncpg://"), **OPTIONS)
checked_async = create_async_engine(DSN.replace("://", "+asyncpg://"), pool_pre_ping=True, **OPTIONS)
kept: list = []


def select():
    with plain.connect() as connection:
        connection.execute(text("select 1"))


def select_checked():
    with checked.connect() as connection:
        connection.execute(text("select 1"))


def sleep():
    with plain.connect() as connection:
        connection.execute(text("select pg_sleep(20)"))


def keep():
    kept.append(checked.connect())


def give_back():
    while kept:
        with suppress(DBAPIError):
            kept.pop().close()


async def select_async():
    async with plain_async.connect() as connection:
        await connection.execute(text("select 1"))


async def select_checked_async():
    async with checked_async.connect() as connection:
        await connection.execute(text("select 1"))


async def sleep_async():
    async with plain_async.connect() as connection:
        await connection.execute(text("select pg_sleep(20)"))


async def keep_async():
    kept.append(await checked_async.connect())


async def give_back_async():
    while kept:
        with suppress(DBAPIError):
            await kept.pop().close()
