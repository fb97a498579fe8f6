"""Requests of clients that hung up are cancelled, which KServe does of gRPC alone: an editor closes its connection when a newer key
supersedes what it asked, and a crowd's abandoned requests would fill the passes of those who still wait."""
import asyncio


class CancelsWhoHungUp:
    """ASGI middleware. The handler sees a `CancelledError` where it waits, unless its answer has begun."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        messages, begun = asyncio.Queue(), False

        async def sends(message):
            nonlocal begun
            begun = True
            await send(message)

        async def listens():
            while True:
                message = await receive()
                messages.put_nowait(message)
                if message["type"] == "http.disconnect":
                    if not begun:
                        handler.cancel()
                    return

        handler = asyncio.ensure_future(self.app(scope, messages.get, sends))
        listener = asyncio.ensure_future(listens())
        try:
            await handler
        except asyncio.CancelledError:
            if not listener.done():  # it is the server that ends
                raise
        finally:
            listener.cancel()
