"""The constructor of an engine, read from its pool."""

from __future__ import annotations

import weakref
from typing import Any

from brokenpipe_witness.pools import settings
from brokenpipe_witness.safe_call import never_raises

_seen: weakref.WeakSet[Any] = weakref.WeakSet()


@never_raises
def record(pool: Any) -> None:
    """Write how the engine of this pool was made; once, when it connects: its constructor is over by then."""
    if pool is None or pool in _seen:
        return
    _seen.add(pool)
    asynchronous = getattr(getattr(pool, "_dialect", None), "is_async", False)
    made_by = "create_async_engine" if asynchronous else "create_engine"
    settings.record("sqlalchemy", made_by, {**_sizes(pool), **_tests(pool)})


def _sizes(pool: Any) -> dict[str, Any]:
    if not hasattr(pool, "_max_overflow"):
        return {"poolclass": type(pool).__name__}
    return {"pool_size": pool.size(), "max_overflow": pool._max_overflow, "pool_timeout": pool._timeout}


def _tests(pool: Any) -> dict[str, Any]:
    """What is looked at before a connection is handed out, and which one is taken."""
    lifo = getattr(getattr(pool, "_pool", None), "use_lifo", False)
    said = {"pool_pre_ping": bool(pool._pre_ping), "pool_recycle": pool._recycle}
    return {**said, "pool_use_lifo": True} if lifo else said
