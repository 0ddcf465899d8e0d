"""asyncpg's own pool as an async service uses it. It looks at no connection, and notices by itself when one ends."""

import os

import asyncpg

pools: dict = {}
kept: list = []


async def pool_of(name):
    """Made in the event loop that uses it."""
    if name not in pools:
        pools[name] = await asyncpg.create_pool(os.environ["DSN"], min_size=1, max_size=1)
    return pools[name]


async def select_async():
    async with (await pool_of("plain")).acquire() as connection:
        await connection.execute("select 1")


select_checked_async = select_async


async def sleep_async():
    async with (await pool_of("plain")).acquire() as connection:
        await connection.execute("select pg_sleep(20)")


async def keep_async():
    kept.append(await (await pool_of("other")).acquire())


async def give_back_async():
    while kept:
        await (await pool_of("other")).release(kept.pop())
