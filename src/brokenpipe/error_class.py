"""Error classes: what can go wrong with a database connection, as its client sees it."""

from __future__ import annotations

from enum import StrEnum


class ErrorClass(StrEnum):
    """Kinds of failure, as a service sees them. The list is closed: docs/error-classes.md explains each."""

    RESET = "connection reset"
    BROKEN_PIPE = "broken pipe"
    EOF = "unexpected end of connection"
    SERVER_SHUTDOWN = "ended by the server's administrator"
    SERVER_CRASH = "ended by a server crash"
    IDLE_SESSION = "idle-session timeout"
    IDLE_IN_TRANSACTION = "idle-in-transaction timeout"
    NOT_ACCEPTING = "server not yet accepting connections"
    REFUSED = "connection refused"
    CONNECT_TIMEOUT = "connect timeout"
    DNS = "name not resolved"
    TLS = "TLS failure"
    AUTHENTICATION = "authentication failed"
    TOO_MANY_CONNECTIONS = "too many connections"
    POOL_EXHAUSTED = "pool exhausted"
    NO_CONNECTION = "no connection from the pool"
    DEAD_CONNECTIONS = "dead connections in the pool"
    STATEMENT_CANCELLED = "statement cancelled"
    CLIENT_TIMEOUT = "client-side timeout"
    PROTOCOL_STATE = "protocol state"
    ABORTED_TRANSACTION = "aborted transaction"
    READ_ONLY = "read-only"
    POOLER = "pooler's error"
    WRONG_RESULT = "wrong result"
    APPLICATION = "application error"
    TIMEOUT = "no answer in time"
    TRANSPORT = "transport between load and target"
    UNEXPLAINED = "failed without testimony"

    @property
    def is_disconnect(self) -> bool:
        """Whether the peer or the network ended an established connection.

        A pooler's error is no disconnect: the connection to the pooler was in order.
        """
        return self in DISCONNECTS


DISCONNECTS = frozenset(
    {
        ErrorClass.RESET,
        ErrorClass.BROKEN_PIPE,
        ErrorClass.EOF,
        ErrorClass.SERVER_SHUTDOWN,
        ErrorClass.SERVER_CRASH,
        ErrorClass.IDLE_SESSION,
        ErrorClass.IDLE_IN_TRANSACTION,
    }
)

HANG_CLASSES = frozenset({ErrorClass.TIMEOUT, ErrorClass.CLIENT_TIMEOUT, ErrorClass.CONNECT_TIMEOUT})
"""How a request fails that got no answer in time."""
