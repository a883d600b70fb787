"""An independent client of the Cell Segmentation Hub: httpx, a bare socket, and the client of python-socketio."""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx
import socketio
from PIL import Image

from tests.support.server import ServerProcess
from tests.support.waiting import eventually

PREFIX = "/cell-segmentation-hub"
PASSWORD = "long enough"  # of a test


@cache
def png(width: int = 8, height: int = 6, *, noisy: bool = False) -> bytes:
    """Return a grey picture; a noisy one of 4000 × 4000 keeps the queue busy for seconds."""
    content = io.BytesIO()
    pixels = random.Random(1).randbytes(width * height) if noisy else bytes(width * height)
    Image.frombytes("L", (width, height), pixels).save(content, "PNG", compress_level=1)
    return content.getvalue()


@cache
def noise(size_bytes: int = 19_000_000) -> bytes:
    """Return bytes that an export has to work on for half a second."""
    return random.Random(2).randbytes(size_bytes)


@contextmanager
def login(server: ServerProcess, prefix: str = PREFIX) -> Iterator[httpx.Client]:
    """A client with a new account of its own."""
    with httpx.Client(base_url=server.url + prefix, timeout=30) as client:
        account = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD}
        assert client.post("/api/auth/register", json=account).status_code == 201
        client.headers["x-test-email"] = account["email"]
        yield client


@contextmanager
def same_user(client: httpx.Client, server: ServerProcess, prefix: str = PREFIX) -> Iterator[httpx.Client]:
    """The same user at another server on the same DATA."""
    with httpx.Client(base_url=server.url + prefix, timeout=30) as other:
        other.cookies.set("access_token", client.cookies["access_token"])
        yield other


def project(client: httpx.Client) -> str:
    """Make a project."""
    return str(client.post("/api/projects", json={"title": "Buňky"}).json()["data"]["id"])


def share(owner: httpx.Client, guest: httpx.Client, project_id: str) -> None:
    """Let another user into a project."""
    told = {"email": guest.headers["x-test-email"]}
    assert owner.post(f"/api/projects/{project_id}/share/email", json=told).status_code == 201


def send(client: httpx.Client, project_id: str, *names: str, content: bytes | None = None) -> httpx.Response:
    """Upload images that all have the same content."""
    body = png() if content is None else content
    return client.post(
        f"/api/projects/{project_id}/images", files=[("images", (name, body, "image/png")) for name in names]
    )


def image(client: httpx.Client, project_id: str, name: str = "a.png", content: bytes | None = None) -> str:
    """Upload one image and return its id."""
    return str(send(client, project_id, name, content=content).json()["data"]["images"][0]["id"])


def names_of(client: httpx.Client, project_id: str) -> list[str]:
    """Return the names of a project's images."""
    listed = client.get(f"/api/projects/{project_id}/images", params={"sortOrder": "asc"}).json()
    return [one["name"] for one in listed["data"]["images"]]


def until(check: Callable[[], Any]) -> Any:
    """Wait until something is so."""
    return eventually(check, bool, 20)


def on_disk(server: ServerProcess) -> list[str]:
    """Return the names of all files that uploads and exports have made."""
    places = (server.partials_dir, server.files_dir, server.data_dir / "parts")
    return sorted(one.name for place in places for one in place.rglob("*") if one.is_file())


def rows(server: ServerProcess, query: str) -> list[Any]:
    """Ask the database behind the server's back."""
    with closing(sqlite3.connect(server.database_path, timeout=10)) as database:
        found = database.execute(query).fetchall()
        database.commit()
    return found


class Sender:
    """A request of one whole image and a half one, which stays open."""

    def __init__(
        self,
        server: ServerProcess,
        client: httpx.Client,
        project_id: str,
        upload_id: str,
        prefix: str = PREFIX,
        *,
        video: bool = False,
    ) -> None:
        host, port = server.url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        head = 'Content-Disposition: form-data; name="{}"; filename="{}"\r\nContent-Type: {}\r\n\r\n'
        whole = b"--x\r\n" + head.format("images", "a.png", "image/png").encode() + png() + b"\r\n--x\r\n"
        half = head.format("images", "b.png", "image/png").encode() + b"0" * 600_000
        if video:
            whole = b"--x\r\n"
            half = head.format("video", "b.mp4", "video/mp4").encode() + b"0" * 600_000
        self._socket.sendall(
            f"POST {prefix}/api/projects/{project_id}/{'videos' if video else 'images'} HTTP/1.1\r\n"
            f"Host: x\r\nX-Upload-Id: {upload_id}\r\n"
            f"Cookie: access_token={client.cookies['access_token']}\r\nContent-Length: 5000000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode()
            + whole
            + half
        )
        until(lambda: any(one.stat().st_size > len(png()) for one in server.partials_dir.iterdir()))

    def answer(self) -> bytes:
        """Return what the server says; empty if it has hung up."""
        return self._socket.recv(65536)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.close()


def freeze(server: ServerProcess) -> None:
    """Stop a server as it stands, but not while it holds the database's lock: others could do nothing then."""
    end = time.monotonic() + 20
    while True:
        os.kill(server.pid, signal.SIGSTOP)
        with (
            closing(sqlite3.connect(server.database_path, timeout=0.05, isolation_level=None)) as database,
            suppress(sqlite3.OperationalError),
        ):
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
            return
        os.kill(server.pid, signal.SIGCONT)
        assert time.monotonic() < end, "the server never let go of the database"


class Listener:
    """A client of python-socketio that remembers what it hears."""

    def __init__(
        self, server: ServerProcess, client: httpx.Client, transport: str, prefix: str = PREFIX
    ) -> None:
        self._client = socketio.AsyncClient(reconnection=False)
        self._url, self._transport = server.url, transport
        self._path = f"{prefix}/socket.io".strip("/")
        self._cookie = {"Cookie": f"access_token={client.cookies['access_token']}"}
        self.heard: list[tuple[str, Any]] = []
        self._client.on("*", lambda name, payload: self.heard.append((name, payload)))

    async def __aenter__(self) -> Self:
        await self._client.connect(
            self._url, headers=self._cookie, socketio_path=self._path, transports=[self._transport]
        )
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        if self.transport == "websocket":
            await self._client.disconnect()
            return
        # A long poll is answered at the next ping, half a minute later: hang up instead.
        wire = self._client.eio
        for task in (wire.read_loop_task, wire.write_loop_task):
            task.cancel()
        await asyncio.gather(wire.read_loop_task, wire.write_loop_task, return_exceptions=True)
        await wire.http.close()

    @property
    def transport(self) -> str:
        """How it is connected."""
        return str(self._client.transport())

    async def say(self, name: str, payload: object) -> None:
        """Send an event."""
        await self._client.emit(name, payload)

    def of(self, name: str) -> list[Any]:
        """Return the payloads of an event that were heard."""
        return [payload for heard, payload in self.heard if heard == name]

    @property
    def names(self) -> list[str]:
        """Return the names of what was heard."""
        return [name for name, _ in self.heard]

    async def hears(self, name: str, is_it: Callable[[Any], bool] = lambda _payload: True) -> Any:
        """Wait for an event and return its payload."""

        def found() -> list[Any]:
            return [payload for payload in self.of(name) if is_it(payload)]

        return (await asyncio.to_thread(eventually, found, bool, 20))[0]
