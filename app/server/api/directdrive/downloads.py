"""Downloads: a stored file with ranges, and a batch as a ZIP that is made while it is sent."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from app.server import files
from app.server.api.directdrive import rules
from app.server.api.directdrive.uploads import ALL
from app.server.core import Core
from app.server.problems import Problem
from app.server.states import FileStatus

BLOCK_BYTES = 1024 * 1024
_NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}

log = logging.getLogger("uphaul.directdrive")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive."""

    name: str
    path: Path


class _Sink(io.RawIOBase):
    """Where the archive is written to: a pipe that is emptied between two blocks."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: list[bytes] = []
        self.size_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        chunk = bytes(data)
        self._chunks.append(chunk)
        self.size_bytes += len(chunk)
        return len(chunk)

    def take(self) -> bytes:
        """Return what has gathered."""
        taken, self._chunks, self.size_bytes = b"".join(self._chunks), [], 0
        return taken


def zipped(entries: Sequence[Entry]) -> Generator[bytes, None, None]:
    """Yield a ZIP of *entries*, about a block at a time, stored as they are: memory does not depend on their sizes."""
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as archive:
        for entry in entries:
            try:
                source = entry.path.open("rb", buffering=0)
            except FileNotFoundError:
                log.warning("event=zip_without_file name=%r", entry.name)  # it was deleted meanwhile
                continue
            with source:
                info = ZipInfo.from_file(entry.path, entry.name, strict_timestamps=False)
                with archive.open(info, "w") as member:
                    while block := source.read(BLOCK_BYTES):
                        member.write(block)
                        if sink.size_bytes >= BLOCK_BYTES:
                            yield sink.take()
    yield sink.take()


def router(core: Core) -> APIRouter:
    """Build the routes over one core."""
    api = APIRouter(prefix="/api/v1", tags=["download"])

    @api.get("/download/stream/{file_id}", response_class=Response)
    async def stream(request: Request, file_id: str) -> Response:
        """Send a stored file, or the range of it that is asked for."""
        file = await core.database.read(files.get, request.state.owner, file_id)
        if file.stored_path is None:
            raise Problem("file_not_found", f"The file is {file.status}.")
        path = core.storage.stored_file(file.stored_path)
        if not await core.on_disk(path.is_file):
            raise Problem("file_not_found", "The file was removed from the server's disk.")
        kind = rules.media_type(str(file.extra.get("content_type", "")))
        return FileResponse(path, media_type=kind, filename=file.filename, headers=_NO_SNIFFING)

    @api.get("/batch/download-zip/{batch_id}", response_class=Response)
    async def download_zip(request: Request, batch_id: str) -> Response:
        """Send all stored files of a batch as one archive."""
        entries = await _entries(core, request.state.owner, batch_id)
        disposition = {"Content-Disposition": f'attachment; filename="batch_{batch_id}.zip"'}
        return StreamingResponse(
            _pulled(core, zipped(entries)), media_type="application/zip", headers=disposition | _NO_SNIFFING
        )

    return api


async def _entries(core: Core, owner: str, batch_id: str) -> list[Entry]:
    found, _ = await core.database.read(files.page, owner, batch_id, FileStatus.STORED, ALL, 0)
    if not found:
        raise Problem("batch_not_found", "No completed files found for this batch")
    paths = [file.stored_path for file in found if file.stored_path is not None]
    return [Entry(path.partition("/")[2], core.storage.stored_file(path)) for path in paths]


async def _pulled(core: Core, blocks: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    """Let a thread make block after block; when the client goes away, the open file is closed."""
    making = core.start_on_disk(next, blocks, None)
    try:
        while (block := await asyncio.shield(making)) is not None:
            if block:
                yield block
            making = core.start_on_disk(next, blocks, None)
    finally:
        await asyncio.wait({making})
        blocks.close()
