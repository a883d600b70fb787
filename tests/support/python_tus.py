"""tuspyserver, an independent tus server for FastAPI, in the test's own loop."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fastapi import FastAPI, HTTPException, Request
from tuspyserver import create_tus_router

from tests.support.uvicorn_here import UvicornHere


class _Gentle(UvicornHere):
    async def hang_up(self) -> None:
        """Cut all connections, and wait until the application is through with them."""
        assert self._server is not None
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        await asyncio.gather(*self._server.server_state.tasks, return_exceptions=True)


def _let_in(token: str) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {token}":
            raise HTTPException(401, "Who are you?")

    return check


class PythonTus:
    """``async with PythonTus(folder) as running: running.url``. It wants ``filetype`` in the metadata, and a slash."""

    def __init__(self, directory: Path, max_size: int = 2**40) -> None:
        self._directory = directory
        self.token = "a token of tuspyserver's"
        app = FastAPI()
        auth: Any = _let_in(self.token)  # a dependency of FastAPI, which its type does not say
        router = create_tus_router("files", str(directory), max_size=max_size, auth=auth)
        app.include_router(router)
        self._server = _Gentle(app)

    @property
    def url(self) -> str:
        """Where uploads are created."""
        return f"{self._server.url}/files/"

    def stored(self) -> list[tuple[str, str]]:
        """Return the name and the SHA-256 of every whole file."""
        found = []
        for path in self._directory.glob("*.info"):
            told, content = json.loads(path.read_bytes()), path.with_suffix("")
            if content.exists() and content.stat().st_size == told["size"]:
                found.append((told["metadata"]["filename"], hashlib.sha256(content.read_bytes()).hexdigest()))
        return found

    async def restart(self) -> None:
        """Stop and start; all connections are cut before.

        It must notice that: what ends it in the middle of a PATCH leaves a file whose bytes it has and has not counted,
        and appends to that later. No client can see it.
        """
        await self._server.hang_up()
        await self._server.stop()
        await self._server.start()

    async def __aenter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        await self._server.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._server.stop()
