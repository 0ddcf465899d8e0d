"""Each request is sent once: what the client library would send again by itself is a failure, as for HttpUser.

Below Locust's `max_retries`, geventhttpclient sends an idempotent request again when its kept connection was closed
before an answer: the service works twice, and Locust counts one success. Kept connections that are closed already are
found before they are used, by both libraries; what is left are ends in the course of a request, which are failures.
"""

from __future__ import annotations

from geventhttpclient.client import HTTPClient
from locust.contrib.fasthttp import FastHttpSession

_Key = tuple[str, int | None]


class _SendingOnce(dict[_Key, HTTPClient]):
    """The clients of a pool, by address; each is told as it comes in."""

    def __setitem__(self, key: _Key, client: HTTPClient) -> None:
        connections = getattr(client, "_connection_pool", None)
        if connections is not None:
            connections.size = -1  # read for one thing only: it sends a request size + 1 times more
        super().__setitem__(key, client)


def send_once(session: FastHttpSession) -> None:
    """Have this session, and whoever shares its pool of clients, send no request twice."""
    pool = session.client.clientpool
    if isinstance(pool.clients, _SendingOnce):
        return
    known, pool.clients = pool.clients, _SendingOnce()
    for key, client in known.items():
        pool.clients[key] = client
