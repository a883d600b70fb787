"""A multipart/form-data body that streams: part by part, each file from its feed, its length known before.

Sources: RFC 7578 (the form), RFC 8187 (``filename*``), and the HTML standard (how a name is written in ``filename``).
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.base import Feed
from app.remote.blocks import Blocks

_LINE = b"\r\n"
_ESCAPED = {code: f"%{code:02X}" for code in (*range(0x20), 0x22, 0x7F)}


@dataclass(frozen=True, slots=True)
class TextPart:
    """A field of the form."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of the form, of exactly ``size_bytes``; its feed is read once, from the start to its proved end.

    ``extended``: the name goes as ``filename*=UTF-8''…``, with a plain one in ASCII beside it, for servers that take
    the plain one for Latin-1. Otherwise it goes as UTF-8, as browsers send it.
    """

    name: str
    filename: str
    content_type: str
    size_bytes: int
    feed: Feed
    extended: bool = False


Part = TextPart | FilePart


class Multipart:
    """The body of one request: an asynchronous iterator over its bytes, to be used once (Http.stream_body).

    ``size_bytes`` is the Content-Length. Progress goes to each file's own feed, when its bytes are on their way; nothing
    is told as accepted. ``sent_files`` counts the files that are out; ``broken`` is the index in *parts* of one that could
    not be read to its end: the iterator has raised its TransferError then, and the body cannot be finished.
    """

    def __init__(self, parts: Sequence[Part], boundary: str | None = None) -> None:
        boundary = boundary or f"uphaul-{secrets.token_hex(16)}"
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.sent_files = 0
        self.broken: int | None = None
        self._parts = parts
        self._heads = [(_LINE if index else b"") + _head(part, boundary) for index, part in enumerate(parts)]
        self._tail = (_LINE if parts else b"") + f"--{boundary}--\r\n".encode()
        content_bytes = sum(part.size_bytes for part in parts if isinstance(part, FilePart))
        self.size_bytes = sum(map(len, self._heads)) + content_bytes + len(self._tail)
        self._next = 0
        self._file: _FileBody | None = None
        self._is_over = False

    @property
    def is_out(self) -> bool:
        """Whether everything has been handed over: from here on nobody knows whether it arrived, until there is an answer."""
        return self._is_over

    def __aiter__(self) -> "Multipart":
        return self

    async def __anext__(self) -> bytes:
        if self._file is not None:
            piece = await self._of_file(self._file)
            if piece:
                return piece
            self._file = None
            self.sent_files += 1
        if self._next < len(self._parts):
            return await self._begin()
        if self._is_over:
            raise StopAsyncIteration
        self._is_over = True
        return self._tail

    async def _begin(self) -> bytes:
        """Return the head of the next part, and with it what is at hand of its file: one write for a small one."""
        part, head = self._parts[self._next], self._heads[self._next]
        self._next += 1
        if isinstance(part, TextPart):
            return head
        self._file = _FileBody(part)
        return head + await self._of_file(self._file)

    async def _of_file(self, file: "_FileBody") -> bytes:
        try:
            return await file.piece()
        except TransferError:
            self.broken = self._next - 1
            raise


class _FileBody:
    def __init__(self, part: FilePart) -> None:
        self._part = part
        self._body: AsyncIterator[bytes] = Blocks(part.feed, 0).body(part.size_bytes)
        self._left_bytes = part.size_bytes
        self._is_empty = not part.size_bytes

    async def piece(self) -> bytes:
        """Return the next piece, ``b""`` after the last. Raises TransferError for what is wrong with the file."""
        if self._is_empty:
            self._is_empty = False
            await self._part.feed.block()  # an empty file has an end, too, that must be proved
        piece = await anext(self._body, b"")
        self._left_bytes -= len(piece)
        if not piece and self._left_bytes:
            raise TransferError(Failure(FailureKind.FILE_CHANGED, "it became shorter while it was sent"))
        return piece


def _head(part: Part, boundary: str) -> bytes:
    lines = [
        f"--{boundary}",
        f'Content-Disposition: form-data; name="{part.name.translate(_ESCAPED)}"',
    ]
    if isinstance(part, TextPart):
        return _lines(lines) + part.value.encode()
    lines[1] += _filename(part)
    lines.append(f"Content-Type: {part.content_type}")
    return _lines(lines)


def _lines(lines: Sequence[str]) -> bytes:
    return "\r\n".join((*lines, "", "")).encode()


def _filename(part: FilePart) -> str:
    if not part.extended:
        return f'; filename="{part.filename.translate(_ESCAPED)}"'
    plain = "".join(letter if _is_plain(letter) else "_" for letter in part.filename)
    return f"; filename=\"{plain}\"; filename*=UTF-8''{quote(part.filename, safe='')}"


def _is_plain(letter: str) -> bool:
    return letter.isascii() and letter.isprintable() and letter not in '"\\%'
