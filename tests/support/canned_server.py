"""A server of a few canned answers, with or without TLS: for questions that real servers elsewhere would answer so."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Canned:
    """One answer. ``silence``: it never comes."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    silence: bool = False


@dataclass(frozen=True)
class Asked:
    """One request as it came; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def page(body: str = "<h1>Hello</h1>", status: int = 200) -> Canned:
    """An answer for people."""
    return Canned(status, body, {"Content-Type": "text/html; charset=utf-8"})


def json_answer(body: str, status: int = 200) -> Canned:
    """An answer for programs."""
    return Canned(status, body, {"Content-Type": "application/json"})


class CannedServer:
    """``async with CannedServer({("GET", "/"): page()})``; what is not in the table gets *otherwise*.

    ``connections`` are open now, ``most_connections`` were at once.
    """

    def __init__(
        self,
        answers: Mapping[tuple[str, str], Canned],
        *,
        otherwise: Canned | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answers = dict(answers)
        self.otherwise = otherwise or page("<h1>Not Found</h1>", 404)
        self.asked: list[Asked] = []
        self.connections = 0
        self.most_connections = 0
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """Its address on this computer."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def answer(self, asked: Asked) -> Canned:
        """Return the answer; a server that thinks overrides it."""
        return self.answers.get((asked.method, asked.target), self.otherwise)

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)
        try:
            while await self._answer_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self._tasks.discard(task)
            self.connections -= 1
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.asked.append(Asked(method, target, headers, body))
        answer = self.answer(self.asked[-1])
        if answer.silence:
            await asyncio.Event().wait()
        content = b"" if method == "HEAD" or answer.status == 204 else answer.body.encode()
        lines = [f"HTTP/1.1 {answer.status} Canned", *(f"{k}: {v}" for k, v in answer.headers.items())]
        if answer.status != 204:
            lines.append(f"Content-Length: {len(content)}")
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + content)
        await writer.drain()
        return True
