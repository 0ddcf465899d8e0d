"""The request around everything: any ASGI application that uvicorn has loaded."""

from __future__ import annotations

from typing import Any

from brokenpipe_witness import arrivals, event_loop
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
        event_loop.watch()
        arrivals.count(request_id, scope)
        scene = Scene(request_id)
        receiving, sending = _listening(scene, receive, send)
        token = SCENE.set(scene)
        LIVE[id(scene)] = scene
        try:
            await app(scope, receiving, sending)
        except BaseException as error:
            _over(scene, error)
            raise
        else:
            _over(scene, None)
        finally:
            del LIVE[id(scene)]
            SCENE.reset(token)

    return witnessed


def _listening(scene: Scene, receive: Method, send: Method) -> tuple[Method, Method]:
    """The request's own two ways to its client, which take down what goes over them."""

    async def receiving() -> Any:
        message = await receive()
        if message["type"] == "http.disconnect" and not scene.complete and scene.left_ns is None:
            scene.left_ns = now()
        return message

    async def sending(message: Any) -> None:
        kind = message["type"]
        # The first start counts: one after it, of an error handler that comes too late, is refused by the server.
        if kind == "http.response.start" and scene.status is None:
            scene.status = message["status"]
            scene.answer_ns = now()
        elif kind == "http.response.body" and not message.get("more_body"):
            scene.complete = True
        await send(message)

    return receiving, sending


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
    if scene.status is not None and 300 <= scene.status < 400:
        arrivals.forget(scene.id)
    scene.write(raised)
