"""multipart/form-data as it arrives: each part is a body of its own that streams; nothing is gathered, nothing spooled."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from app.server.body import RequestBody
from app.server.problems import Problem

MOST_HEADER_BYTES = 16 * 1024
_EXTENDED_NAME = re.compile(r"filename\*\s*=\s*([\w.-]+)'[^']*'([^;\s]+)", re.IGNORECASE)

_HEADERS, _DATA, _END = "headers", "data", "end"


class Part:
    """One part: its headers, and a body that is read at most once."""

    def __init__(self, source: _Source, headers: dict[str, str]) -> None:
        self._source = source
        self._is_over = False
        disposition = headers.get("content-disposition", "")
        self.name = _text(_option(disposition, b"name") or b"")
        self.filename = _filename(disposition)
        self.content_type = headers.get("content-type", "")

    async def read(self) -> bytes | None:
        """Return the next bytes, or None after the last; raises :class:`DisconnectedError`, `Problem("invalid_multipart")`."""
        if self._is_over:
            return None
        kind, value = await self._source.next()
        if kind == _END:
            self._is_over = True
            return None
        assert isinstance(value, bytes)
        return value

    async def text(self, limit_bytes: int = 65_536) -> str:
        """Return a small field as text; raises `Problem("invalid_multipart")` if it is larger."""
        content = bytearray()
        while (chunk := await self.read()) is not None:
            content += chunk
            if len(content) > limit_bytes:
                raise Problem("invalid_multipart", f"The field {self.name} is too long.")
        return _text(bytes(content))


class _Source:
    """The parser, fed as far as somebody reads. What one chunk of the request holds is all that waits here."""

    def __init__(self, body: RequestBody, boundary: bytes) -> None:
        self._body = body
        self._found: deque[tuple[str, bytes | dict[str, str]]] = deque()
        self._headers: dict[str, str] = {}
        self._field = self._value = b""
        self._header_bytes = 0
        self._is_complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": lambda: self._found.append((_HEADERS, self._headers)),
                "on_part_data": lambda data, start, end: self._found.append((_DATA, data[start:end])),
                "on_part_end": lambda: self._found.append((_END, b"")),
                "on_end": self._complete,
            },
            max_header_count=32,
            max_header_size=MOST_HEADER_BYTES,
        )

    async def next(self) -> tuple[str, bytes | dict[str, str]]:
        """Return what comes next; raises `Problem("invalid_multipart")` where the body breaks off."""
        found = await self.next_or_none()
        if found is None:
            raise Problem("invalid_multipart", "The multipart body breaks off.")
        return found

    async def next_or_none(self) -> tuple[str, bytes | dict[str, str]] | None:
        """Return what comes next, or None after the last boundary."""
        while not self._found:
            chunk = await self._body.read()
            if chunk is None:
                if self._is_complete:
                    return None
                raise Problem("invalid_multipart", "The multipart body breaks off.")
            if self._is_complete:
                continue  # an epilogue means nothing
            try:
                self._parser.write(chunk)
            except MultipartParseError as error:
                raise Problem("invalid_multipart", f"The multipart body is malformed: {error}.") from None
        return self._found.popleft()

    def _begin(self) -> None:
        self._headers = {}
        self._header_bytes = 0

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._count(end - start)

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count(end - start)

    def _count(self, size_bytes: int) -> None:
        self._header_bytes += size_bytes
        if self._header_bytes > MOST_HEADER_BYTES:
            raise MultipartParseError("the headers of a part are too long")

    def _on_header_end(self) -> None:
        self._headers[self._field.decode("latin-1").casefold()] = self._value.decode("latin-1")
        self._field = self._value = b""

    def _complete(self) -> None:
        self._is_complete = True


async def parts(request: Request, *, most_parts: int = 1000) -> AsyncIterator[Part]:
    """Yield the parts of a request in their order; what is not read of one is skipped.

    Raises `Problem` invalid_multipart and too_many_parts, and :class:`DisconnectedError`.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise Problem("invalid_multipart", "The body must be multipart/form-data.")
    if not options.get(b"boundary"):
        raise Problem("invalid_multipart", "Missing boundary in multipart.")
    source = _Source(RequestBody(request.receive, request.headers), options[b"boundary"])
    number = 0
    while (found := await source.next_or_none()) is not None:
        headers = found[1]
        assert isinstance(headers, dict)
        number += 1
        if number > most_parts:
            raise Problem("too_many_parts", f"Too many files. Maximum number of files is {most_parts}.")
        part = Part(source, headers)
        yield part
        while await part.read() is not None:
            pass


def _option(disposition: str, key: bytes) -> bytes | None:
    return parse_options_header(disposition)[1].get(key)


def _filename(disposition: str) -> str | None:
    """Return the name as it was meant: `filename*` (RFC 5987) before `filename`, whose bytes are UTF-8 nowadays."""
    if (extended := _EXTENDED_NAME.search(disposition)) is not None:
        try:
            return unquote_to_bytes(extended[2]).decode(extended[1])
        except (LookupError, UnicodeDecodeError):
            raise Problem("invalid_multipart", "A filename* is malformed.") from None
    plain = _option(disposition, b"filename")
    return None if plain is None else _text(plain)


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")
