"""The Doorito dialect: upload sessions whose parts go in parallel, are resumed by what was received, and finalized.

POST session (idempotency key) ── created(id) ──► PUT part…  (three at a time, any order) ──► POST finalize ──► stored
begun earlier ── GET session ── what it has ──────► only what is missing ───────────────────────┘ long: asked again

Source of the contract: Doorito's PEPs 0009 to 0019, and docs/server/doorito.md for the cancels, which they leave out.
"""

import asyncio
import mimetypes
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from app.domain.failure import CancelledElsewhereError, Failure, FailureKind, RemoteGoneError, TransferError
from app.remote.account import Account
from app.remote.answer import Answer
from app.remote.base import (
    Abilities,
    CancelAnswer,
    Feed,
    Outgoing,
    RemoteBatch,
    RemoteFile,
    RemoteState,
    Sent,
)
from app.remote.beating import beating
from app.remote.blocks import Blocks
from app.remote.dooritofields import Session, batch_of, file_of, session_of
from app.remote.http import Http, http_of

_NOBODY = "00000000-0000-0000-0000-000000000000"
_LANES = 3
_PIECE_BYTES = 256 * 1024
_MOST_BUFFERED_BYTES = 16 * 2**20
"""A longer part goes out as it is read, alone; shorter ones wait whole in memory, so that three can go at once."""
_FINALIZE_TIMEOUT_S = 900.0
_MOST_FINALIZES = 5
_ABILITIES = Abilities(resume=True, cancel_file=True, cancel_batch=True, checksum=True)


class DooritoServer:
    """One connection to a server with upload sessions, for one worker. A remote id is a session's id."""

    def __init__(self, account: Account) -> None:
        auth = account.given_token()
        self._http: Http = http_of(account, auth)
        self._slow: Http = http_of(replace(account, read_timeout_s=_FINALIZE_TIMEOUT_S), auth)
        self._base = self._http.base_path

    @property
    def abilities(self) -> Abilities:
        """What the PEPs promise, and the cancels of our own server; one without them answers 404, which is told."""
        return _ABILITIES

    async def greet(self) -> Abilities:
        """Ask for a session that nobody has: 404, in JSON, is a good answer (RemoteServer.greet)."""
        answer = await self._http.ask("GET", f"{self._base}/uploads/sessions/{_NOBODY}")
        if answer.is_html or not (answer.ok or answer.status == 404):
            raise self._http.failure(answer)
        return _ABILITIES

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send the parts that the session lacks, then finalize it (RemoteServer.send)."""
        session = await (self._known(outgoing) if outgoing.remote_id else self._create(outgoing, feed))
        if session.state in (RemoteState.FAILED, RemoteState.CANCELLED, RemoteState.UNKNOWN):
            raise _over(session)
        if session.state is not RemoteState.STORED:
            await self._parts(session, outgoing, feed)
        return await self._finalize(session, outgoing, feed)

    async def look(self, remote_id: str) -> RemoteFile:
        """Read a session back (RemoteServer.look)."""
        answer = await self._http.ask("GET", self._path(remote_id))
        if answer.status == 404 and not answer.is_html:
            return RemoteFile(remote_id, RemoteState.UNKNOWN)
        return file_of(self._session(answer, 0))

    async def open_batch(self, name: str, key: str) -> RemoteBatch:
        """Create a batch, or get the one made with the same key (BatchServer.open_batch)."""
        payload = {"name": name, "idempotency_key": key}
        answer = await self._http.ask("POST", f"{self._base}/batches", payload=payload)
        if not answer.ok:
            raise self._http.failure(answer)
        return batch_of(answer.json())

    async def look_batch(self, remote_batch_id: str) -> RemoteBatch:
        """Read a batch back (BatchServer.look_batch)."""
        answer = await self._http.ask("GET", f"{self._base}/batches/{quote(remote_batch_id, safe='')}")
        if answer.status == 404 and not answer.is_html:
            return RemoteBatch(remote_batch_id, RemoteState.UNKNOWN)
        if not answer.ok:
            raise self._http.failure(answer)
        return batch_of(answer.json())

    async def list_files(self, remote_batch_id: str, each: Callable[[RemoteFile], None]) -> None:
        """Call *each* for every file of a batch (BatchServer.list_files). One answer may be all there is."""
        seen, total = 0, 1
        while seen < total:
            path = f"{self._base}/batches/{quote(remote_batch_id, safe='')}/files?limit=1000&offset={seen}"
            answer = await self._http.ask("GET", path)
            if not answer.ok:
                raise self._http.failure(answer)
            page = answer.json()
            files = page.get("files") or page.get("results") or []
            for record in files:
                each(_listed(record))
            seen += len(files)
            total = int(page.get("total") or seen) if files else seen

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        """Ask for the cancel that our server has and the PEPs lack (CancelServer.cancel_file)."""
        return self._heard(await self._http.ask("POST", f"{self._path(remote_id)}/cancel"))

    async def cancel_batch(self, remote_batch_id: str) -> CancelAnswer:
        """The same for a whole batch (CancelServer.cancel_batch)."""
        path = f"{self._base}/batches/{quote(remote_batch_id, safe='')}/cancel"
        return self._heard(await self._http.ask("POST", path))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._slow.aclose()

    # Sessions

    async def _create(self, outgoing: Outgoing, feed: Feed) -> Session:
        name = outgoing.relative_path.rpartition("/")[2]
        payload = {
            "original_filename": name,
            "content_type": mimetypes.guess_type(name)[0] or "application/octet-stream",
            "total_size_bytes": outgoing.size_bytes,
            "idempotency_key": outgoing.key,
            **({"batch_id": outgoing.remote_batch_id} if outgoing.remote_batch_id else {}),
        }
        answer = await self._http.ask("POST", f"{self._base}/uploads/sessions", payload=payload)
        if answer.code in ("batch_cancelled", "cancelled"):
            raise CancelledElsewhereError(answer.detail)
        session = self._session(answer, outgoing.size_bytes)
        await feed.created(session.id)
        # 200: the session of this key, which may have parts already; the answer does not say which.
        return session if answer.status == 201 else await self._read(session.id, outgoing.size_bytes)

    async def _known(self, outgoing: Outgoing) -> Session:
        return await self._read(outgoing.remote_id or "", outgoing.size_bytes)

    async def _read(self, remote_id: str, size_bytes: int) -> Session:
        answer = await self._http.ask("GET", self._path(remote_id))
        if answer.status in (404, 410) and not answer.is_html:
            raise RemoteGoneError(answer.detail)
        return self._session(answer, size_bytes)

    def _session(self, answer: Answer, size_bytes: int) -> Session:
        if not answer.ok:
            raise self._http.failure(answer)
        return session_of(answer.json(), size_bytes)

    # Parts

    async def _parts(self, session: Session, outgoing: Outgoing, feed: Feed) -> None:
        meter = _Meter(feed, session.received_bytes(outgoing.size_bytes))
        lanes = 1 if session.chunk_bytes > _MOST_BUFFERED_BYTES else _LANES
        going: set[asyncio.Task[None]] = set()
        try:
            async for number, length, pieces in _bodies(session, outgoing.size_bytes, feed, whole=lanes > 1):
                going.add(asyncio.create_task(self._put(session, number, length, pieces, meter)))
                while len(going) >= lanes:
                    await _one_done(going)
            while going:
                await _one_done(going)
        finally:
            for task in going:
                task.cancel()
            await asyncio.gather(*going, return_exceptions=True)

    async def _put(
        self, session: Session, number: int, length: int, pieces: AsyncIterator[bytes], meter: "_Meter"
    ) -> None:
        answer = await self._http.stream_body(
            "PUT",
            f"{self._path(session.id)}/parts/{number}",
            headers={"Content-Type": "application/octet-stream"},
            size_bytes=length,
            blocks=meter.count(pieces),
        )
        if answer.ok:
            meter.accepted(length)
        elif answer.status in (404, 409, 410) and not answer.is_html:
            raise await self._why(session, answer)
        else:
            raise self._http.failure(answer)

    async def _why(self, session: Session, answer: Answer) -> Exception:
        """A part was refused: the session is over, or it holds other bytes (the file had changed between two tries)."""
        if answer.status == 409 and answer.code == "part_conflict":
            return RemoteGoneError("the server's parts are of another content")
        seen = await self.look(session.id)
        if seen.state is RemoteState.CANCELLED:
            return CancelledElsewhereError(answer.detail)
        if seen.state is RemoteState.UNFINISHED and answer.status != 409:
            return self._http.failure(answer)
        return RemoteGoneError(answer.detail)

    # The end

    async def _finalize(self, session: Session, outgoing: Outgoing, feed: Feed) -> Sent:
        feed.progress(outgoing.size_bytes, outgoing.size_bytes)
        ours = await _whole_hash(outgoing, feed)
        for _ in range(_MOST_FINALIZES):
            try:
                async with beating([(feed, outgoing.size_bytes)]):
                    answer = await self._slow.ask("POST", f"{self._path(session.id)}/finalize")
            except TransferError as error:
                if error.failure.kind not in (FailureKind.STALLED, FailureKind.CONNECTION_LOST):
                    raise
                if (await self.look(session.id)).state is RemoteState.STORED:
                    return Sent(session.id, "", ours)
                continue
            if answer.ok:
                return Sent(session.id, _verified(answer, ours), ours)
            if answer.status == 400:  # it lost a part that it had confirmed
                raise TransferError(Failure(FailureKind.CONFLICT, answer.detail, 400))
            if answer.status in (404, 409, 410) and not answer.is_html:
                raise await self._why(session, answer)
            raise self._http.failure(answer)
        raise TransferError(
            Failure(FailureKind.STALLED, "the server does not finish putting the file together")
        )

    def _heard(self, answer: Answer) -> CancelAnswer:
        if answer.ok or (answer.status in (400, 404, 405, 409, 410)):
            detail = "this server has no cancel" if answer.is_html or answer.status == 405 else answer.detail
            return CancelAnswer(answer.status, detail)
        raise self._http.failure(answer)

    def _path(self, remote_id: str) -> str:
        return f"{self._base}/uploads/sessions/{quote(remote_id, safe='')}"


class _Meter:
    """Adds up what has gone out in all parts at once."""

    def __init__(self, feed: Feed, accepted_bytes: int) -> None:
        self._feed = feed
        self._accepted = self._sent = accepted_bytes
        feed.progress(accepted_bytes, accepted_bytes)

    async def count(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Hand the pieces of one part through; each counts when the next one is asked for."""
        async for piece in pieces:
            yield piece
            self._sent += len(piece)
            self._feed.progress(self._sent, self._accepted)

    def accepted(self, size_bytes: int) -> None:
        """The server has confirmed a part."""
        self._accepted += size_bytes
        self._feed.progress(self._sent, self._accepted)


async def _bodies(
    session: Session, size_bytes: int, feed: Feed, *, whole: bool
) -> AsyncIterator[tuple[int, int, AsyncIterator[bytes]]]:
    """Yield number, length and pieces of each missing part, reading the file once, in order.

    *whole*: a part is read before it is yielded, so that several can be under way; else as it is sent.
    """
    blocks, at_bytes = None, -1
    for number in session.missing():
        begin_bytes, length = (number - 1) * session.chunk_bytes, session.part_bytes(number, size_bytes)
        if blocks is None or at_bytes != begin_bytes:
            await feed.seek(begin_bytes)
            blocks = Blocks(feed, begin_bytes)
        at_bytes = begin_bytes + length
        yield number, length, _cut(await blocks.read(length)) if whole else _taken(blocks, length)


async def _cut(part: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(part), _PIECE_BYTES):
        yield part[at : at + _PIECE_BYTES]


async def _taken(blocks: Blocks, size_bytes: int) -> AsyncIterator[bytes]:
    while size_bytes and (piece := await blocks.take(min(size_bytes, _PIECE_BYTES))):
        size_bytes -= len(piece)
        yield bytes(piece)


async def _one_done(going: set[asyncio.Task[None]]) -> None:
    """Wait for a task, take those that are done out of *going*; raise what the first of them raised."""
    done, _ = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
    going -= done
    for task in done:
        task.result()


async def _whole_hash(outgoing: Outgoing, feed: Feed) -> str:
    """Read to the file's end what was not read yet; the feed proves that the file did not change."""
    await feed.seek(outgoing.size_bytes)
    await feed.block()
    return feed.sha256()


def _verified(answer: Answer, ours: str) -> str:
    """Return our word for how sure it is. Raises TransferError(CHECKSUM_MISMATCH)."""
    told: Mapping[str, Any] = answer.json() if answer.body else {}
    file = told.get("file")
    theirs = str((file if isinstance(file, dict) else told).get("sha256") or "").lower()
    if theirs and theirs != ours:
        raise TransferError(Failure(FailureKind.CHECKSUM_MISMATCH, f"the server stored SHA-256 {theirs}"))
    return "verified" if theirs else ""


def _over(session: Session) -> Exception:
    if session.state is RemoteState.CANCELLED and session.message != "expired":
        return CancelledElsewhereError(session.message)
    return RemoteGoneError(session.message or session.state)


def _listed(record: Mapping[str, Any]) -> RemoteFile:
    word = str(record.get("status") or "").lower()
    state = {"uploading": RemoteState.UNFINISHED, "stored": RemoteState.STORED}.get(word)
    return RemoteFile(
        str(record.get("session_id") or record.get("file_id") or record.get("id") or ""),
        state
        or {"failed": RemoteState.FAILED, "cancelled": RemoteState.CANCELLED}.get(word, RemoteState.UNKNOWN),
        size_bytes=int(record.get("size_bytes") or 0),
        message=str(record.get("error_message") or ""),
    )
