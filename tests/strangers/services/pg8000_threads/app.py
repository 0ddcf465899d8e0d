"""A server of its own in threads, neither ASGI nor WSGI, on pg8000 behind SQLAlchemy's pool."""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sqlalchemy import create_engine, text

URL = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+pg8000://")
engine = create_engine(URL, pool_size=4, max_overflow=0, pool_pre_ping=bool(os.environ.get("PRE_PING")))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status = 200
        try:
            if self.path != "/up":
                work()
        except Exception:  # noqa: BLE001 (a server answers, whatever happens)
            status = 500
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def work():
    with engine.begin() as connection:
        connection.execute(text("select 1"))


if __name__ == "__main__":
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
