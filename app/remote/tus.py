"""The tus dialect: any server that speaks tus 1.0.0, resumed by HEAD.

new ─────────── POST ── created(id) ──┐
begun earlier ─ HEAD ── offset ───────┴─► PATCH… ── PATCH of the last block ──► stored
                  ▲                        │ 409: the server stands elsewhere
                  └────────────────────────┘
new, at most 1 MiB, and the server makes one upload of one key: POST with the body ──► stored

Elsewhere a file never goes with its creation: if that answer were lost, nobody could find the whole file that it left, and
the next try would make a second one. A creation alone leaves an empty upload, which expires.
"""

from app.domain.failure import Failure, FailureKind, RemoteGoneError, TransferError
from app.remote import tusfields
from app.remote.answer import Answer
from app.remote.base import Abilities, CancelAnswer, Feed, Outgoing, RemoteFile, RemoteState, Sent
from app.remote.blocks import Blocks
from app.remote.http import Http

BLOCK_BYTES = 1024 * 1024
CHUNK_BYTES = 64 * BLOCK_BYTES
"""A bounded body: the client hears a refusal only after it, and a proxy may buffer it."""

_MOST_CONFLICTS = 3


class TusServer:
    """One connection to a tus server, for one worker (RemoteServer). Owns *http*.

    *files_path* is the absolute path of the resource that POST creates uploads at. A remote id is the part of an
    upload's path after it. *creates_once*: the server honours Idempotency-Key.
    """

    def __init__(
        self, http: Http, files_path: str, *, chunk_bytes: int = CHUNK_BYTES, creates_once: bool = False
    ) -> None:
        self._http = http
        self._files_path = files_path
        self._chunk_bytes = chunk_bytes
        self._creates_once = creates_once
        self._checksum: str | None = None
        self._abilities: Abilities | None = None
        self._takes_body_at_once = False

    @property
    def abilities(self) -> Abilities:
        """What the server promised; nothing before the first call that reached it."""
        return self._abilities or Abilities()

    async def greet(self) -> Abilities:
        """Ask the server what it can do (RemoteServer.greet); NOT_A_SERVER if it does not speak tus."""
        return await self._asked()

    async def _asked(self) -> Abilities:
        """Return what the server can do; it is asked once."""
        if self._abilities is None:
            self.hear(await self._http.ask("OPTIONS", self._files_path, headers=tusfields.VERSION))
        return self.abilities

    def hear(self, answer: Answer) -> None:
        """Take what the server answered to OPTIONS. Raises TransferError; NOT_A_SERVER if it does not speak tus."""
        if not answer.ok and answer.status not in (404, 405):
            raise self._http.failure(answer)
        self._abilities = self._promised(answer)
        extensions = tusfields.extensions_of(answer)
        self._takes_body_at_once = self._creates_once and "creation-with-upload" in extensions
        if not self._creates_once:  # there the hash of the whole file is compared
            self._checksum = tusfields.checksum_of(answer)

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send the file or the rest of it (RemoteServer.send)."""
        limit_bytes = (await self._asked()).max_size_bytes
        if limit_bytes is not None and outgoing.size_bytes > limit_bytes:
            raise TransferError(
                Failure(FailureKind.TOO_LARGE, "larger than the server takes", limit_bytes=limit_bytes)
            )
        if outgoing.remote_id is not None:
            offset_bytes = await self._offset(outgoing.remote_id, outgoing.size_bytes)
            return await self._push(outgoing.remote_id, offset_bytes, outgoing, feed)
        if outgoing.size_bytes <= BLOCK_BYTES and self._takes_body_at_once:
            return await self._send_at_once(outgoing, feed)
        answer = await self._create(outgoing)
        return await self._go_on(answer, outgoing, feed)

    async def look(self, remote_id: str) -> RemoteFile:
        """Read an upload back; tus knows only how many bytes there are (RemoteServer.look)."""
        answer = await self._http.ask("HEAD", self._path(remote_id), headers=tusfields.VERSION)
        if answer.status in (404, 410):
            return RemoteFile(remote_id, RemoteState.UNKNOWN)
        offset, size = answer.number("upload-offset"), answer.number("upload-length")
        if not answer.ok or offset is None:
            raise self._refused(answer)
        state = RemoteState.STORED if offset == size else RemoteState.UNFINISHED
        return RemoteFile(remote_id, state, offset, size or 0)

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        """Terminate an upload (tus termination); 400, 404, 409 and 410 are answers, too."""
        return self._heard(await self._http.ask("DELETE", self._path(remote_id), headers=tusfields.VERSION))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # What a server with an API beside tus knows better.

    def _promised(self, answer: Answer) -> Abilities:
        return tusfields.abilities(answer)

    async def _why(self, answer: Answer, remote_id: str) -> Exception:
        """Return what to raise when the server does not go on with *remote_id*."""
        gone = answer.status in (404, 410) and not answer.is_html
        return RemoteGoneError(answer.detail) if gone else self._refused(answer)

    def _why_not_created(self, answer: Answer) -> Exception:
        return self._refused(answer)

    async def _already_whole(self, remote_id: str, outgoing: Outgoing, feed: Feed) -> Sent:
        """The server holds every byte before this attempt has sent one."""
        return Sent(remote_id)

    # Creating

    async def _send_at_once(self, outgoing: Outgoing, feed: Feed) -> Sent:
        blocks = Blocks(feed, 0)
        block = await blocks.read(outgoing.size_bytes)
        if not block:
            await feed.block()  # an empty file has an end, too, that must be proved
        answer = await self._create(outgoing, blocks, block, feed.sha256())
        remote_id = self._id_in(answer)
        if answer.number("upload-offset") == outgoing.size_bytes:
            blocks.accept(outgoing.size_bytes)
            return self._finished(answer, remote_id, feed.sha256())
        return await self._go_on(answer, outgoing, feed)

    async def _create(
        self, outgoing: Outgoing, blocks: Blocks | None = None, block: bytes = b"", sha256: str | None = None
    ) -> Answer:
        headers = {
            **tusfields.VERSION,
            "Upload-Length": str(outgoing.size_bytes),
            "Upload-Metadata": tusfields.metadata(outgoing, sha256, with_type=not self._creates_once),
            "Idempotency-Key": outgoing.key,
        }
        if blocks is None:
            answer = await self._http.ask("POST", self._files_path, headers=headers)
        else:
            answer = await self._http.stream_body(
                "POST",
                self._files_path,
                headers={**headers, **tusfields.BODY_TYPE},
                size_bytes=len(block),
                blocks=blocks.body_of(block),
            )
        if not answer.ok:
            raise self._why_not_created(answer)
        return answer

    def _id_in(self, answer: Answer) -> str:
        files_url = self._http.url_of(self._files_path)
        return tusfields.remote_id_of(answer.headers.get("location", ""), files_url)

    async def _go_on(self, answer: Answer, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send what an upload that was just created (or found by its key) still lacks."""
        remote_id = self._id_in(answer)
        await feed.created(remote_id)
        return await self._push(remote_id, answer.number("upload-offset") or 0, outgoing, feed)

    # Sending

    async def _push(self, remote_id: str, offset_bytes: int, outgoing: Outgoing, feed: Feed) -> Sent:
        if offset_bytes == outgoing.size_bytes and offset_bytes:
            feed.progress(offset_bytes, offset_bytes)
            return await self._already_whole(remote_id, outgoing, feed)
        conflicts = 0
        while True:
            answer = await self._patch_from(remote_id, offset_bytes, outgoing.size_bytes, feed)
            if answer.ok:
                return self._finished(answer, remote_id, feed.sha256())
            conflicts += 1
            if answer.status != 409 or conflicts > _MOST_CONFLICTS:
                raise await self._why(answer, remote_id)
            offset_bytes = await self._offset(remote_id, outgoing.size_bytes)

    async def _patch_from(self, remote_id: str, offset_bytes: int, size_bytes: int, feed: Feed) -> Answer:
        """PATCH until the file's end; return the answer to the last one, or the first that is no success."""
        await feed.seek(offset_bytes)
        blocks = Blocks(feed, offset_bytes)
        blocks.accept(offset_bytes)
        while True:
            answer = await self._patch(remote_id, offset_bytes, size_bytes, blocks, feed)
            if not answer.ok:
                return answer
            reached = answer.number("upload-offset")
            if reached is None or reached > size_bytes:
                raise TransferError(
                    Failure(FailureKind.NOT_A_SERVER, "the answer lacks Upload-Offset", answer.status)
                )
            if reached != blocks.sent_bytes:
                raise TransferError(
                    Failure(FailureKind.CONFLICT, "the server took fewer bytes than were sent")
                )
            blocks.accept(reached)
            if reached == size_bytes:
                return answer
            offset_bytes = reached

    async def _patch(
        self, remote_id: str, offset_bytes: int, size_bytes: int, blocks: Blocks, feed: Feed
    ) -> Answer:
        left_bytes = size_bytes - offset_bytes
        body_bytes = tusfields.patch_bytes(left_bytes, self._chunk_bytes, BLOCK_BYTES)
        headers = {**tusfields.VERSION, **tusfields.BODY_TYPE, "Upload-Offset": str(offset_bytes)}
        body = blocks.body(body_bytes)
        if body_bytes == left_bytes:
            block = await self._last_block(blocks, left_bytes, feed)
            body = blocks.body_of(block)
            headers["Upload-SHA256"] = feed.sha256()
            if self._checksum is not None:
                headers["Upload-Checksum"] = tusfields.checksum(self._checksum, block)
        return await self._http.stream_body(
            "PATCH", self._path(remote_id), headers=headers, size_bytes=body_bytes, blocks=body
        )

    async def _last_block(self, blocks: Blocks, left_bytes: int, feed: Feed) -> bytes:
        block = await blocks.read(left_bytes)
        if not block:
            await feed.block()
        return block

    async def _offset(self, remote_id: str, size_bytes: int) -> int:
        answer = await self._http.ask("HEAD", self._path(remote_id), headers=tusfields.VERSION)
        if not answer.ok:
            raise await self._why(answer, remote_id)
        offset, length = answer.number("upload-offset"), answer.number("upload-length")
        if offset is None:
            raise TransferError(
                Failure(FailureKind.NOT_A_SERVER, "the answer lacks Upload-Offset", answer.status)
            )
        if length is not None and length != size_bytes:
            raise RemoteGoneError("the server's upload is of another length")
        return offset

    def _finished(self, answer: Answer, remote_id: str, sha256: str) -> Sent:
        theirs = answer.headers.get("upload-sha256", "").lower()
        if theirs and theirs != sha256:
            raise TransferError(Failure(FailureKind.CHECKSUM_MISMATCH, f"the server stored SHA-256 {theirs}"))
        # Of our own server: it goes on working at the file.
        is_processing = answer.headers.get("upload-processing") == "?1"
        return Sent(remote_id, "verified" if theirs else "", sha256, is_processing)

    # Answers

    def _path(self, remote_id: str) -> str:
        return tusfields.path_of(remote_id, self._files_path)

    def _refused(self, answer: Answer) -> TransferError:
        if answer.ok:
            return TransferError(
                Failure(FailureKind.NOT_A_SERVER, "no upload server answers here", answer.status)
            )
        return self._http.failure(answer)

    def _heard(self, answer: Answer) -> CancelAnswer:
        if answer.ok or (answer.status in (400, 404, 409, 410) and not answer.is_html):
            return CancelAnswer(answer.status, answer.detail)
        raise self._refused(answer)
