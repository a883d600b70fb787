"""A file comes to be: its row, and its bytes at once when they came along."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass

from app.server import files
from app.server.appending import WRONG_HASH, Appended, Body, Checksum, append
from app.server.core import Core
from app.server.database import Transaction
from app.server.files import FileRecord, NewFile
from app.server.partial import Partial
from app.server.problems import Problem
from app.server.states import FileStatus

WHOLE_BYTES = 256 * 1024
"""A file up to this size that comes with its creation is stored in one transaction, from memory."""


@dataclass(frozen=True, slots=True)
class Created:
    """A file that is there now, and whether this request made it."""

    file: FileRecord
    appended: Appended
    is_new: bool


async def create(
    core: Core,
    new: NewFile,
    body: Body,
    *,
    body_bytes: int | None,
    checksum: Checksum | None = None,
    sha256: str | None = None,
) -> Created:
    """Make a file, or find the one of the same Idempotency-Key, whose body is then not read.

    *body_bytes* is the declared length of the body, 0 if none comes along, None if unknown. Raises what
    :func:`app.server.files.create` and :func:`app.server.appending.append` raise, and `Problem` too_large, disk_full.
    """
    size_bytes = new.size_bytes or 0
    _require_size(core, new, size_bytes)
    if new.size_bytes is not None and body_bytes is not None and body_bytes > size_bytes:
        raise Problem("body_too_long")
    core.storage.require_room(size_bytes)
    if new.size_bytes is not None and body_bytes == size_bytes <= WHOLE_BYTES:
        return await _create_whole(core, new, body, checksum, sha256)
    file, is_new = await core.database.write(
        files.create,
        new,
        most_files=core.config.max_batch_files,
        now=core.now(),
        expires_at=core.expires_at(),
    )
    if not is_new:
        return Created(file, await where_it_stands(core, file), is_new=False)
    if body_bytes == 0 and file.is_sized:
        return Created(file, Appended(0), is_new=True)
    appended = await append(
        core, file, 0, body, checksum=checksum, sha256=sha256, limit_bytes=new.limit_bytes
    )
    return Created(file, appended, is_new=True)


def _require_size(core: Core, new: NewFile, size_bytes: int) -> None:
    if core.config.max_file_bytes is not None and size_bytes > core.config.max_file_bytes:
        raise Problem("too_large", headers={"Tus-Max-Size": str(core.config.max_file_bytes)})
    if new.limit_bytes is not None and size_bytes > new.limit_bytes:
        raise Problem("too_large")


async def where_it_stands(core: Core, file: FileRecord) -> Appended:
    """Return how far a file is that takes bytes or is stored.

    If the server died between the last byte and the end, the file is finished now: its sender would send no more.
    """
    if file.status is FileStatus.STORED:
        return Appended(file.size_bytes, file.sha256, file.stored_path, file.process)
    offset_bytes = await core.on_disk(core.storage.partial_size, file.id)
    if offset_bytes < file.size_bytes or not file.is_sized:
        return Appended(offset_bytes)
    try:
        return await append(core, file, offset_bytes, _NoBody())
    except Problem as problem:
        if problem.code != "locked":  # whoever has the lock is finishing it at this moment
            raise
        return Appended(offset_bytes)


class _NoBody:
    async def read(self) -> bytes | None:
        return None


async def _create_whole(
    core: Core, new: NewFile, body: Body, checksum: Checksum | None, sha256: str | None
) -> Created:
    content = await _read_all(core, body)
    if (
        checksum is not None
        and hashlib.new(checksum.algorithm, content, usedforsecurity=False).digest() != checksum.digest
    ):
        raise Problem("checksum_mismatch", headers={"Upload-Offset": "0"})
    file, appended, is_new = await core.database.write(_store_whole, core, new, content, sha256)
    if not is_new:
        return Created(file, await where_it_stands(core, file), is_new=False)
    if appended is None:
        raise Problem("checksum_mismatch", WRONG_HASH)
    return Created(file, appended, is_new=True)


async def _read_all(core: Core, body: Body) -> bytes:
    chunks = []
    try:
        async with asyncio.timeout(core.config.stall_seconds):
            while (chunk := await body.read()) is not None:
                chunks.append(chunk)
    except TimeoutError:
        raise Problem("upload_stalled") from None
    return b"".join(chunks)


def _store_whole(
    tx: Transaction, core: Core, new: NewFile, content: bytes, sha256: str | None
) -> tuple[FileRecord, Appended | None, bool]:
    now = core.now()
    file, is_new = files.create(
        tx, new, most_files=core.config.max_batch_files, now=now, expires_at=core.expires_at()
    )
    storage = core.storage
    if not is_new:
        return file, None, False
    partial = Partial.open(storage.partial_path(file.id))
    tx.on_rollback(lambda: storage.drop_partial(file.id))
    tx.on_rollback(partial.close)  # the last step is taken back first: Windows removes no open file
    partial.write([content])
    digest = partial.hash.hexdigest()
    if {file.expected_sha256, sha256} - {None, digest}:
        files.fail(tx, file, WRONG_HASH, now)
        tx.on_commit(partial.close)
        tx.on_commit(lambda: storage.drop_partial(file.id))
        return file, None, True
    if file.mtime_ns is not None:
        partial.set_mtime(file.mtime_ns)
    if os.name == "nt":
        partial.close()  # Windows does not give an open file another name
    path = files.store(tx, storage, file, digest, now, core.on_stored.get(file.origin))
    tx.on_commit(partial.close)  # the lock keeps a sweep away until the transaction is over
    return file, Appended(file.size_bytes, digest, path, file.process), True
