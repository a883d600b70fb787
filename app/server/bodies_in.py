"""Where the bytes of a file can come from, beside an HTTP body: memory, an iterator, files on the disk."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from io import FileIO
from pathlib import Path

from app.server.appending import BLOCK_BYTES, Body
from app.server.core import Core


class BytesBody:
    """Some bytes, at once."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def read(self) -> bytes | None:
        """Return all of it, then None."""
        content, self._content = self._content, b""
        return content or None


class IterBody:
    """The chunks of an async iterator; empty ones are skipped."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = aiter(chunks)

    async def read(self) -> bytes | None:
        """Return the next chunk, or None after the last; raises what the iterator raises."""
        async for chunk in self._chunks:
            if chunk:
                return chunk
        return None


class ChainBody:
    """What was read of a body already, and then its rest."""

    def __init__(self, chunks: Sequence[bytes], rest: Body) -> None:
        self._chunks = list(chunks)
        self._rest = rest

    async def read(self) -> bytes | None:
        """Return the next chunk, or None after the last."""
        return self._chunks.pop(0) if self._chunks else await self._rest.read()


class PathsBody:
    """Files on the disk, one after another; read in a thread, a block at a time."""

    def __init__(self, core: Core, paths: Sequence[Path]) -> None:
        self._core = core
        self._paths = list(paths)
        self._open: FileIO | None = None

    async def read(self) -> bytes | None:
        """Return the next block, or None after the last; raises OSError."""
        return await self._core.on_disk(self._read)

    def _read(self) -> bytes | None:
        while self._open is not None or self._paths:
            if self._open is None:
                self._open = self._paths.pop(0).open("rb", buffering=0)
            if block := self._open.read(BLOCK_BYTES):
                return block
            self.close()
        return None

    def close(self) -> None:
        """Close what is open: needed after a body that was not read to its end."""
        if self._open is not None:
            self._open.close()
            self._open = None
