"""The dialect of our own server: tus for the bytes, and its HTTP API for batches, cancels and reading back.

Source of the contract: docs/SERVER.md.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

from app.domain.failure import CancelledElsewhereError, RemoteGoneError
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
from app.remote.http import Http, http_of
from app.remote.push import Push
from app.remote.tus import CHUNK_BYTES, TusServer

FILE_STATES: Mapping[str, RemoteState] = {
    "pending": RemoteState.UNFINISHED,
    "uploading": RemoteState.UNFINISHED,
    "stored": RemoteState.STORED,
    "failed": RemoteState.FAILED,
    "cancelled": RemoteState.CANCELLED,
}
BATCH_STATES: Mapping[str, RemoteState] = {
    "pending": RemoteState.UNFINISHED,
    "processing": RemoteState.UNFINISHED,
    "completed": RemoteState.STORED,
    "partial": RemoteState.STORED,  # it is over and holds files; the files say which
    "failed": RemoteState.FAILED,
    "cancelled": RemoteState.CANCELLED,
}
JOB_STATES: Mapping[str, RemoteState] = {
    "queued": RemoteState.PROCESSING,
    "processing": RemoteState.PROCESSING,
    "completed": RemoteState.STORED,
    "failed": RemoteState.FAILED,
    "cancelled": RemoteState.STORED,  # the bytes stay
}
"""What the work at a stored file says of it."""
MAX_PAGE_FILES = 1000
"""The longest page that the server gives."""

_MOST_IDS = 200
_MOST_BATCHES = 200
_CANCELLED_CODES = frozenset({"cancelled", "batch_cancelled"})


class UphaulLine:
    """All connections of one account, and the socket that tells what happens there."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._auth = account.given_token()
        self._push: Push | None = None
        self._heard = 0

    def connect(self) -> RemoteServer:
        """Return a connection (Line.connect)."""
        return UphaulServer(http_of(self._account, self._auth), line=self)

    async def news(self, timeout_s: float) -> None:
        """Return when the server has told something, or after *timeout_s*; without a socket the latter."""
        if self._auth is None:
            await asyncio.sleep(timeout_s)
            return
        if self._push is None:
            self._push = Push(self._account, self._auth, self._path, lambda _batch_id: None)
        self._heard = await self._push.news(self._heard, timeout_s)

    async def aclose(self) -> None:
        """Close the socket (Line.aclose)."""
        if self._push is not None:
            await self._push.aclose()

    async def _path(self) -> str:
        return f"{urlsplit(self._account.endpoint.url).path.rstrip('/')}/api/v1/ws"


class UphaulServer(TusServer):
    """One connection to our own server, for one worker: all powers of base.py. Without a *line* news are never early."""

    def __init__(self, http: Http, *, chunk_bytes: int = CHUNK_BYTES, line: UphaulLine | None = None) -> None:
        super().__init__(http, f"{http.base_path}/files", chunk_bytes=chunk_bytes, creates_once=True)
        self._api = f"{http.base_path}/api/v1"
        self._line = line

    @property
    def abilities(self) -> Abilities:
        """What this server can do (RemoteServer.abilities): the cancels are part of its API, asked or not."""
        return replace(
            super().abilities,
            cancel_file=True,
            cancel_batch=True,
            delete_file=True,
            processing=True,
            lists_batches=True,
        )

    async def greet(self) -> Abilities:
        """Ask what the server takes, and whether it takes it from us (RemoteServer.greet)."""
        await super().greet()
        await self._record("batches?limit=1")
        return self.abilities

    # Reading back

    async def look(self, remote_id: str) -> RemoteFile:
        """Read a file back (RemoteServer.look)."""
        record = await self._record(f"files/{quote(remote_id, safe='')}")
        return RemoteFile(remote_id, RemoteState.UNKNOWN) if record is None else _file(record)

    async def look_many(self, remote_ids: Sequence[str]) -> Sequence[RemoteFile]:
        """Read files back, two hundred a request (StageServer.look_many)."""
        seen: dict[str, RemoteFile] = {}
        for at in range(0, len(remote_ids), _MOST_IDS):
            asked = "&".join(f"file_id={quote(each, safe='')}" for each in remote_ids[at : at + _MOST_IDS])
            page = await self._record(f"files?{asked}") or {}
            seen |= {file.remote_id: file for file in map(_file, page.get("items") or [])}
        return [seen.get(each, RemoteFile(each, RemoteState.UNKNOWN)) for each in remote_ids]

    async def news(self, timeout_s: float) -> None:
        """Wait for what the server tells by its WebSocket (StageServer.news)."""
        if self._line is None:
            await asyncio.sleep(timeout_s)
        else:
            await self._line.news(timeout_s)

    async def list_batches(self) -> Sequence[RemoteBatchRow]:
        """Return the account's newest batches (ListServer.list_batches)."""
        page = await self._record(f"batches?limit={_MOST_BATCHES}") or {}
        return [_row(record) for record in page.get("items") or []]

    async def look_batch(self, remote_batch_id: str) -> RemoteBatch:
        """Read a batch back (BatchServer.look_batch); one that the server does not know is UNKNOWN."""
        record = await self._record(f"batches/{quote(remote_batch_id, safe='')}")
        return RemoteBatch(remote_batch_id, RemoteState.UNKNOWN) if record is None else _batch(record)

    async def find(self, outgoings: Sequence[Outgoing]) -> Mapping[str, RemoteFile]:
        """Find files by their idempotency keys, one request each (FindServer.find)."""
        found: dict[str, RemoteFile] = {}
        for outgoing in outgoings:
            page = await self._record(f"files?idempotency_key={quote(outgoing.key, safe='')}") or {}
            if items := page.get("items"):
                found[outgoing.key] = _file(items[0])
        return found

    async def list_files(
        self, remote_batch_id: str, each: Callable[[RemoteFile], None], *, page_files: int = MAX_PAGE_FILES
    ) -> None:
        """Call *each* for every file of a batch, *page_files* a request (BatchServer.list_files)."""
        seen = 0
        while True:
            path = f"batches/{quote(remote_batch_id, safe='')}/files?limit={page_files}&offset={seen}"
            page = await self._record(path) or {}
            items = page.get("items") or []
            for item in items:
                each(_file(item))
            seen += len(items)
            if not items or seen >= page.get("total", 0):
                return

    # Doing

    async def open_batch(self, name: str, key: str) -> RemoteBatch:
        """Create a batch, or get the one made with the same key (BatchServer.open_batch)."""
        answer = await self._http.ask(
            "POST", f"{self._api}/batches", payload={"name": name, "idempotency_key": key}
        )
        if not answer.ok:
            raise self._refused(answer)
        return _batch(answer.json())

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        """Cancel one file by the server's HTTP endpoint (CancelServer.cancel_file)."""
        return await self._cancel(f"upload/cancel/{quote(remote_id, safe='')}")

    async def cancel_batch(self, remote_batch_id: str) -> CancelAnswer:
        """Cancel a batch, however many files it has, with one request (CancelServer.cancel_batch)."""
        return await self._cancel(f"batch/cancel/{quote(remote_batch_id, safe='')}")

    async def delete_files(self, remote_ids: Sequence[str]) -> None:
        """Delete stored files, one request each; one that is gone is no error (DeleteServer.delete_files)."""
        for remote_id in remote_ids:
            answer = await self._http.ask("DELETE", f"{self._api}/files/{quote(remote_id, safe='')}")
            if not answer.ok and (answer.status not in (404, 410) or answer.is_html):
                raise self._refused(answer)

    async def _cancel(self, path: str) -> CancelAnswer:
        return self._heard(await self._http.ask("POST", f"{self._api}/{path}"))

    async def _record(self, path: str) -> dict[str, Any] | None:
        answer = await self._http.ask("GET", f"{self._api}/{path}")
        if answer.status == 404 and answer.code:
            return None
        if not answer.ok:
            raise self._refused(answer)
        return answer.json()

    # What tus alone cannot know

    async def _why(self, answer: Answer, remote_id: str) -> Exception:
        if answer.status == 410 and not answer.code:  # HEAD has no body that could say why
            state = (await self.look(remote_id)).state
            return (
                CancelledElsewhereError() if state is RemoteState.CANCELLED else RemoteGoneError(str(state))
            )
        if answer.code in _CANCELLED_CODES:
            return CancelledElsewhereError(answer.detail)
        return await super()._why(answer, remote_id)

    def _why_not_created(self, answer: Answer) -> Exception:
        if answer.code in _CANCELLED_CODES:
            return CancelledElsewhereError(answer.detail)
        if answer.status == 410 and answer.code:  # the file of this key has failed: a new key starts anew
            return RemoteGoneError(answer.detail)
        return super()._why_not_created(answer)

    async def _already_whole(self, remote_id: str, outgoing: Outgoing, feed: Feed) -> Sent:
        record = await self._record(f"files/{quote(remote_id, safe='')}") or {}
        if _state(record) is RemoteState.STORED:
            is_processing = _file(record).state is RemoteState.PROCESSING
            return Sent(remote_id, "verified", record.get("sha256"), is_processing)
        answer = await self._patch_from(remote_id, outgoing.size_bytes, outgoing.size_bytes, feed)
        if not answer.ok:
            raise await self._why(answer, remote_id)
        return self._finished(answer, remote_id, feed.sha256())


def _state(record: Mapping[str, Any]) -> RemoteState:
    return FILE_STATES.get(str(record.get("status")), RemoteState.UNKNOWN)


def _file(record: Mapping[str, Any]) -> RemoteFile:
    job: Mapping[str, Any] = record.get("processing") or {}
    state = _state(record)
    if job and state is RemoteState.STORED:
        state = JOB_STATES.get(str(job.get("status")), state)
    return RemoteFile(
        str(record.get("file_id")),
        state,
        int(record.get("offset") or 0),
        int(record.get("size_bytes") or 0),
        str(record.get("error_message") or job.get("error") or ""),
        str(job.get("stage") or ""),
        int(job.get("progress") or 0) / 100 if job else None,
    )


def _row(record: Mapping[str, Any]) -> RemoteBatchRow:
    failed, cancelled = int(record.get("failed_count") or 0), int(record.get("cancelled_count") or 0)
    return RemoteBatchRow(
        remote_id=str(record.get("batch_id")),
        name=str(record.get("name") or ""),
        state=BATCH_STATES.get(str(record.get("status")), RemoteState.UNKNOWN),
        total_files=int(record.get("total_files") or 0),
        done_files=int(record.get("stored_count") or 0),
        failed_files=failed,
        share=float(record.get("progress_percentage") or 0) / 100,
        created=str(record.get("created_at") or ""),
        message=f"{cancelled} cancelled" if cancelled else "",
    )


def _batch(record: Mapping[str, Any]) -> RemoteBatch:
    return RemoteBatch(
        str(record.get("batch_id")),
        BATCH_STATES.get(str(record.get("status")), RemoteState.UNKNOWN),
        record.get("folder"),
        int(record.get("stored_count") or 0),
        int(record.get("cancelled_count") or 0),
    )
