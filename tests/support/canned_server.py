"""A server of a few canned answers, with or without TLS: for questions that real servers elsewhere would answer so."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.loopback import Loopback, Seen, seen


@dataclass(frozen=True)
class Canned:
    """One answer. ``silence``: it never comes."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    silence: bool = False


@dataclass(frozen=True, slots=True)
class Asked(Seen):
    """One request as it came."""

    body: bytes


def page(body: str = "<h1>Hello</h1>", status: int = 200) -> Canned:
    """An answer for people."""
    return Canned(status, body, {"Content-Type": "text/html; charset=utf-8"})


def json_answer(body: str, status: int = 200) -> Canned:
    """An answer for programs."""
    return Canned(status, body, {"Content-Type": "application/json"})


class CannedServer(Loopback):
    """``async with CannedServer({("GET", "/"): page()})``; what is not in the table gets *otherwise*."""

    def __init__(
        self,
        answers: Mapping[tuple[str, str], Canned],
        *,
        otherwise: Canned | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(tls=tls)
        self.answers = dict(answers)
        self.otherwise = otherwise or page("<h1>Not Found</h1>", 404)
        self.asked: list[Asked] = []

    def answer(self, asked: Asked) -> Canned:
        """Return the answer; a server that thinks overrides it."""
        return self.answers.get((asked.method, asked.path), self.otherwise)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer request after request."""
        while True:
            await self._answer_one(reader, writer)

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = seen(await reader.readuntil(b"\r\n\r\n"))
        body = await reader.readexactly(head.length_bytes)
        self.asked.append(Asked(head.method, head.path, head.headers, body))
        answer = self.answer(self.asked[-1])
        if answer.silence:
            await asyncio.Event().wait()
        content = b"" if head.method == "HEAD" or answer.status == 204 else answer.body.encode()
        lines = [f"HTTP/1.1 {answer.status} Canned", *(f"{k}: {v}" for k, v in answer.headers.items())]
        if answer.status != 204:
            lines.append(f"Content-Length: {len(content)}")
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + content)
        await writer.drain()
