"""The place in a server where it keeps its application, and the wrapping of what is there."""

from __future__ import annotations

from typing import Any, Callable

from brokenpipe_witness.patching import Method, wrap
from brokenpipe_witness.safe_call import never_raises

Instrumented = Callable[
    [Method, str], Method
]  # of asgi or wsgi: the application, and the library that serves it


def wrap_application(
    owner: type,
    method: str,
    attribute: str,
    instrumented: Instrumented,
    library: str | Callable[[Any], str | None],
) -> None:
    """After each `owner.method`, replace the application in `attribute`.

    `library` may depend on the instance; None: its application is of another interface.
    """

    @never_raises
    def replace(server: Any) -> None:
        name = library if isinstance(library, str) else library(server)
        if name is not None:
            setattr(server, attribute, instrumented(getattr(server, attribute), name))

    def around(real: Method) -> Method:
        def with_application(server: Any, *args: Any, **kwargs: Any) -> Any:
            result = real(server, *args, **kwargs)
            replace(server)
            return result

        return with_application

    wrap(owner, method, around)
