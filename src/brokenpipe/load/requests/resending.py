"""A client that sends each request once: one that geventhttpclient would send again has failed, as for HttpUser.

Below Locust's `max_retries`, geventhttpclient sends an idempotent request again when its kept connection was closed
before an answer: the service works twice, and Locust counts one success. Kept connections that are closed already are
found before they are used, by both libraries; what is left are ends in the course of a request, which are failures.
"""

from __future__ import annotations

from geventhttpclient.client import HTTPClient
from locust.contrib.fasthttp import FastHttpSession

_Key = tuple[str, int | None]


class _SingleSendClients(dict[_Key, HTTPClient]):
    """The clients of a pool, by address. Each is set to send once when it is added."""

    def __setitem__(self, key: _Key, client: HTTPClient) -> None:
        connections = getattr(client, "_connection_pool", None)
        if connections is not None:
            connections.size = -1  # read for one thing only: it sends a request size + 1 times more
        super().__setitem__(key, client)


def send_once(session: FastHttpSession) -> None:
    """Stop this session, and all that share its pool of clients, from sending a request twice."""
    pool = session.client.clientpool
    if isinstance(pool.clients, _SingleSendClients):
        return
    known, pool.clients = pool.clients, _SingleSendClients()
    for key, client in known.items():
        pool.clients[key] = client
