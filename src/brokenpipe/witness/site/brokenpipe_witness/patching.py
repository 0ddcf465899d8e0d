"""Wrapping a library's function, where the library has no event for it."""

from __future__ import annotations

import functools
from typing import Any, Callable

from brokenpipe_witness.safe_call import record_error

Method = Callable[..., Any]
Begin = Callable[
    [Any, Any], Any
]  # the object and the arguments after it; what it returns goes to the other two
End = Callable[[Any, Any], None]  # with the result, or with the exception

_CO_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect at the start of a service


def wrap(owner: Any, name: str, around: Callable[[Method], Method]) -> None:
    """Replace a function of a class or module by `around(function)`, which must call through with its own arguments.

    The signature stays: frameworks read it. A class method stays one.
    """
    real = getattr(owner, name, None)
    if real is None:
        record_error(f"{_full_name(owner)} has no {name}: this version is not known")
        return
    if isinstance(vars(owner).get(name), classmethod):
        setattr(owner, name, classmethod(functools.wraps(real.__func__)(around(real.__func__))))
    else:
        setattr(owner, name, functools.wraps(real)(around(real)))


def _full_name(owner: Any) -> str:
    return f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else str(owner.__name__)


def observe(owner: Any, name: str, begin: Begin, done: End | None = None, failed: End | None = None) -> None:
    """Call `begin` before `owner.name`, and `done` or `failed` after it, with what `begin` returned.

    If that is None, nothing is called afterwards. A coroutine function stays one, of the same frames for both kinds.
    """

    def around(real: Method) -> Method:
        return (
            _observed_coroutine(real, begin, done, failed)
            if _is_coroutine_function(real)
            else _observed(real, begin, done, failed)
        )

    wrap(owner, name, around)


def _observed(real: Method, begin: Begin, done: End | None, failed: End | None) -> Method:
    def method(subject: Any, *args: Any, **kwargs: Any) -> Any:
        state = begin(subject, args)
        if state is None:
            return real(subject, *args, **kwargs)
        try:
            result = real(subject, *args, **kwargs)
        except BaseException as error:
            if failed is not None:
                failed(state, error)
            raise
        if done is not None:
            done(state, result)
        return result

    return method


def _observed_coroutine(real: Method, begin: Begin, done: End | None, failed: End | None) -> Method:
    async def method(subject: Any, *args: Any, **kwargs: Any) -> Any:
        state = begin(subject, args)
        if state is None:
            return await real(subject, *args, **kwargs)
        try:
            result = await real(subject, *args, **kwargs)
        except BaseException as error:
            if failed is not None:
                failed(state, error)
            raise
        if done is not None:
            done(state, result)
        return result

    return method


def _is_coroutine_function(function: Method) -> bool:
    code = getattr(function, "__code__", None)
    return bool(getattr(code, "co_flags", 0) & _CO_COROUTINE)
