"""Requests that arrive more than once: a client's library has sent them again, and its user counts one.

The same id on the same path by the same method is the same request. A redirect is followed under the same id, and is no
repetition; so what was answered by one is forgotten. Looked for among the last arrivals of this process only.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from brokenpipe_witness.quiet import quietly
from brokenpipe_witness.tape import now, write

KEPT = 4096  # a repetition comes within the patience of a client; so many requests take longer

_last: OrderedDict[str, tuple[str, str]] = OrderedDict()


@quietly
def count(request_id: str, scope: Any) -> None:
    """Write down a request that has arrived before."""
    what = scope["method"], scope["path"]
    if _last.get(request_id) == what:
        write({"k": "repeat", "t": now(), "id": request_id})
    _last[request_id] = what
    if len(_last) > KEPT:
        _last.popitem(last=False)


@quietly
def forget(request_id: str) -> None:
    """Let the same request come again: it was told to go elsewhere."""
    _last.pop(request_id, None)
