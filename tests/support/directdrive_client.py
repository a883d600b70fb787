"""A client of DirectDrive's API as its documents describe it: httpx and websockets, nothing of ours."""

from __future__ import annotations

import asyncio
import base64
import json
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.server import ServerProcess

PREFIX = "/directdrive"
FRAME_BYTES = 4 * 1024 * 1024


class DirectDrive:
    """One user of a server, or nobody; an async context manager."""

    def __init__(self, server: ServerProcess, token: str | None = None, *, prefix: str = PREFIX) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.http = httpx.AsyncClient(base_url=server.url + prefix, headers=headers, timeout=30)
        self.socket_base = server.url.replace("http", "ws", 1) + prefix + "/ws_api"
        self.headers = headers

    @classmethod
    async def registered(cls, server: ServerProcess) -> Self:
        """A new user, logged in."""
        email, password = f"{uuid4().hex}@example.org", "correct horse"
        async with cls(server) as nobody:
            made = await nobody.http.post(
                "/api/v1/auth/register", json={"email": email, "password": password}
            )
            assert made.status_code == 200, made.text
            answer = await nobody.http.post(
                "/api/v1/auth/token", data={"username": email, "password": password}
            )
        return cls(server, answer.json()["access_token"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def initiate(self, filename: str, size: int, content_type: str = "text/plain") -> dict[str, Any]:
        """Announce one file."""
        body = {"filename": filename, "size": size, "content_type": content_type}
        answer = await self.http.post("/api/v1/upload/initiate", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def initiate_batch(self, *named: tuple[str, int]) -> dict[str, Any]:
        """Announce files that belong together."""
        body = {"files": [{"filename": name, "size": size, "content_type": ""} for name, size in named]}
        answer = await self.http.post("/api/v1/batch/initiate", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def connect(
        self, file: dict[str, Any], sink: str = "upload_parallel", *, with_token: bool = True
    ) -> connect:
        """Open the socket of an announced file."""
        return connect(self.socket_url(file, sink), additional_headers=self.headers if with_token else {})

    def socket_url(self, file: dict[str, Any], sink: str = "upload_parallel") -> str:
        """The address of the socket of an announced file."""
        url = quote(file["gdrive_upload_url"], safe="")
        return f"{self.socket_base}/{sink}/{file['file_id']}?gdrive_url={url}"

    async def send(
        self, file: dict[str, Any], content: bytes, sink: str = "upload_parallel"
    ) -> list[dict[str, Any]]:
        """Send a whole file as binary frames and return every frame of the answer."""
        async with self.connect(file, sink) as socket:
            for start in range(0, len(content), FRAME_BYTES):
                await socket.send(content[start : start + FRAME_BYTES])
            return await frames_of(socket)

    async def file(self, file: dict[str, Any]) -> dict[str, Any]:
        """Ask for a file."""
        answer = await self.http.get(f"/api/v1/files/{file['file_id']}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def ending(self, file: dict[str, Any]) -> dict[str, Any]:
        """Ask for a file until it is over: no answer says what comes of a socket that was closed."""
        async with asyncio.timeout(10):
            while True:
                shown = await self.file(file)
                if shown["status"] not in {"pending", "uploading"}:
                    return shown
                await asyncio.sleep(0.02)

    async def files_of(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask for the files of a batch."""
        answer = await self.http.get(f"/api/v1/batch/{batch['batch_id']}")
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    async def cancel(self, file: dict[str, Any]) -> httpx.Response:
        """Cancel a file."""
        return await self.http.post(f"/api/v1/upload/cancel/{file['file_id']}")

    async def cancel_batch(self, batch: dict[str, Any]) -> httpx.Response:
        """Cancel a batch."""
        return await self.http.post(f"/api/v1/batch/cancel/{batch['batch_id']}")


async def frames_of(socket: ClientConnection) -> list[dict[str, Any]]:
    """Every frame until the server closes."""
    found = []
    try:
        while True:
            found.append(json.loads(await socket.recv()))
    except ConnectionClosed:
        return found


def text_frame(content: bytes) -> str:
    """A frame as the web page sends it."""
    return json.dumps({"bytes": base64.b64encode(content).decode()})
