"""A uvicorn in the test's own loop: real sockets, up in milliseconds, and nothing in the log."""

import asyncio
import socket
from types import TracebackType
from typing import Any, Self

import uvicorn


class UvicornHere:
    """``async with UvicornHere(app) as it: it.url``. A restart keeps the port; open connections are cut at the end.

    *tells_time*: its answers have a Date of this machine; without, the application gives one of its own.
    """

    def __init__(self, app: Any, *, tells_time: bool = True) -> None:
        self._app = app
        self._tells_time = tells_time
        self._port = 0
        self._server: uvicorn.Server | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen."""
        # With the protocol named, asyncio switches Nagle's algorithm off: 40 ms a request otherwise.
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self._port))
        self._port = sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        # An unhandled exception is what a test wants to see the answer of: it belongs in no log here.
        config = uvicorn.Config(
            self._app,
            log_config=None,
            log_level="critical",
            lifespan="off",
            ws="websockets-sansio",
            date_header=self._tells_time,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[sock])

    async def stop(self) -> None:
        """Close everything, WebSockets with 1012, as a server that is stopped does."""
        server, self._server = self._server, None
        if server is not None:
            for listener in server.servers:
                listener.close()
            for connection in list(server.server_state.connections):
                connection.shutdown()
            await asyncio.sleep(0)
            for connection in list(server.server_state.connections):
                connection.transport.close()
            tasks = list(server.server_state.tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.stop()
