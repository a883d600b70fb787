"""The IETF's draft "Resumable Uploads for HTTP", spoken by servers that announce it in their answer to OPTIONS.

new ──────────── POST, no body, Upload-Complete: ?0 ── created(Location) ──┐
begun earlier ── HEAD ── Upload-Offset, Upload-Complete ───────────────────┴─► PATCH… ── the last with Upload-Complete: ?1 ──► stored

Source of the contract: draft-ietf-httpbis-resumable-upload, interop version 8 (drafts 08 to 12). The interim answer 104 tells the
Location and the progress early; our HTTP library hides it, so the upload is created before its first byte, which needs no 104.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

from app.domain.failure import Failure, FailureKind, RemoteGoneError, TransferError
from app.remote.answer import Answer
from app.remote.base import Abilities, CancelAnswer, Feed, Outgoing, RemoteFile, RemoteState, Sent
from app.remote.blocks import Blocks
from app.remote.http import Http
from app.remote.tusfields import path_of, remote_id_of

CHUNK_BYTES = 64 * 2**20
_VERSION: Mapping[str, str] = {"Upload-Draft-Interop-Version": "8"}
_PARTIAL = "application/partial-upload"
_MOST_CONFLICTS = 3
_LIMIT = re.compile(r"([a-z][a-z0-9-]*)\s*=\s*(\d{1,18})(?!\d)")


def limits_of(answer: Answer) -> Mapping[str, int]:
    """Return the numbers of ``Upload-Limit`` (a structured dictionary): max-size, max-append-size and others."""
    return {
        name: int(value) for name, value in _LIMIT.findall(answer.headers.get("upload-limit", "").lower())
    }


def is_announced(answer: Answer) -> bool:
    """Whether an answer to OPTIONS is that of a server which speaks the draft."""
    return "upload-limit" in answer.headers or _PARTIAL in answer.headers.get("accept-patch", "").lower()


class DraftServer:
    """One connection for one worker (RemoteServer). Owns *http*; *options* is the answer that announced it."""

    def __init__(self, http: Http, files_path: str, options: Answer) -> None:
        self._http = http
        self._files_path = files_path
        limits = limits_of(options)
        self._chunk_bytes = min(CHUNK_BYTES, limits.get("max-append-size", CHUNK_BYTES)) or CHUNK_BYTES
        self._abilities = Abilities(resume=True, cancel_file=True, max_size_bytes=limits.get("max-size"))

    @property
    def abilities(self) -> Abilities:
        """What it announced; every upload can be ended by DELETE."""
        return self._abilities

    async def greet(self) -> Abilities:
        """It was reached already (RemoteServer.greet)."""
        return self._abilities

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send the file or the rest of it (RemoteServer.send)."""
        limit = self._abilities.max_size_bytes
        if limit is not None and outgoing.size_bytes > limit:
            raise TransferError(
                Failure(FailureKind.TOO_LARGE, "larger than the server takes", limit_bytes=limit)
            )
        remote_id, offset = outgoing.remote_id, 0
        if remote_id is None:
            remote_id = await self._create(outgoing)
            await feed.created(remote_id)
        else:
            offset, is_whole = await self._standing(remote_id)
            if is_whole:
                await _prove(outgoing, feed)
                return Sent(remote_id)
        for _ in range(_MOST_CONFLICTS):
            answer = await self._append_all(remote_id, offset, outgoing.size_bytes, feed)
            if answer.ok:
                return Sent(remote_id)
            if answer.status != 409:
                raise self._why(answer)
            offset, is_whole = await self._standing(remote_id)
            if is_whole:
                await _prove(outgoing, feed)
                return Sent(remote_id)
        raise TransferError(Failure(FailureKind.CONFLICT, "the server stands elsewhere each time", 409))

    async def look(self, remote_id: str) -> RemoteFile:
        """Read an upload back (RemoteServer.look)."""
        answer = await self._http.ask("HEAD", self._path(remote_id), headers=_VERSION)
        if answer.status in (404, 410):
            return RemoteFile(remote_id, RemoteState.UNKNOWN)
        if not answer.ok:
            raise self._http.failure(answer)
        is_whole = answer.headers.get("upload-complete") == "?1"
        state = RemoteState.STORED if is_whole else RemoteState.UNFINISHED
        size = answer.number("upload-length") or 0
        return RemoteFile(remote_id, state, answer.number("upload-offset") or 0, size)

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        """End an upload by DELETE; 404, 405 and 410 are answers, too."""
        answer = await self._http.ask("DELETE", self._path(remote_id), headers=_VERSION)
        if answer.ok or (answer.status in (400, 404, 405, 409, 410) and not answer.is_html):
            return CancelAnswer(answer.status, answer.detail)
        raise self._http.failure(answer)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _create(self, outgoing: Outgoing) -> str:
        name = outgoing.relative_path.rpartition("/")[2]
        headers = {
            **_VERSION,
            "Upload-Complete": "?0",
            "Upload-Length": str(outgoing.size_bytes),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "Idempotency-Key": outgoing.key,
        }
        answer = await self._http.ask("POST", self._files_path, headers=headers)
        if not answer.ok:
            raise self._http.failure(answer)
        return remote_id_of(answer.headers.get("location", ""), self._http.url_of(self._files_path))

    async def _append_all(self, remote_id: str, offset: int, size_bytes: int, feed: Feed) -> Answer:
        """PATCH until the end; return the answer to the last one, or the first that is no success."""
        await feed.seek(offset)
        blocks = Blocks(feed, offset)
        blocks.accept(offset)
        while True:
            length = min(self._chunk_bytes, size_bytes - offset)
            is_last = offset + length == size_bytes
            if not length:
                await feed.block()  # an empty file has an end, too, that must be proved
            answer = await self._http.stream_body(
                "PATCH",
                self._path(remote_id),
                headers={
                    **_VERSION,
                    "Content-Type": _PARTIAL,
                    "Upload-Offset": str(offset),
                    "Upload-Complete": "?1" if is_last else "?0",
                },
                size_bytes=length,
                blocks=blocks.body(length),
            )
            if not answer.ok or is_last:
                return answer
            told = answer.number("upload-offset")
            offset += length
            if told is not None and told != offset:
                raise TransferError(
                    Failure(FailureKind.CONFLICT, "the server took fewer bytes than were sent")
                )
            blocks.accept(offset)

    async def _standing(self, remote_id: str) -> tuple[int, bool]:
        """Return the server's offset in bytes, and whether it has everything."""
        answer = await self._http.ask("HEAD", self._path(remote_id), headers=_VERSION)
        if not answer.ok:
            raise self._why(answer)
        offset = answer.number("upload-offset")
        is_whole = answer.headers.get("upload-complete") == "?1"
        if offset is None and not is_whole:
            raise TransferError(
                Failure(FailureKind.NOT_A_SERVER, "the answer lacks Upload-Offset", answer.status)
            )
        return offset or 0, is_whole

    def _why(self, answer: Answer) -> Exception:
        gone = answer.status in (404, 410) and not answer.is_html
        return RemoteGoneError(answer.detail) if gone else self._http.failure(answer)

    def _path(self, remote_id: str) -> str:
        return path_of(remote_id, self._files_path)


async def _prove(outgoing: Outgoing, feed: Feed) -> None:
    """The server has every byte already: see that the file is still the one that was sent."""
    feed.progress(outgoing.size_bytes, outgoing.size_bytes)
    await feed.seek(outgoing.size_bytes)
    await feed.block()
