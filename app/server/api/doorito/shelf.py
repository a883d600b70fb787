"""Where the parts of unfinished sessions lie, who is bringing some at this moment, and how they become one file.

DATA/parts/<session id>/<number>.<random>    a part, whole; the row of the part names it
"""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from app.server.api.doorito import rules
from app.server.api.doorito.rules import Session
from app.server.appending import Body, DisconnectedError, append
from app.server.bodies_in import PathsBody
from app.server.core import Core
from app.server.events import Event, EventKind
from app.server.pieces import receive_piece
from app.server.problems import Problem
from app.server.reception import StopReason
from app.server.states import FileStatus

_ENDS = (EventKind.FILE_CANCELLED, EventKind.FILE_FAILED, EventKind.BATCH_CANCELLED, EventKind.RESYNC)


class Shelf:
    """The parts of one server's sessions."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._arriving: defaultdict[str, set[str]] = defaultdict(set)
        self._assembling: dict[str, asyncio.Task[Session]] = {}
        self._janitor: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Remove what sessions that are over left behind, and from now on do so whoever ends them."""
        self._janitor = asyncio.create_task(self._clean_up_after_others())
        await self._sweep()

    async def close(self) -> None:
        """End the work of this shelf; what arrived is kept."""
        await self._core.receptions.stop_all(StopReason.STOPPING)
        if self._assembling:
            await asyncio.wait(self._assembling.values())
        if self._janitor is not None:
            self._janitor.cancel()
            with suppress(asyncio.CancelledError):
                await self._janitor

    async def receive(self, session: Session, number: int, body: Body) -> Session:
        """Take one part and return the session as it is then.

        Raises :class:`DisconnectedError`, and `Problem` part_size, part_conflict, session_over, locked, upload_stalled, stopping,
        disk_full. Of a part that is refused nothing is kept.
        """
        size_bytes = session.part_bytes(number)
        path = self._folder(session.id) / f"{number}.{uuid4().hex}"
        is_needed = False
        try:
            with self._arrival(session.id, number) as key:
                path.parent.mkdir(exist_ok=True)
                try:
                    piece = await receive_piece(self._core, key, path, body, limit_bytes=size_bytes)
                except Problem as problem:
                    if problem.code == "too_large":
                        raise _wrong_size(number, size_bytes) from None
                    raise
            if piece.size_bytes != size_bytes:
                raise _wrong_size(number, size_bytes, piece.size_bytes)
            core = self._core
            current, is_needed = await core.database.write(
                rules.record_part,
                session,
                number,
                piece,
                path.name,
                now=core.now(),
                expires_at=core.expires_at(),
            )
            return current
        except (Problem, DisconnectedError, FileNotFoundError):  # a cancel takes the folder away
            await self._require_open(session)
            raise
        finally:
            if not is_needed:
                path.unlink(missing_ok=True)

    async def _require_open(self, session: Session) -> None:
        """Whoever ended the session, perhaps another server, has not seen what came here since."""
        now = await self._core.database.read(rules.get, session.file.owner, session.id)
        try:
            now.require_open()
        except Problem:
            await self.discard([session.id])
            raise

    @contextmanager
    def _arrival(self, session_id: str, number: int) -> Iterator[str]:
        key = f"{session_id}/{number}"
        arriving = self._arriving[session_id]
        is_first = key not in arriving
        arriving.add(key)
        try:
            yield key
        finally:
            if is_first:  # a second request for the same part is refused by the first one's lock
                arriving.discard(key)
            if not arriving:
                self._arriving.pop(session_id, None)

    async def finalize(self, session: Session) -> Session:
        """Put the parts together, hashed on the way; whoever asks meanwhile gets the same answer.

        Raises `Problem` parts_missing, session_over, locked (by another server), stopping, disk_full.
        """
        if session.file.status is FileStatus.STORED:
            return session
        work = self._assembling.get(session.id)
        if work is None:
            work = self._assembling[session.id] = asyncio.create_task(self._assemble(session))
            work.add_done_callback(lambda done: self._assembled(session.id, done))
        return await asyncio.shield(work)  # a client that goes away does not end it

    def _assembled(self, session_id: str, work: asyncio.Task[Session]) -> None:
        del self._assembling[session_id]
        if not work.cancelled():
            work.exception()  # whoever waits for it hears it; perhaps nobody does any more

    async def _assemble(self, session: Session) -> Session:
        core, owner = self._core, session.file.owner
        current = await core.database.read(rules.get, owner, session.id)
        if current.file.status is not FileStatus.STORED:
            current.require_open()
            names = await core.database.read(rules.part_names, session)
            try:
                await self._put_together(current, [self._folder(session.id) / name for name in names])
            except (Problem, FileNotFoundError):
                stands = await core.database.read(rules.get, owner, session.id)
                if stands.file.status is not FileStatus.STORED:
                    stands.require_open()
                    raise
        await self.discard([session.id])
        return await core.database.read(rules.get, owner, session.id)

    async def _put_together(self, session: Session, paths: list[Path]) -> None:
        """A server that died in the middle has left the beginning: the rest is appended to it."""
        there_bytes = await self._core.on_disk(self._core.storage.partial_size, session.file.id)
        content = PathsBody(self._core, paths)
        try:
            await append(self._core, session.file, there_bytes, _Rest(content, there_bytes))
        except Problem as problem:
            if problem.code != "offset_conflict":
                raise
            raise Problem(
                "locked", headers={"Retry-After": "1"}
            ) from None  # another server was at it just now
        finally:
            content.close()

    async def discard(self, session_ids: Iterable[str]) -> None:
        """Stop whoever brings parts of these sessions, and remove all their parts."""
        ids = list(session_ids)
        keys = [key for session_id in ids for key in tuple(self._arriving.get(session_id, ()))]
        await self._core.receptions.stop(keys, StopReason.CANCELLED)
        await self._core.on_disk(self._remove, ids)

    def _remove(self, session_ids: Iterable[str]) -> None:
        for session_id in session_ids:
            shutil.rmtree(self._folder(session_id), ignore_errors=True)

    def _folder(self, session_id: str) -> Path:
        return self._core.storage.parts_dir / session_id

    async def _sweep(self) -> None:
        here = await self._core.on_disk(
            lambda: [each.name for each in self._core.storage.parts_dir.iterdir()]
        )
        if here:
            needed = await self._core.database.read(
                rules.open_ids
            )  # asked second: a row is older than its folder
            await self.discard(set(here) - needed)

    async def _clean_up_after_others(self) -> None:
        async with self._core.events.subscribe(None, kinds=_ENDS) as events:
            async for event in events:
                with suppress(Problem):  # the database is busy: the next start does it
                    await self._clean_up(event)

    async def _clean_up(self, event: Event) -> None:
        if event.kind is EventKind.RESYNC:
            await self._sweep()
            return
        over = await self._core.database.read(rules.ids_over, file_id=event.file_id, batch_id=event.batch_id)
        if over:
            await self.discard(over)


class _Rest:
    """A body without its first bytes."""

    def __init__(self, body: Body, skip_bytes: int) -> None:
        self._body, self._skip_bytes = body, skip_bytes

    async def read(self) -> bytes | None:
        """Return the next bytes after the skipped ones, or None after the last."""
        while (chunk := await self._body.read()) is not None:
            if len(chunk) > self._skip_bytes:
                rest, self._skip_bytes = chunk[self._skip_bytes :], 0
                return rest
            self._skip_bytes -= len(chunk)
        return None


def _wrong_size(number: int, size_bytes: int, came_bytes: int | None = None) -> Problem:
    came = "more" if came_bytes is None else str(came_bytes)
    return Problem("part_size", f"Part {number} has {size_bytes} bytes; {came} came.")
