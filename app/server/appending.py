"""Bytes arrive: from a request body through memory of a few blocks into the partial, hashed on the way.

receive ──chunks──► block of 1 MiB ──► disk thread: write + hash     (one block is written while the next is gathered)
                                 every 0.5 s: offset into the database, which also says whether to go on
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from app.server import files
from app.server.core import Core
from app.server.files import FileRecord
from app.server.partial import Partial
from app.server.problems import Problem
from app.server.reception import Reception, StopReason
from app.server.states import UNFINISHED

BLOCK_BYTES = 1024 * 1024
CHECKPOINT_SECONDS = 0.5
WRONG_HASH = "The bytes that arrived do not have the SHA-256 that was sent."

_TOO_LONG = {"body_too_long", "too_large"}
_SETTLED = {"cancelled", "failed", "checksum_mismatch", "offset_conflict", "stopping"}
"""What says that a file is over already, or is left to the next start."""
STOPPED = {
    StopReason.CANCELLED: "cancelled",
    StopReason.STALLED: "upload_stalled",
    StopReason.STOPPING: "stopping",
}


class DisconnectedError(Exception):
    """The sender went away in the middle of a body: a normal thing. What arrived is kept."""


class Body(Protocol):
    """A request body."""

    async def read(self) -> bytes | None:
        """Return the next bytes, or None after the last; raises :class:`DisconnectedError`."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What one request body must hash to (tus Upload-Checksum)."""

    algorithm: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """How far a file is after a request."""

    offset_bytes: int
    sha256: str | None = None
    stored_path: str | None = None
    """Both are set when the file is finished."""
    will_be_processed: bool = False
    """Of a finished file: whether work at it goes on."""


class Gatherer:
    """Gathers chunks to blocks; one block is written by a thread while the next one is gathered."""

    def __init__(
        self,
        core: Core,
        partial: Partial,
        room_bytes: int | None,
        checksum: Checksum | None = None,
        excess: str = "body_too_long",
    ) -> None:
        self._core = core
        self._excess = excess
        self._partial = partial
        self._room_bytes = room_bytes
        self._chunks: list[bytes] = []
        self._gathered_bytes = 0
        self._writing: asyncio.Future[None] | None = None
        self._is_broken = False
        self._order = asyncio.Lock()  # a full block and the clock may both want to flush
        self._checksum = checksum
        self._hash = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
        self.received_bytes = 0

    @property
    def is_all_or_nothing(self) -> bool:
        """Whether a body that is cut counts for nothing."""
        return self._checksum is not None

    async def gather(self, body: Body) -> None:
        """Take the whole body; raises `Problem(excess)` before a byte beyond the room there is gets written."""
        while (chunk := await body.read()) is not None:
            self.received_bytes += len(chunk)
            if self._room_bytes is not None and self.received_bytes > self._room_bytes:
                raise Problem(self._excess)
            self._chunks.append(chunk)
            self._gathered_bytes += len(chunk)
            if self._gathered_bytes >= BLOCK_BYTES:
                await self.flush()

    async def flush(self) -> None:
        """Wait for the block that is being written and hand the next one over."""
        async with self._order:
            await self._written()
            chunks, self._chunks, self._gathered_bytes = self._chunks, [], 0
            if chunks and not self._is_broken:
                self._writing = self._core.start_on_disk(self._write, chunks)

    def _write(self, chunks: list[bytes]) -> None:
        self._partial.write(chunks)
        if self._hash is not None:
            for chunk in chunks:
                self._hash.update(chunk)

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.wait(
                {self._writing}
            )  # waits without cancelling: a block is written whole or not at all
            writing, self._writing = self._writing, None
            self._is_broken = (
                writing.exception() is not None
            )  # what came after a lost block must not be written
            writing.result()

    async def finish(self) -> None:
        """Write everything that was gathered. After this, also when it raises, no thread is at work any more."""
        await self.flush()
        await self._written()

    def require_match(self) -> None:
        """Raise `Problem("checksum_mismatch")` if the body is not what the sender said."""
        if (
            self._hash is not None
            and self._checksum is not None
            and self._hash.digest() != self._checksum.digest
        ):
            raise Problem("checksum_mismatch")


async def append(
    core: Core,
    file: FileRecord,
    offset_bytes: int,
    body: Body,
    *,
    checksum: Checksum | None = None,
    sha256: str | None = None,
    limit_bytes: int | None = None,
) -> Appended:
    """Append a body to an unfinished file at *offset_bytes*, and finish the file if that was its last byte.

    *sha256* is what the sender says the whole file hashes to, beside what it said at creation. A file of unknown length ends
    where its body does, which must not be longer than *limit_bytes*. Raises :class:`DisconnectedError`, and `Problem` locked,
    offset_conflict, body_too_long, too_large, checksum_mismatch, cancelled, failed, upload_stalled, stopping, disk_full.
    """
    with core.receptions.enter(file.id) as reception:
        partial = await _open(core, file)
        try:
            await _begin(core, file, reception, partial, offset_bytes)
            gatherer = _gatherer(core, file, partial, checksum, limit_bytes)
            await _receive(core, file, reception, partial, body, gatherer)
            if not file.is_sized:
                file = replace(file, size_bytes=partial.size_bytes)
            if partial.size_bytes < file.size_bytes:
                return Appended(partial.size_bytes)
            return await _finish(core, file, partial, sha256)
        except asyncio.CancelledError:  # with the request of many files that this one came in
            await _drop_if_over(core, file, partial)
            raise
        except Problem as problem:
            if not file.is_sized and problem.code not in _SETTLED:
                await _give_up(core, file, partial, problem.detail)
            raise
        finally:
            partial.close()


async def _open(core: Core, file: FileRecord) -> Partial:
    """Open the partial. A thread cannot be stopped: who is cancelled meanwhile waits for what it makes, and tidies up."""
    opening = core.start_on_disk(Partial.open, core.storage.partial_path(file.id))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with suppress(Problem, OSError):  # there is none, or somebody else writes it
            await _drop_if_over(core, file, await opening)
        raise


async def _drop_if_over(core: Core, file: FileRecord, partial: Partial) -> None:
    """Let go of a partial, which goes if the file is over: whoever cancelled it may have looked before it was there."""
    try:
        if await core.database.read(files.status, file.id) not in UNFINISHED:
            await _drop(core, file, partial)
    finally:
        partial.close()


async def _give_up(core: Core, file: FileRecord, partial: Partial, why: str) -> None:
    """Fail a file of unknown length that did not arrive: nobody could tell where the rest begins."""
    with suppress(Problem):  # a cancel was first
        await core.database.write(files.fail, file, why, core.now())
    await _drop(core, file, partial)


def _gatherer(
    core: Core, file: FileRecord, partial: Partial, checksum: Checksum | None, limit_bytes: int | None
) -> Gatherer:
    if file.is_sized:
        return Gatherer(core, partial, file.size_bytes - partial.size_bytes, checksum)
    limits = [limit for limit in (limit_bytes, core.config.max_file_bytes) if limit is not None]
    room_bytes = min(limits) - partial.size_bytes if limits else None
    return Gatherer(core, partial, room_bytes, checksum, excess="too_large")


async def _begin(
    core: Core, file: FileRecord, reception: Reception, partial: Partial, offset_bytes: int
) -> None:
    """The partial exists *before* the database is asked: a cancel is seen here, or sees the partial and removes it."""
    await _note(core, file, partial)
    if partial.size_bytes != offset_bytes:
        raise Problem("offset_conflict", headers={"Upload-Offset": str(partial.size_bytes)})
    core.hashes.give(file.id, partial)
    if partial.hashed_bytes != partial.size_bytes:
        await core.on_disk(partial.rehash, lambda: reception.stop_reason is not None)
        await _obey(core, file, reception, partial)


async def _note(core: Core, file: FileRecord, partial: Partial) -> None:
    """Write the offset down; if the file is over meanwhile, remove the partial and say why."""
    if await core.database.write(files.progress, file.id, partial.size_bytes, core.now(), core.expires_at()):
        return
    await _drop(core, file, partial)
    now = await core.database.read(files.get, file.owner, file.id)
    files.require_open(now)
    raise Problem("offset_conflict", headers={"Upload-Offset": str(now.offset_bytes)})


async def _drop(core: Core, file: FileRecord, partial: Partial) -> None:
    partial.close()
    await core.on_disk(core.storage.drop_partial, file.id)


async def _obey(core: Core, file: FileRecord, reception: Reception, partial: Partial) -> None:
    """Raise the `Problem` the request was stopped for, if it was."""
    reason = reception.stop_reason
    if reason is StopReason.CANCELLED:
        await _drop(core, file, partial)
    if reason is not None:
        raise Problem(STOPPED[reason])


async def _receive(
    core: Core,
    file: FileRecord,
    reception: Reception,
    partial: Partial,
    body: Body,
    gatherer: Gatherer,
) -> None:
    """Take one body. Whatever ends it, the partial then holds exactly what counts, and the database its offset."""
    start_bytes, start_hash = partial.size_bytes, partial.hash.copy()
    try:
        try:
            is_wanted = functools.partial(_is_wanted, core, file, partial, gatherer)
            await reception.run(gatherer.gather(body), watch(core, reception, gatherer, is_wanted))
        finally:
            await gatherer.finish()
        await _obey(core, file, reception, partial)
        gatherer.require_match()
    except (DisconnectedError, Problem, OSError) as error:
        if reception.stop_reason is not StopReason.CANCELLED:
            if gatherer.is_all_or_nothing or (isinstance(error, Problem) and error.code in _TOO_LONG):
                await core.on_disk(partial.cut_back, start_bytes, start_hash)
            await _leave(core, file, partial)
        if isinstance(error, Problem) and error.code == "checksum_mismatch":
            error.headers["Upload-Offset"] = str(start_bytes)
        raise
    if file.is_sized and partial.size_bytes < file.size_bytes:
        await _leave(core, file, partial)


async def _leave(core: Core, file: FileRecord, partial: Partial) -> None:
    """Leave an unfinished partial for the next request."""
    await _note(core, file, partial)
    core.hashes.keep(file.id, partial)


async def watch(
    core: Core,
    reception: Reception,
    gatherer: Gatherer,
    is_wanted: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Every half second: do these bytes still come, is there room for them, does anybody want them still?"""
    loop = asyncio.get_running_loop()
    seen_bytes, seen_at = 0, loop.time()
    while reception.stop_reason is None:
        await asyncio.sleep(CHECKPOINT_SECONDS)
        if gatherer.received_bytes != seen_bytes:
            seen_bytes, seen_at = gatherer.received_bytes, loop.time()
        elif loop.time() - seen_at > core.config.stall_seconds:
            reception.stop(StopReason.STALLED)
        core.storage.require_room(0)
        if is_wanted is not None and not await is_wanted():
            reception.stop(StopReason.CANCELLED)


async def _is_wanted(core: Core, file: FileRecord, partial: Partial, gatherer: Gatherer) -> bool:
    """Write down how far a file is; return whether it still waits for its bytes."""
    await gatherer.flush()  # a slow sender's bytes are safe, and seen, before they fill a block
    return await core.database.write(
        files.progress, file.id, partial.size_bytes, core.now(), core.expires_at()
    )


async def _finish(core: Core, file: FileRecord, partial: Partial, sha256: str | None) -> Appended:
    digest = partial.hash.hexdigest()
    if file.mtime_ns is not None:
        await core.on_disk(partial.set_mtime, file.mtime_ns)
    partial.close()
    try:
        if {file.expected_sha256, sha256} - {None, digest}:
            await core.database.write(files.fail, file, WRONG_HASH, core.now())
            raise Problem("checksum_mismatch", WRONG_HASH)
        then = core.on_stored.get(file.origin)
        path = await core.database.write(files.complete, core.storage, file, digest, core.now(), then)
    except Problem as problem:
        if problem.code in {"cancelled", "failed", "checksum_mismatch"}:
            await core.on_disk(core.storage.drop_partial, file.id)
        raise
    return Appended(file.size_bytes, digest, path, file.process)
