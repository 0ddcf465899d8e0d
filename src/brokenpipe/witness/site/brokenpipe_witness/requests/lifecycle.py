"""The beginning and the end of a request, of any interface."""

from __future__ import annotations

from brokenpipe_witness import planes
from brokenpipe_witness.request_context import RequestContext
from brokenpipe_witness.requests import repeats
from brokenpipe_witness.safe_call import never_raises
from brokenpipe_witness.slow_operations import ACTIVE_REQUESTS


def begin(request_id: str, method: str, path: str, library: str) -> RequestContext:
    """The context of a request that `library` serves."""
    planes.record(planes.REQUESTS, library)
    repeats.record(request_id, method, path)
    request = RequestContext(request_id)
    ACTIVE_REQUESTS[id(request)] = request
    return request


@never_raises
def finish(request: RequestContext, raised: BaseException | None) -> None:
    """Write the request, which is over. `raised`: the exception that left the application."""
    ACTIVE_REQUESTS.pop(id(request), None)
    if request.status is not None and 300 <= request.status < 400:
        repeats.forget(request.id)
    request.write(raised)
