"""An independent client of vuemantics, written from its contract with httpx alone."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from PIL import Image

from tests.support.server import ServerProcess
from tests.support.waiting import eventually

PASSWORD = "Secret-123"
Part = tuple[str, bytes, str]


def picture(red: int = 200, size: tuple[int, int] = (40, 30)) -> bytes:
    """Return a small PNG."""
    made = io.BytesIO()
    Image.new("RGB", size, (red, 30, 30)).save(made, "PNG")
    return made.getvalue()


def pictures(number: int) -> list[Part]:
    """Return that many parts, each another file."""
    return [(f"{index}.png", picture(index % 256), "image/png") for index in range(number)]


class VuemanticsClient:
    """One user with an account and an access token."""

    def __init__(self, server: ServerProcess, prefix: str = "/vuemantics") -> None:
        self.server = server
        self.prefix = prefix
        self.http = httpx.Client(base_url=server.url + prefix, timeout=30)
        self.email = f"{uuid4().hex[:12]}@example.org"
        told = {"email": self.email, "password": PASSWORD}
        self.user: dict[str, Any] = self.http.post("/v1/auth/register", json=told).json()
        self.tokens: dict[str, str] = self.login().json()
        self.http.headers["Authorization"] = f"Bearer {self.tokens['access_token']}"

    def login(self, password: str = PASSWORD) -> httpx.Response:
        """Ask for tokens."""
        return self.http.post("/v1/auth/token", data={"username": self.email.upper(), "password": password})

    def bulk(self, parts: Sequence[Part]) -> httpx.Response:
        """Send files in one POST."""
        return self.http.post("/v1/uploads/bulk", files=[("files", part) for part in parts])

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Read a batch."""
        found: dict[str, Any] = self.http.get(f"/v1/uploads/batches/{batch_id}").json()
        return found

    def cancel(self, batch_id: str) -> httpx.Response:
        """Cancel a batch."""
        return self.http.post(f"/v1/uploads/batches/{batch_id}/cancel")

    def over(self, batch_id: str) -> dict[str, Any]:
        """Wait until a batch is over and return it."""
        return eventually(lambda: self.batch(batch_id), lambda batch: bool(batch["is_complete"]), 20)

    def batches(self) -> list[dict[str, Any]]:
        """List the newest batches."""
        found: list[dict[str, Any]] = self.http.get("/v1/uploads/batches").json()
        return found

    def uploads(self, **query: Any) -> dict[str, Any]:
        """List files."""
        found: dict[str, Any] = self.http.get("/v1/uploads", params=query).json()
        return found

    def upload(self, upload_id: str) -> dict[str, Any]:
        """Read a file."""
        found: dict[str, Any] = self.http.get(f"/v1/uploads/{upload_id}").json()
        return found

    @property
    def socket_url(self) -> str:
        """Where progress is told."""
        return f"ws://{urlsplit(self.server.url).netloc}{self.prefix}/ws/uploads"

    @property
    def login_frame(self) -> str:
        """The first frame of a socket."""
        return json.dumps({"type": "auth", "token": self.tokens["access_token"]})

    def __enter__(self) -> VuemanticsClient:
        return self

    def __exit__(self, *_error: object) -> None:
        self.http.close()


class SlowBulk:
    """A bulk POST whose body goes on only when told to; a context manager that ends it."""

    BOUNDARY = "slowboundary"

    def __init__(self, client: VuemanticsClient) -> None:
        self._client = client
        self._chunks: list[bytes | None] = []
        self._more = threading.Condition()
        self._thread = ThreadPoolExecutor(1)
        self.answer: Future[httpx.Response]

    def head(self, name: str) -> None:
        """Begin a part."""
        self.send(
            f'\r\n--{self.BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
            "Content-Type: image/png\r\n\r\n".encode()
        )

    def file(self, name: str, content: bytes) -> None:
        """Send a whole part; the server knows that it is over only when more comes."""
        self.head(name)
        self.send(content)

    def gap(self) -> None:
        """Send the boundary that ends the last part, and not yet the next part's headers."""
        self.send(f"\r\n--{self.BOUNDARY}\r\n".encode())

    def send(self, content: bytes) -> None:
        """Let these bytes go."""
        self._put(content)

    def end(self) -> httpx.Response:
        """Send the last boundary and wait for the answer."""
        self.send(f"\r\n--{self.BOUNDARY}--\r\n".encode())
        self._put(None)
        return self.answer.result(20)

    def cut(self) -> None:
        """Go away in the middle."""
        self._put(b"cut")
        self._put(None)
        assert isinstance(self.answer.exception(20), BrokenPipeError)

    def _put(self, content: bytes | None) -> None:
        with self._more:
            self._chunks.append(content)
            self._more.notify()

    def _body(self) -> Iterator[bytes]:
        while True:
            with self._more:
                self._more.wait_for(lambda: bool(self._chunks), timeout=30)
                content = self._chunks.pop(0)
            if content is None:
                return
            if content == b"cut":
                raise BrokenPipeError
            yield content

    def __enter__(self) -> SlowBulk:
        headers = {"Content-Type": f"multipart/form-data; boundary={self.BOUNDARY}"}
        self.answer = self._thread.submit(
            self._client.http.post, "/v1/uploads/bulk", content=self._body(), headers=headers
        )
        return self

    def __exit__(self, *_error: object) -> None:
        self._put(None)
        self._thread.shutdown()
