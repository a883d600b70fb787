"""A server of the IETF's draft "Resumable Uploads for HTTP" (interop version 8), interim answers 104 included.

POST ──► 104 Location … 201 Upload-Complete: ?0 ──► PATCH, as many as max-append-size asks for ──► 200 Upload-Complete: ?1
HEAD ──► 204 Upload-Offset        a cut PATCH keeps what arrived        DELETE ──► 204

Raw sockets: the servers of Python have no way to send an interim answer. Source: draft-ietf-httpbis-resumable-upload-08.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.support.loopback import Loopback, Seen, seen

VERSION = "8"
_PARTIAL = "application/partial-upload"
_PROBLEMS = "https://iana.org/assignments/http-problem-types#"
_REASONS = {104: "Upload Resumption Supported", 200: "OK", 201: "Created", 204: "No Content"}


@dataclass
class Upload:
    """What one POST began."""

    name: str
    length: int | None
    content: bytearray = field(default_factory=bytearray)
    is_complete: bool = False
    is_busy: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """One final answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class FakeDraft(Loopback):
    """``async with FakeDraft() as fake``; talk to ``fake.url``. Limits are in bytes, None: it names none."""

    def __init__(self, max_size: int | None = None, max_append_size: int | None = None) -> None:
        super().__init__()
        self.token = "a token of the draft's"
        self.seen: list[Seen] = []
        self.uploads: dict[str, Upload] = {}
        self.largest_append = 0
        self._limits = {"max-size": max_size, "max-append-size": max_append_size}
        self._refusals = 0

    @property
    def url(self) -> str:
        """Where uploads are created."""
        return f"{super().url}/uploads"

    # Faults by name

    def forgets_uploads(self) -> None:
        """What was begun has expired."""
        self.uploads.clear()

    def disputes_offsets(self, times: int = 1) -> None:
        """The next appends are refused, whatever offset they name (409, mismatching-upload-offset)."""
        self._refusals = times

    # What every fake has

    def stored(self) -> list[tuple[str, str]]:
        """Return the name and the SHA-256 of every whole file."""
        whole = [upload for upload in self.uploads.values() if upload.is_complete]
        return [(upload.name, hashlib.sha256(upload.content).hexdigest()) for upload in whole]

    async def restart(self) -> None:
        """Cut everything and listen again; what arrived is kept."""
        await self.stop()
        await self.listen()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer request after request."""
        while True:
            request = seen(await reader.readuntil(b"\r\n\r\n"))
            self.seen.append(request)
            _write(writer, await self._answer(request, reader, writer))
            await writer.drain()
            if request.headers.get("connection", "").lower() == "close":
                return

    # The protocol

    async def _answer(
        self, request: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Reply:
        if request.method == "OPTIONS" and request.path == "/uploads":
            return Reply(204, {"Accept-Patch": _PARTIAL, **self._limit()})
        if request.headers.get("authorization") != f"Bearer {self.token}":
            await reader.readexactly(request.length_bytes)
            return Reply(401)
        if request.method == "POST" and request.path == "/uploads":
            return await self._create(request, reader, writer)
        upload = self.uploads.get(request.path)
        if upload is None:
            await reader.readexactly(request.length_bytes)
            return Reply(404)
        match request.method:
            case "HEAD":
                return Reply(204, {**self._standing(upload), **self._limit(), "Cache-Control": "no-store"})
            case "PATCH":
                return await self._append(request, upload, reader, writer)
            case "DELETE":
                del self.uploads[request.path]
                return Reply(204)
            case _:
                return Reply(405)

    async def _create(
        self, request: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Reply:
        length = request.headers.get("upload-length")
        largest = self._limits["max-size"]
        if largest is not None and length is not None and int(length) > largest:
            await reader.readexactly(request.length_bytes)
            return Reply(413, self._limit())
        found = re.search(r"filename\*=UTF-8''(\S+)", request.headers.get("content-disposition", ""))
        upload = Upload(unquote(found[1]) if found else "", None if length is None else int(length))
        path = f"/uploads/{secrets.token_hex(8)}"
        self.uploads[path] = upload
        _interim(writer, {"Location": path})
        await self._take(request, upload, reader, writer)
        status = 200 if upload.is_complete else 201
        return Reply(status, {"Location": path, **self._standing(upload), **self._limit()})

    async def _append(
        self, request: Seen, upload: Upload, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Reply:
        refusal = self._refusal(request, upload)
        if refusal is not None:
            await reader.readexactly(request.length_bytes)
            return refusal
        await self._take(request, upload, reader, writer)
        return Reply(200 if upload.is_complete else 204, self._standing(upload))

    def _refusal(self, request: Seen, upload: Upload) -> Reply | None:
        if request.headers.get("content-type") != _PARTIAL:
            return Reply(415)
        if "upload-offset" not in request.headers or "upload-complete" not in request.headers:
            return Reply(400)
        if upload.is_complete:
            return _problem(400, "completed-upload")
        offset, stands_at = int(request.headers["upload-offset"]), len(upload.content)
        if offset != stands_at or self._refusals:
            self._refusals = max(0, self._refusals - 1)
            told = {"expected-offset": stands_at, "provided-offset": offset}
            return _problem(409, "mismatching-upload-offset", told, self._standing(upload))
        largest = self._limits["max-append-size"]
        if largest is not None and request.length_bytes > largest:
            return Reply(413, self._limit())
        return None

    async def _take(
        self, request: Seen, upload: Upload, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Read the body, and keep what arrives of it; tell how far it is by interim answers."""
        left = request.length_bytes
        self.largest_append = max(self.largest_append, left)
        while left:
            block = await reader.read(min(left, 65536))
            if not block:
                raise ConnectionError
            left -= len(block)
            upload.content += block
            _interim(writer, {"Upload-Offset": str(len(upload.content))})
        if request.headers.get("upload-complete") == "?1":
            upload.is_complete = upload.length in (None, len(upload.content))

    def _standing(self, upload: Upload) -> dict[str, str]:
        length = {} if upload.length is None else {"Upload-Length": str(upload.length)}
        complete = "?1" if upload.is_complete else "?0"
        return {"Upload-Offset": str(len(upload.content)), "Upload-Complete": complete, **length}

    def _limit(self) -> dict[str, str]:
        named = [f"{name}={value}" for name, value in self._limits.items() if value is not None]
        return {"Upload-Limit": ", ".join(named or ["min-size=0"])}


def _interim(writer: asyncio.StreamWriter, headers: Mapping[str, str]) -> None:
    lines = [
        f"{name}: {value}" for name, value in {"Upload-Draft-Interop-Version": VERSION, **headers}.items()
    ]
    writer.write("\r\n".join((f"HTTP/1.1 104 {_REASONS[104]}", *lines, "", "")).encode())


def _problem(
    status: int,
    kind: str,
    told: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    body = json.dumps({"type": f"{_PROBLEMS}{kind}", "title": kind.replace("-", " "), **(told or {})})
    return Reply(status, {"Content-Type": "application/problem+json", **(headers or {})}, body.encode())


def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
    length = {} if reply.status == 204 else {"Content-Length": str(len(reply.body))}
    lines = [f"{name}: {value}" for name, value in {**reply.headers, **length}.items()]
    head = f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Refused')}"
    writer.write("\r\n".join((head, *lines, "", "")).encode() + reply.body)
