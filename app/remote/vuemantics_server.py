"""One connection to vuemantics: a parcel in one POST, its answer matched to the files, cancel, delete, list.

send_parcel ──► begun earlier? find ──► place in the hour? ──► token good for the whole POST? ──► POST ──► 201: ids
                     └ found: not sent again     └ BUSY, before a byte is sent                      └► refused: each its reason
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.domain.failure import CancelledElsewhereError, Failure, FailureKind, TransferError
from app.remote.answer import Answer, object_in
from app.remote.auth import Auth, SignedIn
from app.remote.base import (
    Abilities,
    CancelAnswer,
    Feed,
    Outgoing,
    ParcelItem,
    RemoteBatchRow,
    RemoteFile,
    RemoteState,
    Sent,
)
from app.remote.http import Http
from app.remote.multipart import FilePart, Multipart
from app.remote.parcel import Result, Results, by_key, in_order, left, post_form, send_alone
from app.remote.push import Push
from app.remote.vuemantics_fields import (
    MOST_FILE_BYTES,
    MOST_FILES,
    BatchRecord,
    batch_row,
    busy,
    limit_in,
    matched,
    media_type_of,
    names_of,
    refusal,
    refusal_of,
)
from app.remote.vuemantics_finding import MOST_PAGES, PAGE, Finding
from app.remote.vuemantics_posts import Posts
from app.remote.vuemantics_reading import Memory, Reading

_K = FailureKind
_MOST_DELETED = 100
_TOKEN_SPARE_S = 120.0
_SLOW_BPS = 128 * 1024
"""The token is looked at when the whole body is there: it must outlive a slow transfer."""


@dataclass(slots=True)
class Shared:
    """What the connections of an account share. *root* returns the path that the API begins at."""

    now: Callable[[], float]
    auth: Auth
    root: Callable[[], Awaitable[str]]
    posts: Posts
    memory: Memory
    push: Push
    max_file_bytes: int = MOST_FILE_BYTES
    doubts: dict[str, float] = field(default_factory=dict)

    def refused(self, answer: Answer) -> TransferError:
        """Return the error that an answer stands for."""
        return refusal(answer, self.now())


class VuemanticsServer:
    """One connection, for one worker: RemoteServer with parcels, preflight, stages, many batches, find, cancel, delete, list.

    A remote id is ``<batch>/<upload>``. Owns *http*.
    """

    def __init__(self, http: Http, shared: Shared) -> None:
        self._http = http
        self._shared = shared
        self._reading = Reading(self._ask, shared.refused, shared.memory, shared.push)
        self._finding = Finding(self._ask, shared.refused, shared.posts, shared.doubts, shared.memory.pace)
        self._may_be_closed = False
        self._said = 0

    @property
    def abilities(self) -> Abilities:
        """What the server promises; that its cancel may not work shows when it is read back (RemoteServer.abilities)."""
        return Abilities(
            cancel_batch=True,
            delete_file=True,
            processing=True,
            lists_batches=True,
            max_size_bytes=self._shared.max_file_bytes,
            max_files=MOST_FILES,
        )

    async def greet(self) -> Abilities:
        """Ask who we are (RemoteServer.greet)."""
        answer = await self._ask("GET", "/v1/auth/me")
        if not answer.ok:
            raise self._shared.refused(answer)
        return self.abilities

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # Sending

    def refusal(self, outgoing: Outgoing) -> Failure | None:
        """Return why the server would refuse a file: its type, its size (PreflightServer.refusal)."""
        return refusal_of(outgoing, self._shared.max_file_bytes)

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send one file in a POST of its own (RemoteServer.send)."""
        return await send_alone(self.send_parcel, outgoing, feed)

    async def send_parcel(self, items: Sequence[ParcelItem]) -> list[Result]:
        """Send files in one POST (ParcelServer.send_parcel); what arrived with a lost answer is not sent again."""
        results: Results = {}
        for item in items:
            refused = self.refusal(item.outgoing)
            if refused is not None:
                results[item.outgoing.key] = refused
        for key, remote_id in (await self._there([item.outgoing for item in items])).items():
            results[key] = Sent(remote_id, processing=True)
        fresh = left(items, results)
        if fresh:
            results |= by_key(fresh, await self._post(fresh))
        return in_order(items, results)

    async def _there(self, outgoings: Sequence[Outgoing]) -> dict[str, str]:
        """Return the ids of those that the server has from an earlier attempt, by their keys."""
        there: dict[str, str] = {}
        named = [each for each in outgoings if each.remote_id]
        seen = await self._reading.look_many([each.remote_id or "" for each in named])
        for outgoing, file in zip(named, seen, strict=True):
            if file.state in (RemoteState.PROCESSING, RemoteState.STORED):
                there[outgoing.key] = file.remote_id
        begun = [each for each in outgoings if each.begun_at is not None and each.key not in there]
        found = await self._finding.find(begun) if begun else {}
        return there | {key: file.remote_id for key, file in found.items()}

    async def _post(self, items: Sequence[ParcelItem]) -> list[Result]:
        names = names_of([item.outgoing for item in items])
        body = Multipart([_part(item, name) for item, name in zip(items, names, strict=True)])
        mark = self._shared.posts.take()
        try:
            answer = await self._posted(body, items)
        except BaseException as error:
            if not body.is_out or _is_not_counted(error):
                self._shared.posts.give_back(mark)
            raise
        if answer.status != 201:
            raise self._why_not(answer, mark)
        self._shared.posts.answered(mark)
        return await self._taken(answer, items, names)

    async def _posted(self, body: Multipart, items: Sequence[ParcelItem]) -> Answer:
        root = await self._shared.root()
        await self._renew_for(body.size_bytes)
        # Also a connection that was closed behind our back is noticed here, and not by the POST.
        self._shared.posts.begin(await self._finding.newest())
        self._shared.push.open()  # the first words come before the answer
        last = items[-1]
        alive = [(last.feed, last.outgoing.size_bytes)]
        return await post_form(self._http, f"{root}/v1/uploads/bulk", body, alive)

    async def _renew_for(self, size_bytes: int) -> None:
        auth = self._shared.auth
        if not isinstance(auth, SignedIn):
            return
        ends = (await auth.tokens()).expires_at
        if ends is not None and ends - self._shared.now() < _TOKEN_SPARE_S + size_bytes / _SLOW_BPS:
            await auth.renew(await auth.headers())

    async def _taken(self, answer: Answer, items: Sequence[ParcelItem], names: Sequence[str]) -> list[Result]:
        body = answer.json()
        batch_id, ids, refused = (
            str(body.get("batch_id") or ""),
            body.get("upload_ids"),
            body.get("failed_files"),
        )
        if not batch_id or not isinstance(ids, list) or not isinstance(refused, list):
            raise TransferError(
                Failure(_K.NOT_A_SERVER, "its answer does not say what it took", answer.status)
            )
        reasons = [_reason(each) for each in refused]
        results: list[Result] = []
        told = []
        for item, match in zip(items, matched(names, [str(each) for each in ids], reasons), strict=True):
            if isinstance(match, Failure):
                results.append(match)
                continue
            sent = Sent(f"{batch_id}/{match}", sha256=item.feed.sha256(), processing=True)
            item.feed.progress(item.outgoing.size_bytes, item.outgoing.size_bytes)
            told.append(item.feed.created(sent.remote_id))
            results.append(sent)
        await asyncio.gather(*told)
        self._shared.posts.known(
            batch_id
        )  # only now: until its ids are written down, it is a batch to be found
        return results

    def _why_not(self, answer: Answer, mark: float) -> Exception:
        """Return what to raise for a POST that was not answered by 201."""
        posts, status = self._shared.posts, answer.status
        limit, error = limit_in(answer.detail), self._shared.refused(answer)
        asked_to_wait = error.failure.retry_after_s if answer.headers.get("retry-after") else None
        if status in (420, 429) and (limit or asked_to_wait is not None):
            wait_s = posts.refused(mark, limit, asked_to_wait)
            return TransferError(
                busy(limit, "upload", wait_s, status)
                if limit
                else replace(error.failure, retry_after_s=wait_s)
            )
        if status == 409 and isinstance(object_in(answer.body).get("batch_id"), str):
            posts.answered(mark)  # cancelled from elsewhere while it was sent: our server can
            return CancelledElsewhereError(answer.detail)
        if status >= 500:
            posts.answered(mark)  # it may well have been counted
            return error
        posts.give_back(mark)
        return error

    async def find(self, outgoings: Sequence[Outgoing]) -> Mapping[str, RemoteFile]:
        """Return what the server has of files whose ids were lost with an answer (FindServer.find)."""
        return await self._finding.find(outgoings)

    # Reading back

    async def look(self, remote_id: str) -> RemoteFile:
        """Read a file back (RemoteServer.look)."""
        (file,) = await self._reading.look_many([remote_id])
        return file

    async def look_many(self, remote_ids: Sequence[str]) -> Sequence[RemoteFile]:
        """Read files back, batch by batch (StageServer.look_many)."""
        return await self._reading.look_many(remote_ids)

    async def news(self, timeout_s: float) -> None:
        """Return at the next word of the socket, or after *timeout_s* (StageServer.news)."""
        due_s = self._shared.memory.due_s(asyncio.get_running_loop().time())
        self._said = await self._shared.push.news(self._said, min(timeout_s, due_s))

    async def list_batches(self) -> list[RemoteBatchRow]:
        """Return the account's batches, newest first (ListServer.list_batches); at most 2,000."""
        found: dict[str, BatchRecord] = {}
        for number in range(MOST_PAGES):
            page = await self._finding.page(PAGE, number * PAGE)
            found.update((batch.id, batch) for batch in page if batch.id not in found)
            if len(page) < PAGE:
                break
        return [batch_row(batch) for batch in found.values()]

    def batches_of(self, remote_ids: Sequence[str]) -> list[str]:
        """Return the batches that these files belong to (ManyBatchServer.batches_of)."""
        return list(dict.fromkeys(remote_id.partition("/")[0] for remote_id in remote_ids))

    # Ending

    async def cancel_batch(self, remote_batch_id: str) -> CancelAnswer:
        """Cancel one of the server's batches, and read it back: its answer alone means nothing (CancelServer.cancel_batch)."""
        answer = await self._ask("POST", f"/v1/uploads/batches/{remote_batch_id}/cancel")
        if answer.status not in (200, 202, 204, 400, 404, 405, 409, 422, 500):
            raise self._shared.refused(answer)
        self._shared.memory.forget(remote_batch_id)
        batch = await self._reading.batch(remote_batch_id)
        return CancelAnswer(answer.status, _said_of(answer, batch))

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        """Cancel a file that is a batch of its own; otherwise say that this server cannot (CancelServer.cancel_file)."""
        batch_id = remote_id.partition("/")[0]
        batch = await self._reading.batch(batch_id)
        if batch is None:
            return CancelAnswer(404, "the server does not know this file's batch")
        if batch.total == 1:
            return await self.cancel_batch(batch_id)
        return CancelAnswer(405, f"this server cancels whole batches alone; this one has {batch.total} files")

    async def delete_files(self, remote_ids: Sequence[str]) -> None:
        """Delete files, also those that wait to be processed: those the server then counts as failed (DeleteServer)."""
        upload_ids = [remote_id.rpartition("/")[2] for remote_id in remote_ids]
        for start in range(0, len(upload_ids), _MOST_DELETED):
            some = upload_ids[start : start + _MOST_DELETED]
            answer = await self._ask("POST", "/v1/uploads/bulk/delete", payload=some)
            if not answer.ok:
                raise self._shared.refused(answer)
        for remote_id in remote_ids:
            batch_id, _, upload_id = remote_id.partition("/")
            self._shared.memory.deleted(batch_id, upload_id)

    async def _ask(self, method: str, path: str, *, payload: object = None) -> Answer:
        root = await self._shared.root()
        if self._may_be_closed and method != "GET":
            # After a 500 the server hangs up without a word. A GET is repeated if it meets that; a POST must not.
            await self._http.ask("GET", f"{root}/v1/health")
        answer = await self._http.ask(method, f"{root}{path}", payload=payload)
        self._may_be_closed = answer.status == 500
        return answer


def _part(item: ParcelItem, name: str) -> FilePart:
    media_type = media_type_of(item.outgoing.relative_path) or "application/octet-stream"
    return FilePart("files", name, media_type, item.outgoing.size_bytes, item.feed)


def _reason(refused: object) -> tuple[str, str]:
    """Return name and reason of one of ``failed_files``."""
    if not isinstance(refused, dict):
        return "", ""
    return str(refused.get("filename") or ""), str(refused.get("error") or "")[:300]


def _is_not_counted(error: BaseException) -> bool:
    """Whether a POST that failed was refused before it was counted: the sign-in had run out, and was renewed."""
    return isinstance(error, TransferError) and error.failure.http_status == 401


def _said_of(answer: Answer, batch: BatchRecord | None) -> str:
    """Return in a few plain words what a cancel was worth, as the batch itself shows it."""
    if batch is None:
        return "it does not know this batch"
    if batch.status == "cancelled":
        return "the batch is cancelled; files that had arrived stay there until they are deleted"
    if batch.is_over:
        return "the batch was over already"
    if answer.ok:
        return "it said yes and did nothing"
    if answer.status == 500:
        return "its cancel is broken"
    return "it has no such cancel" if answer.status in (404, 405) else answer.detail
