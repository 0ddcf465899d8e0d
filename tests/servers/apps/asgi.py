"""A plain ASGI service, whose pool is async; under trio, which the drivers do not know, it works in threads."""

import anyio.to_thread
import sniffio
import work


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()  # until the client hangs up
        return
    if scope["path"] != "/up":
        await do(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


async def do(path):
    if sniffio.current_async_library() == "trio":
        await anyio.to_thread.run_sync(work.THREADED[path])
    else:
        await work.ASYNC[path]()
