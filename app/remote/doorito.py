"""The Doorito dialect: upload sessions whose parts go in parallel, are resumed by what was received, and finalized.

POST session (idempotency key) ── created(id) ──► PUT part…  (several at a time, any order) ──► POST finalize ──► stored
begun earlier ── GET session ── what it has ──────► only what is missing ─────────────────────────┘ long: asked again
                    └─ gone, failed, aborted (it expired): a new session from byte 0; cancelled: it stays so

Source of the contract: Doorito's PEPs 0009 to 0019, and docs/server/doorito.md for the cancels, which they leave out.
"""

import mimetypes
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
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
    RemoteBatchRow,
    RemoteFile,
    RemoteServer,
    RemoteState,
    Sent,
)
from app.remote.beating import beating
from app.remote.doorito_parts import send_parts
from app.remote.dooritofields import Session, batch_of, file_of, listed_file, row_of, session_of
from app.remote.http import Http, http_of

FINALIZE_TIMEOUT_S = 900.0
_NOBODY = "00000000-0000-0000-0000-000000000000"
_MOST_FINALIZES = 5
_MOST_BATCHES = 100
_PAGE_FILES = 1000
_OVER = frozenset({RemoteState.FAILED, RemoteState.CANCELLED, RemoteState.UNKNOWN})
_ABILITIES = Abilities(resume=True, cancel_file=True, cancel_batch=True, checksum=True, lists_batches=True)


class DooritoLine:
    """What the connections of one account share: whether the server has cancels (None: not known yet), and the batches
    begun from here.

    ``finalize_timeout_s`` is how long one request to put a file together is waited for before the session is looked at.
    """

    def __init__(self, account: Account, finalize_timeout_s: float = FINALIZE_TIMEOUT_S) -> None:
        self.account = account
        self.finalize_timeout_s = finalize_timeout_s
        self.has_cancel: bool | None = None

    def connect(self) -> RemoteServer:
        """Return a connection (Line.connect). Raises TransferError for a token that cannot be one."""
        return DooritoServer(self)

    async def aclose(self) -> None:
        """There is nothing to close (Line.aclose)."""

    def batches(self) -> list[tuple[str, str]]:
        """Return ids and names of the account's batches that began here, newest first: the server has no list."""
        noted = self.account.notes.read().get("batches")
        pairs = noted if isinstance(noted, list) else []
        return [(str(each[0]), str(each[1])) for each in pairs if isinstance(each, list) and len(each) == 2]

    def note(self, remote_id: str, name: str) -> None:
        """Remember a batch, across restarts."""
        self._write([(remote_id, name), *(each for each in self.batches() if each[0] != remote_id)])

    def forget(self, remote_ids: set[str]) -> None:
        """Forget batches that the server no longer has."""
        self._write([each for each in self.batches() if each[0] not in remote_ids])

    def _write(self, batches: list[tuple[str, str]]) -> None:
        notes = self.account.notes
        notes.write({**notes.read(), "batches": [list(each) for each in batches[:_MOST_BATCHES]]})


class DooritoServer:
    """One connection to a server with upload sessions, for one worker. A remote id is a session's id."""

    def __init__(self, line: DooritoLine) -> None:
        account = line.account
        auth = account.given_token()
        self._line = line
        self._http: Http = http_of(account, auth)
        self._slow: Http = http_of(replace(account, read_timeout_s=line.finalize_timeout_s), auth)
        self._base = self._http.base_path

    @property
    def abilities(self) -> Abilities:
        """What the PEPs promise; the cancels of our own server as long as no answer has said that there are none."""
        cancels = self._line.has_cancel is not False
        return replace(_ABILITIES, cancel_file=cancels, cancel_batch=cancels)

    async def greet(self) -> Abilities:
        """Ask for the cancel of a session that nobody has, and for a session of nothing (RemoteServer.greet)."""
        await self._ask_for_cancel()
        await self._require_api()
        return self.abilities

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send the parts that the session lacks, then finalize it (RemoteServer.send)."""
        session = await (self._known(outgoing, feed) if outgoing.remote_id else self._create(outgoing, feed))
        if session.state in _OVER:
            raise _end(session.state, session.message)
        if session.state is not RemoteState.STORED:

            async def put(number: int, length: int, pieces: AsyncIterator[bytes]) -> None:
                await self._put(session, number, length, pieces)

            await send_parts(session, outgoing.size_bytes, feed, put)
        return await self._finalize(session, outgoing, feed)

    async def look(self, remote_id: str) -> RemoteFile:
        """Read a session back (RemoteServer.look). One that has all its parts may be being put together."""
        session = await self._read(remote_id)
        return RemoteFile(remote_id, RemoteState.UNKNOWN) if session is None else file_of(session)

    async def find(self, outgoings: Sequence[Outgoing]) -> Mapping[str, RemoteFile]:
        """Ask for the sessions of these keys (FindServer.find).

        Asking makes one where there was none, which is cancelled at once; so only a server with cancels is asked.
        """
        found: dict[str, RemoteFile] = {}
        if self._line.has_cancel is None:
            await self._ask_for_cancel()
        for outgoing in outgoings if self._line.has_cancel else ():
            answer = await self._post(outgoing)
            if not answer.ok:
                continue
            session = session_of(answer.json())
            if answer.status == 201:
                await self.cancel_file(session.id)
            else:
                found[outgoing.key] = await self.look(session.id)
        return found

    async def open_batch(self, name: str, key: str) -> RemoteBatch:
        """Create a batch, or get the one made with the same key (BatchServer.open_batch)."""
        payload = {"name": name, "idempotency_key": key}
        answer = await self._http.ask("POST", f"{self._base}/batches", payload=payload)
        if not answer.ok:
            raise self._http.failure(answer)
        batch = batch_of(answer.json())
        self._line.note(batch.remote_id, name)
        return batch

    async def look_batch(self, remote_batch_id: str) -> RemoteBatch:
        """Read a batch back (BatchServer.look_batch)."""
        record = await self._batch(remote_batch_id)
        return RemoteBatch(remote_batch_id, RemoteState.UNKNOWN) if record is None else batch_of(record)

    async def list_files(self, remote_batch_id: str, each: Callable[[RemoteFile], None]) -> None:
        """Call *each* for every file of a batch (BatchServer.list_files). One answer, or a bare array, may be all."""
        seen, total = 0, 1
        while seen < total:
            answer = await self._http.ask(
                "GET", f"{self._batch_path(remote_batch_id)}/files?limit={_PAGE_FILES}&offset={seen}"
            )
            if not answer.ok:
                raise self._http.failure(answer)
            is_bare = answer.body.lstrip().startswith("[")
            page: dict[str, Any] = {"files": answer.array()} if is_bare else answer.json()
            files = page.get("files") or page.get("results") or []
            for record in files:
                each(listed_file(record))
            seen += len(files)
            total = int(page.get("total") or page.get("count") or seen) if files else seen

    async def list_batches(self) -> Sequence[RemoteBatchRow]:
        """Read back the batches that began here, one by one: the server lists none (ListServer.list_batches)."""
        rows, gone = [], set()
        for remote_id, name in self._line.batches():
            record = await self._batch(remote_id)
            if record is None:
                gone.add(remote_id)
            else:
                rows.append(row_of(record, name))
        if gone:
            self._line.forget(gone)
        return rows

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        """Ask for the cancel that our server has and the PEPs lack (CancelServer.cancel_file)."""
        return self._hear(await self._http.ask("POST", f"{self._path(remote_id)}/cancel"))

    async def cancel_batch(self, remote_batch_id: str) -> CancelAnswer:
        """The same for a whole batch (CancelServer.cancel_batch)."""
        return self._hear(await self._http.ask("POST", f"{self._batch_path(remote_batch_id)}/cancel"))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._slow.aclose()

    # Sessions

    async def _ask_for_cancel(self) -> None:
        """Learn whether there are cancels, by one for a session that nobody has."""
        answer = await self._http.ask("POST", f"{self._path(_NOBODY)}/cancel")
        if answer.status not in (401, 403):  # who is asked to sign in for it is told that it is there
            self._hear(answer)

    async def _require_api(self) -> None:
        """Prove that there are sessions, and that we may have one: a request for nothing is a bad request (400)."""
        answer = await self._http.ask("POST", f"{self._base}/uploads/sessions", payload={})
        if answer.is_html or answer.status not in (400, 422):
            raise self._http.failure(answer)

    async def _post(self, outgoing: Outgoing) -> Answer:
        name = outgoing.relative_path.rpartition("/")[2]
        payload = {
            "original_filename": name,
            "content_type": mimetypes.guess_type(name)[0] or "application/octet-stream",
            "total_size_bytes": outgoing.size_bytes,
            "idempotency_key": outgoing.key,
            **({"batch_id": outgoing.remote_batch_id} if outgoing.remote_batch_id else {}),
        }
        return await self._http.ask("POST", f"{self._base}/uploads/sessions", payload=payload)

    async def _create(self, outgoing: Outgoing, feed: Feed) -> Session:
        """Make a session, or get the one of the same key."""
        answer = await self._post(outgoing)
        if answer.code in ("batch_cancelled", "cancelled"):
            raise CancelledElsewhereError(answer.detail)
        if not answer.ok:
            raise self._http.failure(answer)
        session = session_of(answer.json(), outgoing.size_bytes)
        await feed.created(session.id)
        if answer.status == 201:
            return session
        known = await self._require(session.id, outgoing)  # the answer does not say which parts there are
        return replace(known, chunk_bytes=session.chunk_bytes or known.chunk_bytes)

    async def _known(self, outgoing: Outgoing, feed: Feed) -> Session:
        session = await self._require(outgoing.remote_id or "", outgoing)
        if session.chunk_bytes or not session.total_parts or session.state is not RemoteState.UNFINISHED:
            return session
        return await self._create(outgoing, feed)  # only that answer tells how long a part is

    async def _require(self, remote_id: str, outgoing: Outgoing) -> Session:
        session = await self._read(remote_id, outgoing.size_bytes)
        if session is None:
            raise RemoteGoneError("the server does not know the upload any more")
        return session

    async def _read(self, remote_id: str, size_bytes: int = 0) -> Session | None:
        """Return a session, None if the server does not know it."""
        answer = await self._http.ask("GET", self._path(remote_id))
        if answer.status in (404, 410):
            if answer.is_html:  # a page may speak of the session, or of a wrong address
                await self._require_api()
            return None
        if not answer.ok:
            raise self._http.failure(answer)
        return session_of(answer.json(), size_bytes)

    async def _put(self, session: Session, number: int, length: int, pieces: AsyncIterator[bytes]) -> None:
        answer = await self._http.stream_body(
            "PUT",
            f"{self._path(session.id)}/parts/{number}",
            headers={"Content-Type": "application/octet-stream"},
            size_bytes=length,
            blocks=pieces,
        )
        if answer.ok and not answer.is_html:
            return
        if answer.status not in (400, 404, 409, 410):
            raise self._http.failure(answer)
        await self._require_open(session)
        if answer.status == 409:  # the file had changed between two tries
            raise RemoteGoneError("the server's parts are of another content")
        raise self._http.failure(answer)

    async def _require_open(self, session: Session) -> None:
        """The server refused something of a session: raise what follows if the session is over."""
        seen = await self.look(session.id)
        if seen.state in _OVER:
            raise _end(seen.state, seen.message)
        if seen.state is RemoteState.STORED:
            raise TransferError(Failure(FailureKind.CONFLICT, "the server has the file already"))

    # The end

    async def _finalize(self, session: Session, outgoing: Outgoing, feed: Feed) -> Sent:
        feed.progress(outgoing.size_bytes, outgoing.size_bytes)
        ours = await _whole_hash(outgoing, feed)
        for _ in range(_MOST_FINALIZES):
            async with beating([(feed, outgoing.size_bytes)]):
                answer = await self._ask_to_finalize(session)
            if answer is not None and answer.ok:
                return Sent(session.id, _verified(answer, ours), ours)
            if answer is not None and answer.status in (400, 404, 409, 410):
                await self._require_open(session)
                # It lost a part that it had confirmed, or is at work: what it lacks is sent at the next try.
                raise TransferError(Failure(FailureKind.CONFLICT, answer.detail, answer.status))
            if answer is not None:
                raise self._http.failure(answer)
            seen = await self.look(session.id)
            if seen.state in _OVER:
                raise _end(seen.state, seen.message)
        raise TransferError(
            Failure(FailureKind.STALLED, "the server does not finish putting the file together")
        )

    async def _ask_to_finalize(self, session: Session) -> Answer | None:
        """Return the answer; None if there was none in time: the work may go on, and asking again does no harm."""
        try:
            answer = await self._slow.ask("POST", f"{self._path(session.id)}/finalize")
        except TransferError as error:
            if error.failure.kind not in (FailureKind.STALLED, FailureKind.CONNECTION_LOST):
                raise
            return None
        return None if answer.status == 504 else answer

    def _hear(self, answer: Answer) -> CancelAnswer:
        """Return what a cancel was answered, and remember whether there are cancels: a path that is not there is a page."""
        is_there = not answer.is_html and answer.status not in (405, 501)
        if answer.ok or answer.status in (400, 404, 405, 409, 410, 501):
            self._line.has_cancel = is_there
            return CancelAnswer(answer.status, answer.detail if is_there else "")
        raise self._http.failure(answer)

    async def _batch(self, remote_batch_id: str) -> dict[str, Any] | None:
        answer = await self._http.ask("GET", self._batch_path(remote_batch_id))
        if answer.status == 404:
            if answer.is_html:
                await self._require_api()
            return None
        if not answer.ok:
            raise self._http.failure(answer)
        return answer.json()

    def _batch_path(self, remote_batch_id: str) -> str:
        return f"{self._base}/batches/{quote(remote_batch_id, safe='')}"

    def _path(self, remote_id: str) -> str:
        return f"{self._base}/uploads/sessions/{quote(remote_id, safe='')}"


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


def _end(state: RemoteState, message: str) -> Exception:
    """What follows from a session that is over: cancelled by somebody, or expired, failed or forgotten (from byte 0)."""
    return CancelledElsewhereError(message) if state is RemoteState.CANCELLED else RemoteGoneError(message)
