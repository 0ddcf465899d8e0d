#!/usr/bin/env bash
# Locust: FastHttpUser sends a GET a second time by itself when a kept connection was closed, and counts one success.
#
#   versions   locust 2.47.0, geventhttpclient 2.6.1
#   input      a service that keeps connections and closes each third one unanswered, as any server may do with a connection
#              that has been idle; one user, GETs in a row; the same with HttpUser
#   guess      requests that the service received = requests that Locust counted
#   seen       FastHttpUser: the service receives more GETs than Locust counts, and Locust counts no failure. HttpUser:
#              as many as it counts, and each closed one is a failure
#   so         a load test with FastHttpUser hides this failure, and whatever a GET does is done twice; the option that
#              Locust documents for retries, max_retries, is 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check locust==2.47.0 geventhttpclient==2.6.1

cat > "$work/service.py" << 'PYTHON'
import socket
import sys
import threading

received = 0
lock = threading.Lock()


def serve(client: socket.socket) -> None:
    """Answer two requests of a connection, close it unanswered at the third."""
    global received
    with client, client.makefile("rb") as lines:
        for n in range(3):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = lines.readline()
                if not line:
                    return
                head += line
            if head.startswith(b"GET /count "):
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d" % (len(str(received)), received))
                return
            with lock:
                received += 1
            if n < 2:
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PYTHON
cat > "$work/users.py" << 'PYTHON'
import os

from locust import FastHttpUser, HttpUser, constant, task


class User(FastHttpUser if os.environ["CLIENT"] == "fast" else HttpUser):
    wait_time = constant(0.02)

    @task
    def get(self) -> None:
        self.client.get("/")
PYTHON
cat > "$work/count.py" << 'PYTHON'
import json
import os
import subprocess
import sys
import urllib.request

for client in ("fast", "plain"):
    service = subprocess.Popen([sys.executable, "service.py"], stdout=subprocess.PIPE, text=True)
    host = f"http://127.0.0.1:{int(service.stdout.readline())}"
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "users.py", "--headless", "-u", "1", "-t", "4s", "--host", host, "--json"]
        + ["--stop-timeout", "2", "--loglevel", "CRITICAL"],
        env=os.environ | {"CLIENT": client}, capture_output=True, text=True,
    )
    (row,) = json.loads(done.stdout)
    received = int(urllib.request.urlopen(host + "/count").read())
    service.kill()
    counted, failed = row["num_requests"], row["num_failures"]
    print(f"{client}: counted {counted}, failed {failed}, received {received}")
    if client == "fast":
        assert failed == 0 and received > 1.2 * counted
    else:
        assert received == counted and failed > 0.2 * counted
PYTHON
cd "$work"
"$work/venv/bin/python" count.py
echo "as described: FastHttpUser sends a GET again without counting it"
