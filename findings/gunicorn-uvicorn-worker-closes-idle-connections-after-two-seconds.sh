#!/usr/bin/env bash
# gunicorn with uvicorn's worker: an idle HTTP connection is closed after 2 s, not after uvicorn's 5 s.
#
#   versions   uvicorn 0.54.0, gunicorn 27.0.1 with uvicorn-worker 0.4.0, granian 2.8.9, hypercorn 0.18.0
#   input      one application; a client sends one GET, keeps the connection and waits for the server to close it
#   guess      the worker is uvicorn, so uvicorn's default (timeout_keep_alive, 5 s) holds
#   seen       uvicorn 5 s, hypercorn 5 s, gunicorn + uvicorn-worker 2 s (gunicorn's own default, keepalive = 2, is handed
#              to it), granian 30 s
#   so         a client or balancer that keeps connections for 4 s works with `uvicorn app:app` and meets closed ones as
#              soon as the same application is started by gunicorn
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0 gunicorn==27.0.1 uvicorn-worker==0.4.0 \
    granian==2.8.9 hypercorn==0.18.0
cat > "$work/app.py" << 'PYTHON'
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
PYTHON
cat > "$work/idle.py" << 'PYTHON'
import os
import signal
import socket
import subprocess
import sys
import threading
import time

SERVERS = {
    "uvicorn": ["uvicorn", "app:app", "--port", "{port}"],
    "hypercorn": ["hypercorn", "app:app", "--bind", "127.0.0.1:{port}"],
    "gunicorn": ["gunicorn", "app:app", "-k", "uvicorn_worker.UvicornWorker", "--bind", "127.0.0.1:{port}"],
    "granian": ["granian", "--interface", "asgi", "app:app", "--port", "{port}"],
}
EXPECTED_S = {"uvicorn": 5, "hypercorn": 5, "gunicorn": 2, "granian": 30}
found: dict[str, float] = {}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def idle_s(port: int) -> float:
    """From the answer until the server closes the connection."""
    for _ in range(200):
        try:
            client = socket.create_connection(("127.0.0.1", port), timeout=40)
            break
        except OSError:
            time.sleep(0.1)
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    while not client.recv(4096).endswith(b"ok"):
        pass
    answered = time.monotonic()
    assert client.recv(4096) == b""
    return time.monotonic() - answered


def measure(name: str) -> None:
    port = free_port()
    command = [sys.executable, "-m", *(part.format(port=port) for part in SERVERS[name])]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        found[name] = idle_s(port)
    finally:
        os.killpg(server.pid, signal.SIGKILL)


threads = [threading.Thread(target=measure, args=(name,)) for name in SERVERS]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for name, seconds in sorted(found.items()):
    print(f"{name}: closed after {seconds:.1f} s")
assert found.keys() == EXPECTED_S.keys()
assert all(abs(found[name] - seconds) < 1 + seconds * 0.05 for name, seconds in EXPECTED_S.items()), found
PYTHON
cd "$work"
"$work/venv/bin/python" idle.py
echo "as described: gunicorn's default decides, not uvicorn's"
