"""The request around everything: any ASGI application that uvicorn has loaded."""

from __future__ import annotations

from typing import Any

from brokenpipe_witness.quiet import quietly
from brokenpipe_witness.scene import SCENE, Scene
from brokenpipe_witness.stalls import LIVE
from brokenpipe_witness.tape import now
from brokenpipe_witness.wrap import Method, wrap

_REQUEST_ID = b"x-request-id"


def watch() -> None:
    """Put the witness around whatever application uvicorn loads, outside of all middleware."""
    from uvicorn.config import Config

    wrap(Config, "load", _then_surround)


def _then_surround(real: Method) -> Method:
    def load(config: Any, *args: Any, **kwargs: Any) -> Any:
        result = real(config, *args, **kwargs)
        _surround(config)
        return result

    return load


@quietly
def _surround(config: Any) -> None:
    config.loaded_app = _witnessed(config.loaded_app)


def _witnessed(app: Method) -> Method:
    async def witnessed(scope: Any, receive: Any, send: Any) -> None:
        request_id = _request_id(scope)
        if request_id is None:
            await app(scope, receive, send)
            return
        scene = Scene(request_id)

        async def sending(message: Any) -> None:
            # The first start counts: one after it, of an error handler that comes too late, is refused by the server.
            if message["type"] == "http.response.start" and scene.status is None:
                scene.status = message["status"]
                scene.answer_ns = now()
            await send(message)

        token = SCENE.set(scene)
        LIVE[id(scene)] = scene
        try:
            await app(scope, receive, sending)
        except BaseException as error:
            _over(scene, error)
            raise
        else:
            _over(scene, None)
        finally:
            del LIVE[id(scene)]
            SCENE.reset(token)

    return witnessed


@quietly
def _request_id(scope: Any) -> str | None:
    """The id of a request that is to be recorded."""
    if scope["type"] == "http":
        for name, value in scope["headers"]:
            if name == _REQUEST_ID:
                return value.decode("latin-1")
    return None


@quietly
def _over(scene: Scene, raised: BaseException | None) -> None:
    scene.write(raised)
