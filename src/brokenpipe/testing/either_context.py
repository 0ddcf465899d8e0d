"""A context manager that `with` and `async with` both take."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class EitherContext(Generic[T]):
    """A context manager that blocks under `with`, and works in a thread under `async with` (asyncio and trio).

    `entered`: whether it ever was.
    """

    def __init__(self, context: AbstractContextManager[T]) -> None:
        self._context = context
        self.entered = False

    def __enter__(self) -> T:
        self.entered = True
        return self._context.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._context.__exit__(kind, error, trace)

    async def __aenter__(self) -> T:
        return await _in_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await _in_thread(partial(self.__exit__, kind, error, trace))


async def _in_thread(call: Callable[[], T]) -> T:
    """The result of a call that blocks. A scope that was cancelled does not keep it from being made."""
    import anyio.to_thread

    results: list[T] = []
    with anyio.CancelScope(shield=True):
        results.append(await anyio.to_thread.run_sync(call))
    return results[0]
