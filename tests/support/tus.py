"""A plain tus client for tests of the server: every header is the test's own choice, nothing is retried or hidden."""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from tests.support.server import ServerProcess

OFFSET_STREAM = "application/offset+octet-stream"


def metadata(**values: str) -> str:
    """Write Upload-Metadata."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


def checksum(content: bytes, algorithm: str = "sha256") -> str:
    """Write Upload-Checksum."""
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


class TusClient:
    """One HTTP client of one server; close it, or use it as a context manager."""

    def __init__(self, server: ServerProcess) -> None:
        # verify=False: there is no TLS here, and loading the certificates takes 30 ms a client
        self.http = httpx.Client(base_url=server.url, headers=server.headers, timeout=30, verify=False)
        self.server = server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.http.close()

    def batch(self, name: str = "Photos") -> str:
        """Make a batch and return its id."""
        return str(
            self.http.post("/api/v1/batches", json={"name": name}).raise_for_status().json()["batch_id"]
        )

    def batch_body(self, batch_id: str) -> dict[str, Any]:
        """Return a batch as the server shows it."""
        body: dict[str, Any] = self.http.get(f"/api/v1/batches/{batch_id}").raise_for_status().json()
        return body

    def file_body(self, location: str) -> dict[str, Any]:
        """Return a file as the server shows it."""
        body: dict[str, Any] = self.http.get(f"/api/v1{location}").raise_for_status().json()
        return body

    def create(
        self,
        size_bytes: int,
        content: bytes | None = None,
        *,
        headers: dict[str, str] | None = None,
        **told: str,
    ) -> httpx.Response:
        """POST /files; *told* goes into Upload-Metadata."""
        all_headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(size_bytes),
            "Upload-Metadata": metadata(**{"filename": "file.bin"} | told),
        }
        if content is not None:
            all_headers["Content-Type"] = OFFSET_STREAM
        return self.http.post("/files", content=content, headers=all_headers | (headers or {}))

    def created(self, size_bytes: int, content: bytes | None = None, **told: str) -> str:
        """Create and return the Location."""
        answer = self.create(size_bytes, content, headers=None, **told)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    def patch(
        self,
        location: str,
        offset: int,
        content: bytes | Iterable[bytes],
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """PATCH a file."""
        return self.http.patch(
            location,
            content=content,
            headers={"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset), "Content-Type": OFFSET_STREAM}
            | (headers or {}),
        )

    def head(self, location: str) -> httpx.Response:
        """HEAD a file."""
        return self.http.head(location, headers={"Tus-Resumable": "1.0.0"})

    def offset(self, location: str) -> int:
        """Return how many bytes the server has."""
        return int(self.head(location).raise_for_status().headers["Upload-Offset"])

    def delete(self, location: str) -> httpx.Response:
        """DELETE a file the way tus does."""
        return self.http.delete(location, headers={"Tus-Resumable": "1.0.0"})

    def cancel_file(self, location: str) -> httpx.Response:
        """Cancel a file."""
        return self.http.post(f"/api/v1/upload/cancel/{file_id(location)}")

    def cancel_batch(self, batch_id: str) -> httpx.Response:
        """Cancel a batch."""
        return self.http.post(f"/api/v1/batch/cancel/{batch_id}")

    def files(self, batch_id: str, **query: str | int) -> dict[str, Any]:
        """List files of a batch."""
        body: dict[str, Any] = (
            self.http.get(f"/api/v1/batches/{batch_id}/files", params=dict(query)).raise_for_status().json()
        )
        return body


def file_id(location: str) -> str:
    """The last segment of a Location."""
    return location.rpartition("/")[2]


class OpenPatch:
    """A PATCH (or POST) on a connection of its own that stays open in the middle of its body."""

    def __init__(
        self,
        server: ServerProcess,
        location: str,
        offset: int,
        length: int,
        *,
        method: str = "PATCH",
        **headers: str,
    ) -> None:
        address = urlsplit(server.url)
        self._socket = socket.create_connection((address.hostname or "", address.port or 0), timeout=20)
        lines = {
            "Host": address.netloc,
            **server.headers,
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": str(offset),
            "Content-Type": OFFSET_STREAM,
            "Content-Length": str(length),
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._socket.sendall(f"{method} {location} HTTP/1.1\r\n{head}\r\n".encode())

    def send(self, content: bytes) -> None:
        """Send some more of the body."""
        self._socket.sendall(content)

    def answer(self) -> tuple[int, dict[str, str]]:
        """Wait for the answer: its status and its headers, in lower case."""
        received = b""
        while b"\r\n\r\n" not in received:
            more = self._socket.recv(65536)
            assert more, f"the connection was closed after {received!r}"
            received += more
        first, *rest = received.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
        return int(first.split()[1]), headers

    def is_closed_by_server(self) -> bool:
        """Wait until the server closes the connection."""
        try:
            while self._socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    def cut(self) -> None:
        """Close the connection in the middle of the body."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.cut()


def in_blocks(content: bytes, block_bytes: int = 65536) -> Iterator[bytes]:
    """Cut *content* so that httpx sends it chunked, without a Content-Length."""
    for start in range(0, len(content), block_bytes):
        yield content[start : start + block_bytes]
