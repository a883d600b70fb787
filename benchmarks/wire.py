"""The one HTTP client of the server benchmarks: plain sockets, bodies from memory, the same for every server."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from typing import TypeVar
from urllib.parse import urlsplit

BLOCK_BYTES = 1024 * 1024
TIMEOUT_S = 600.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    content: bytes


class Wire:
    """One connection that is kept; *headers* go with every request."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_S)
        self._headers = headers

    def send(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] = b"",
        *,
        size_bytes: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, read its answer whole; anything but success ends the program. *size_bytes* is the body's length."""
        length = len(body) if isinstance(body, bytes) else size_bytes
        told = {**self._headers, **(headers or {}), "Content-Length": str(length)}
        self._connection.request(method, path, body, told)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path} was answered with {answer.status}: {content[:500]!r}")
        return Answer(answer.status, answer.headers, content)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def side_by_side(
    url: str, headers: Mapping[str, str], things: Sequence[T], at_once: int, act: Callable[[Wire, T], object]
) -> None:
    """Do *act* for each of *things* on *at_once* connections; each takes the next thing when it has done one."""
    waiting = iter(things)  # shared by the threads

    def work(_number: int) -> None:
        with closing(Wire(url, headers)) as wire:
            for thing in waiting:
                act(wire, thing)

    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(work, range(at_once)))


def blocks_of(block: bytes, size_bytes: int) -> Iterator[bytes]:
    """Give *block* again and again until *size_bytes* are reached."""
    whole, rest = divmod(size_bytes, len(block))
    for _ in range(whole):
        yield block
    if rest:
        yield block[:rest]
