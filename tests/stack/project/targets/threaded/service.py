"""Another service that somebody else wrote: the standard library's threads, psycopg, and a list for a pool.

Every request for /work goes into the file named by LEDGER: its id, and whether it failed.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg

idle: list = []
lock = threading.Lock()
counts = {"asked": 0, "failed": 0}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/work":
            self.work()
        else:
            self.answer(200, json.dumps(counts))

    def work(self):
        connection = idle.pop() if idle else connect()
        try:
            (said,) = connection.execute("SELECT 'done' FROM pg_sleep(0.005)").fetchone()
        except psycopg.Error as error:
            self.note("failed")
            self.answer(500, str(error))
        else:
            idle.append(connection)
            self.note("fine")
            self.answer(200, said)

    def note(self, outcome):
        with lock, Path(os.environ["LEDGER"]).open("a") as ledger:
            counts["asked"] += 1
            counts["failed"] += outcome == "failed"
            ledger.write(f"{self.headers.get('X-Request-ID', '?')} {outcome}\n")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def connect():
    return psycopg.connect(os.environ["PG"], autocommit=True)


if __name__ == "__main__":
    print(f"runs on {sys.executable}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
