"""Sends the files of one parcel to a Hub: images together, each video alone, and nothing that is there already.

look for what may be there ──► is the project there? ──► POST images ──► 200: which were stored, in order
                                                            │  ├─ 200 or 400 that calls files failed: the project is asked
                                                            │  └─ 400: halves, until it is known which file (or how many)
                                                            ├─ cut before the last byte: nothing is stored
                                                            └─ cut after it, no answer, 5xx: in doubt

The engine believes what is returned, and looks again for what was raised: so nothing is returned that is in doubt.
Source of the contract: the Hub's code at bf99ac26, §4 (uploads), §4b (videos).
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from uuid import uuid4

from app.domain.failure import CancelledElsewhereError, Failure, FailureKind, TransferError
from app.remote import hubfields
from app.remote.answer import Answer
from app.remote.base import Feed, ParcelItem, RemoteState, Sent
from app.remote.hubasking import Asking
from app.remote.hubfields import Kind, RemoteId, name_of, own_name_of, remote_id_of
from app.remote.hubline import HubLine
from app.remote.hubmatching import walk
from app.remote.multipart import FilePart, Multipart
from app.remote.parcel import Result, Results, all_alike, in_order, left, post_form

_K = FailureKind
_NOTHING_WENT = frozenset({_K.UNREACHABLE, _K.SIGN_IN, _K.TLS})
_MAY_HAVE_STORED = frozenset({500, 502, 504})
"""Of a 503 the server itself, or nginx with too many requests, says that it did nothing."""
_CANCELLING_AGAIN_S = 2.0
_IN_DOUBT = "the server may still be storing what was sent before"


class Sending:
    """Sends over one connection; *asking* is of the same one."""

    def __init__(self, line: HubLine, asking: Asking) -> None:
        self._line = line
        self._asking = asking
        self._http = line.http(line.pace.answer_s)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def send(self, items: Sequence[ParcelItem]) -> list[Result]:
        """Return what became of each file, in order (ParcelServer.send_parcel)."""
        self._line.listen()
        project = _project(items)
        results = await self._what_is_there(items)
        rest = left(items, results)
        try:
            if rest and not await self._asking.has_project(project):
                refused = Failure(_K.REFUSED, hubfields.NO_PROJECT, 403)
                results |= all_alike(rest, refused)
            else:
                await self._send_all(project, rest, results)
        finally:
            self._line.claims.end(results)
        return in_order(items, results)

    # What is there already

    async def _what_is_there(self, items: Sequence[ParcelItem]) -> Results:
        outgoings = [item.outgoing for item in items]
        results: Results = {}
        for outgoing in outgoings:
            named = remote_id_of(outgoing.remote_id or "")
            if named is not None and named.kind in (Kind.IMAGE, Kind.VIDEO):
                seen = await self._asking.file(named)
                if seen.state is RemoteState.STORED:
                    results[outgoing.key] = Sent(str(named), "was_there")
        lost = [each for each in outgoings if each.begun_at is not None and each.key not in results]
        gone = await self._cancelled({each.remote_id or "" for each in lost})
        lost = [each for each in lost if each.remote_id not in gone]
        found = await self._asking.find([*lost, *(each for each in outgoings if each.begun_at is None)])
        results |= {
            key: Sent(seen.remote_id, "was_there")
            for key, seen in found.items()
            if seen.state is RemoteState.STORED
        }
        left_s = self._line.doubts.left_s(each for each in lost if each.key not in results)
        if left_s > 0:
            raise TransferError(Failure(_K.CONFLICT, _IN_DOUBT, retry_after_s=left_s))
        return results

    async def _cancelled(self, remote_ids: set[str]) -> set[str]:
        """Cancel earlier requests, where that can be done: then it is certain that they bring nothing; return those."""
        uploads = {text: told.request for text in remote_ids if (told := remote_id_of(text)) is not None}
        uploads = {text: request for text, request in uploads.items() if request.kind is Kind.UPLOAD}
        if not uploads or not await self._asking.has_cancel():
            return set()
        gone = {request for request in set(uploads.values()) if await self._brings_nothing(request)}
        return {text for text, request in uploads.items() if request in gone}

    async def _brings_nothing(self, request: RemoteId) -> bool:
        path = f"projects/{request.project}/uploads/{request.id}/cancel"
        answer = await self._asking.answer("POST", path)
        if answer.status == 202:
            again = Failure(_K.CONFLICT, _IN_DOUBT, retry_after_s=_CANCELLING_AGAIN_S)
            raise TransferError(again)
        if answer.status == 404:
            return True
        if answer.status == 400:  # it is over already
            told = await self._asking.upload(request)
            return told is None or told.get("status") != "completed"
        self._asking.require(answer)
        return True

    # Requests

    async def _send_all(self, project: str, items: Sequence[ParcelItem], results: Results) -> None:
        await self._send_images(
            project, [each for each in items if not hubfields.is_video(each.outgoing)], results
        )
        for item in items:
            if hubfields.is_video(item.outgoing):
                await self._send_one_request(project, Kind.VIDEO, [item], results)

    async def _send_images(self, project: str, items: Sequence[ParcelItem], results: Results) -> None:
        rest = list(items)
        while rest:
            most = self._line.most_files or len(rest)
            together, rest = rest[:most], rest[most:]
            await self._send_together(project, together, results)

    async def _send_together(self, project: str, items: Sequence[ParcelItem], results: Results) -> None:
        answer = await self._send_one_request(project, Kind.IMAGE, items, results)
        again = [ParcelItem(each.outgoing, _FromTheStart(each.feed)) for each in left(items, results)]
        if answer is None:  # a file could not be read: the request was cut for it, and the others go again
            await self._send_images(project, again, results)
        elif again:  # it names no file, or means their number: halves tell
            half = (len(again) + 1) // 2
            await self._send_images(project, again[:half], results)
            await self._send_images(project, again[half:], results)
            if all(isinstance(each, Sent) for each in in_order(again, results)):
                self._line.most_files = min(half, self._line.most_files or half)

    async def _send_one_request(
        self, project: str, kind: Kind, items: Sequence[ParcelItem], results: Results
    ) -> Answer | None:
        """Send a request, and put into *results* what is certain of its files; return the answer if there was one."""
        form = _form("video" if kind is Kind.VIDEO else "images", items)
        self._line.claims.begin(item.outgoing for item in items)
        begun_at = self._line.account.now()
        try:
            answer = await self._post(project, kind, items, form)
            self._judge(project, kind, items, answer, results)
        except CancelledElsewhereError:
            if not _has_stored(results):
                raise
            cancelled = Failure(_K.REFUSED, "it was cancelled at the server", 409)
            results |= all_alike(items, cancelled)
            return None
        except TransferError as error:
            if form.broken is not None:
                results[items[form.broken].outgoing.key] = error.failure
                return None
            if not (_has_stored(results) and _is_certain(error.failure)):
                raise
            # What went before is stored: it must not share the fate of this request.
            results |= all_alike(items, error.failure)
            return None
        if answer.ok or hubfields.may_have_stored(answer):
            results |= await self._stored_all_the_same(items, results, begun_at)
        return answer

    async def _stored_all_the_same(
        self, items: Sequence[ParcelItem], results: Results, begun_at: float
    ) -> Results:
        """Return what is there of the files that an answer calls failed: the original says so of some that it has stored."""
        failed = [each.outgoing for each in items if not isinstance(results.get(each.outgoing.key), Sent)]
        if not failed:
            return {}
        found = await self._asking.find([replace(each, begun_at=begun_at) for each in failed])
        return {key: Sent(seen.remote_id) for key, seen in found.items() if seen.state is RemoteState.STORED}

    def _judge(
        self, project: str, kind: Kind, items: Sequence[ParcelItem], answer: Answer, results: Results
    ) -> None:
        """Say what an answer means for each file; nothing is said of several that are refused together."""
        if answer.ok:
            results |= self._stored(project, kind, items, answer)
        elif hubfields.is_no_project(answer):
            refused = Failure(_K.REFUSED, hubfields.NO_PROJECT, answer.status)
            results |= all_alike(items, refused)
        elif answer.status == 400 and len(items) == 1:
            results[items[0].outgoing.key] = self._asking.failure(answer)
        elif answer.status == 500 and answer.code == "GENERIC_ERROR" and kind is Kind.VIDEO:
            # It took its frames out in vain, and kept nothing of it but a row that no list shows.
            told = Failure(_K.PROCESSING_FAILED, "", answer.status)
            results[items[0].outgoing.key] = told
        elif answer.status != 400:
            raise TransferError(self._asking.failure(answer))

    def _stored(self, project: str, kind: Kind, items: Sequence[ParcelItem], answer: Answer) -> Results:
        data = hubfields.record_of(hubfields.data_of(answer))
        found: list[RemoteId | None]
        if kind is Kind.VIDEO:
            found = [RemoteId(project, kind, str(data.get("videoContainerId") or ""))]
            names = [name_of(items[0].outgoing)]
        else:
            told = [hubfields.picture_of(each) for each in hubfields.records_of(data, "images")]
            pictures = walk([item.outgoing for item in items], told)
            found = [RemoteId(project, kind, each.id) if each else None for each in pictures]
            names = [each.name if each else "" for each in pictures]
        results: Results = {}
        for item, remote_id, name in zip(items, found, names, strict=True):
            outgoing = item.outgoing
            if remote_id is None:
                results[outgoing.key] = Failure(_K.REFUSED, hubfields.NOT_STORED)
            else:
                self._line.claims.claim(outgoing.key, remote_id)
                results[outgoing.key] = Sent(
                    str(remote_id), "" if name == own_name_of(outgoing) else f"stored as {name}"
                )
        return results

    async def _post(self, project: str, kind: Kind, items: Sequence[ParcelItem], form: Multipart) -> Answer:
        upload = RemoteId(project, Kind.UPLOAD, str(uuid4()))
        if await self._asking.has_cancel():
            await asyncio.gather(*(item.feed.created(str(upload.of(item.outgoing))) for item in items))
        keys = [item.outgoing.key for item in items]
        pace = self._line.pace
        try:
            answer = await self._stream(project, kind, items, form, upload)
        except asyncio.CancelledError:
            self._was_cut(keys, form, pace.video_gave_up_s if kind is Kind.VIDEO else pace.settle_s)
            self._line.cancel_soon(upload)
            raise
        except TransferError:
            self._was_cut(keys, form, pace.video_gave_up_s if kind is Kind.VIDEO else pace.gave_up_s)
            raise
        if answer.status in _MAY_HAVE_STORED:
            self._was_cut(keys, form, pace.video_gave_up_s if kind is Kind.VIDEO else pace.gave_up_s)
        if answer.status == 409 and self._line.has_cancel:
            raise CancelledElsewhereError(answer.code)
        return answer

    def _was_cut(self, keys: Sequence[str], form: Multipart, quiet_s: float) -> None:
        """Nobody heard a true answer: if all bytes had gone out, the server may store them all the same."""
        if form.is_out:
            self._line.doubts.add(keys, quiet_s)
        else:
            self._line.claims.end(keys)

    async def _stream(
        self, project: str, kind: Kind, items: Sequence[ParcelItem], form: Multipart, upload: RemoteId
    ) -> Answer:
        async with AsyncExitStack() as stack:
            http = self._http
            if kind is Kind.VIDEO:
                http = self._line.http(self._line.pace.video_answer_s)
                stack.push_async_callback(http.aclose)
            path = f"{self._line.api}/projects/{project}/{'videos' if kind is Kind.VIDEO else 'images'}"
            alive = [(_Unconfirmed(item.feed), item.outgoing.size_bytes) for item in items]
            return await post_form(http, path, form, alive, {"X-Upload-Id": upload.id})


class _FromTheStart:
    """A feed that was read before: it begins again when its turn comes (Feed)."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._has_begun = False

    async def seek(self, offset_bytes: int) -> None:
        """Continue there (Feed.seek)."""
        self._has_begun = True
        await self._feed.seek(offset_bytes)

    async def block(self) -> bytes:
        """Return the next block (Feed.block)."""
        if not self._has_begun:
            await self.seek(0)
        return await self._feed.block()

    def sha256(self) -> str:
        """Return the digest (Feed.sha256)."""
        return self._feed.sha256()

    async def created(self, remote_id: str) -> None:
        """Pass the id on (Feed.created)."""
        await self._feed.created(remote_id)

    def progress(self, sent_bytes: int, accepted_bytes: int) -> None:
        """Pass the progress on (Feed.progress)."""
        self._feed.progress(sent_bytes, accepted_bytes)


class _Unconfirmed(_FromTheStart):
    """Tells of bytes that have gone out, that nobody has accepted them yet."""

    def progress(self, sent_bytes: int, accepted_bytes: int) -> None:
        """Pass on what was sent (Feed.progress)."""
        super().progress(sent_bytes, 0)


def _form(name: str, items: Sequence[ParcelItem]) -> Multipart:
    return Multipart(
        [
            FilePart(
                name,
                name_of(item.outgoing),
                hubfields.type_of(item.outgoing),
                item.outgoing.size_bytes,
                item.feed,
                extended=True,  # the server takes a plain name for Latin-1
            )
            for item in items
        ]
    )


def _project(items: Sequence[ParcelItem]) -> str:
    """Return where a parcel goes; its files are of one batch, and so of one project."""
    target = items[0].outgoing.target
    if target is None:
        wanted = Failure(_K.REFUSED, "no project is chosen: this server keeps files in projects")
        raise TransferError(wanted)
    return target


def _has_stored(results: Results) -> bool:
    return any(isinstance(each, Sent) for each in results.values())


def _is_certain(failure: Failure) -> bool:
    """Whether a failed request says that the server has nothing of it."""
    return failure.kind in _NOTHING_WENT or (failure.kind is _K.BUSY and failure.http_status == 429)
