"""Requests that hang: the operation that they wait for, written before it ends.

Without this a request that never ends would have no line, nor would one that hangs when the service is killed.
"""

from __future__ import annotations

from typing import Any

from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.safe_call import never_raises

AFTER_NS = 500_000_000  # shorter than usual timeouts, longer than a statement should take

ACTIVE_REQUESTS: dict[int, Any] = {}  # the context of each request that is being served, by its id()


@never_raises
def report_slow() -> None:
    """Write a line for each operation that lasts too long, once."""
    t = now()
    for request in list(ACTIVE_REQUESTS.values()):
        operation = request.waiting_for()
        if (
            operation is not None
            and operation["since"] != request.last_stall
            and t - (operation["since"] or t) > AFTER_NS
        ):
            request.last_stall = operation["since"]
            write({"k": "stall", "t": t, "id": request.id, **operation})
