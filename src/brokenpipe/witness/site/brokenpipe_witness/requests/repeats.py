"""Requests that arrive more than once: a client library has sent them again, and its user counts one.

The same id on the same path by the same method is the same request. A redirect is followed under the same id, and is no
repeat; so a request that was answered by a redirect is forgotten. Only the last requests of this process are compared.
"""

from __future__ import annotations

from brokenpipe_witness.ndjson_file import now, write
from brokenpipe_witness.safe_call import never_raises

KEPT = 4096  # at least: a repeat comes within the client's timeout; so many requests take longer

# Method and path by id, of the youngest requests and of those before them: two plain dictionaries that take turns
# cost a request less than one that forgets its oldest at each.
_young: dict[str, tuple[str, str]] = {}
_old: dict[str, tuple[str, str]] = {}


@never_raises
def record(request_id: str, method: str, path: str) -> None:
    """Write a record if this request has arrived before."""
    global _young, _old
    method_and_path = method, path
    if (_young.get(request_id) or _old.get(request_id)) == method_and_path:
        write({"k": "repeat", "t": now(), "id": request_id})
    _young[request_id] = method_and_path
    if len(_young) >= KEPT:
        _young, _old = {}, _young


@never_raises
def forget(request_id: str) -> None:
    """Forget a request that was redirected: the client will send it again."""
    _young.pop(request_id, None)
    _old.pop(request_id, None)
