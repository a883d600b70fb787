"""A tiny HTTP server that plays faults by name, and hands everything else on to a real server.

client ── request ──► FakeServer ── no fault planned ──► the real server
            ▲                │
            └── the fault ◄──┘   Each request has a connection of its own to the real server.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import urlsplit

from tests.support.loopback import Loopback, Seen, seen


class Body(Enum):
    """When the request's body is read: before the answer, after it (a server that refuses by the headers and is
    polite), or never (an impolite one, which resets the connection)."""

    FIRST = auto()
    AFTERWARDS = auto()
    NEVER = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do instead of a proper answer.

    ``answer``: raw bytes to send. ``forward``: let the real server have the request, and lose its answer.
    ``hang``: keep the connection open after that, else close it.
    """

    answer: bytes = b""
    forward: bool = False
    body: Body = Body.FIRST
    hang: bool = False


def reply(status: str, body: str = "", *headers: str, content_type: str = "application/json") -> bytes:
    """Return the bytes of an HTTP answer that closes the connection."""
    content = body.encode()
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(content)}",
        *headers,
    )
    return "\r\n".join((*lines, "Connection: close", "", "")).encode() + content


_TOO_LARGE = reply("413 Content Too Large", "", "Tus-Max-Size: 1000")
_PAGE = "<!DOCTYPE html><html><h1>nginx</h1></html>"

FAULTS: Mapping[str, Fault] = {
    "hangs_up": Fault(),
    "lost_answer": Fault(forward=True),
    "silent": Fault(hang=True),
    "silent_after_it": Fault(forward=True, hang=True),
    "cut_answer": Fault(b"HTTP/1.1 204 No Content\r\nUpload-Off"),
    "tls_alert": Fault(b"\x15\x03\x01\x00\x02\x02\x46"),  # http:// to a port that speaks https
    "rate_limited": Fault(reply("429 Too Many Requests", '{"detail": "Slow down."}', "Retry-After: 7")),
    "maintenance": Fault(reply("503 Service Unavailable", "", "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT")),
    "server_error": Fault(reply("500 Internal Server Error", '{"detail": "Oh no."}')),
    "bad_gateway": Fault(reply("502 Bad Gateway", _PAGE, content_type="text/html")),
    "portal": Fault(reply("200 OK", _PAGE, content_type="text/html")),
    "page_not_found": Fault(reply("404 Not Found", _PAGE, content_type="text/html")),
    "moved": Fault(reply("301 Moved Permanently", "", "Location: http://127.0.0.1:9/elsewhere")),
    "too_large_at_once": Fault(_TOO_LARGE, body=Body.AFTERWARDS),
    "too_large_and_closed": Fault(_TOO_LARGE, body=Body.NEVER),
    "locked": Fault(reply("423 Locked", '{"detail": "Locked.", "code": "locked"}', "Retry-After: 1")),
    "wrong_offset": Fault(reply("409 Conflict", '{"detail": "Elsewhere.", "code": "offset_conflict"}')),
    "disk_full": Fault(reply("507 Insufficient Storage", '{"detail": "Full.", "code": "disk_full"}')),
    "forbidden": Fault(reply("403 Forbidden", '{"detail": "Not you."}')),
    "no_offset": Fault(reply("204 No Content", "", "Tus-Resumable: 1.0.0")),
    "other_hash": Fault(
        reply("201 Created", "", "Location: /files/x", "Upload-Offset: 10", f"Upload-SHA256: {'0' * 64}")
    ),
    "other_host": Fault(reply("201 Created", "", "Location: http://evil.example/files/x")),
}


class FakeServer(Loopback):
    """``async with FakeServer(real_url) as fake: fake.plan("PATCH", "bad_gateway")``; talk to ``fake.url``.

    It lets no WebSocket through, as some proxies do.
    """

    def __init__(self, upstream_url: str) -> None:
        super().__init__()
        parts = urlsplit(upstream_url)
        self._upstream = (parts.hostname, parts.port)
        self._plans: dict[str, deque[Fault]] = {}
        self.seen: list[Seen] = []

    def plan(self, method: str, *names: str) -> None:
        """Play these faults for the next requests of *method*, one each; "" lets one through."""
        self._plans.setdefault(method, deque()).extend(FAULTS[name] if name else _THROUGH for name in names)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        request = seen(head)
        self.seen.append(request)
        is_upgrade = "upgrade" in request.headers
        plans = None if is_upgrade else self._plans.get(request.method)
        fault = plans.popleft() if plans else _THROUGH
        length = request.length_bytes
        if is_upgrade:
            writer.write(reply("400 Bad Request"))
        elif fault is _THROUGH or fault.forward:
            answer = await self._ask_upstream(head, reader, length)
            writer.write(b"" if fault.forward else answer)
        else:
            if fault.body is Body.FIRST:
                await reader.readexactly(length)
            writer.write(fault.answer)
            if fault.body is Body.AFTERWARDS:
                await reader.readexactly(length)
        await writer.drain()
        if fault.hang:
            await asyncio.Event().wait()

    async def _ask_upstream(self, head: bytes, reader: asyncio.StreamReader, length: int) -> bytes:
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        try:
            up_writer.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            while length and (block := await reader.read(min(length, 65536))):
                length -= len(block)
                up_writer.write(block)
                await up_writer.drain()
            return await up_reader.read()
        finally:
            up_writer.close()


_THROUGH = Fault(b"through")
