"""The dialect of the Cell Segmentation Hub: many images in one request, which is there as a whole or not at all.

parcel ──► POST images (multipart) ──► 200: which images were stored, in order        video ──► POST videos, alone
   │ cut before the last byte: nothing is stored
   └ cut after it, or the answer lost: list the project, match by name, size and time, before anything is sent again

Where the server tracks uploads by id (ours does; the original never did) a request has a remote id from its start, and is
cancelled over HTTP. Source of the contract: the Hub's code at bf99ac26, docs/server/cell_segmentation_hub.md.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

from app.domain.failure import CancelledElsewhereError, Failure, FailureKind, TransferError
from app.remote import hubfields
from app.remote.account import Account, Line
from app.remote.answer import Answer
from app.remote.base import (
    Abilities,
    CancelAnswer,
    Feed,
    Outgoing,
    ParcelItem,
    ParcelLimits,
    RemoteFile,
    RemoteServer,
    RemoteState,
    Sent,
    Target,
)
from app.remote.beating import beating
from app.remote.hubfields import Kind, Picture, RemoteId, name_of, remote_id_of
from app.remote.hubline import HubLine
from app.remote.multipart import FilePart, Multipart

PARCEL = ParcelLimits(max_files=100, max_bytes=100 * hubfields.MIB)
_PAGE_IMAGES = 100
_MOST_PAGES = 50
_CLOCKS_DIFFER_S = 5.0
_LOOK_AGAIN_S = 0.7
_NO_CANCEL = "this server has no cancel for uploads"
_NOBODY = "00000000-0000-4000-8000-000000000000"


class HubServer:
    """One connection to a Hub, for one worker. Remote ids: hubfields.RemoteId."""

    def __init__(self, line: HubLine) -> None:
        self._line = line
        self._http = line.http()
        self._api = line.api

    # What it is

    @property
    def abilities(self) -> Abilities:
        """What this server can do; whether it can cancel is known once it was asked."""
        cancels = bool(self._line.has_cancel)
        return Abilities(
            cancel_file=cancels,
            cancel_batch=cancels,
            delete_file=True,
            max_size_bytes=hubfields.LARGEST_IMAGE_BYTES,
            max_files=PARCEL.max_files,
        )

    async def greet(self) -> Abilities:
        """Sign in, and see whether uploads can be cancelled here (RemoteServer.greet)."""
        await self._data("GET", "projects?page=1&limit=1")
        await self._probe(_NOBODY)
        return self.abilities

    async def targets(self) -> Sequence[Target]:
        """Return the account's projects (TargetServer.targets)."""
        found: list[Target] = []
        for page in range(1, _MOST_PAGES + 1):
            data = await self._data("GET", f"projects?page={page}&limit={_PAGE_IMAGES}")
            records = data.get("projects", []) if isinstance(data, dict) else data
            found += [Target(str(each["id"]), str(each.get("title") or each["id"])) for each in records]
            if len(records) < _PAGE_IMAGES:
                break
        return found

    async def create_target(self, name: str) -> Target:
        """Make a project (TargetServer.create_target)."""
        data = await self._data("POST", "projects", payload={"title": name[:255]})
        record = data.get("project", data)
        return Target(str(record["id"]), str(record.get("title") or name))

    def refusal(self, outgoing: Outgoing) -> Failure | None:
        """Say what the server would refuse, for it refuses the whole request (PreflightServer.refusal)."""
        return hubfields.refusal(outgoing)

    # Sending

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send one file (RemoteServer.send)."""
        (result,) = await self.send_parcel([ParcelItem(outgoing, feed)])
        if isinstance(result, Failure):
            raise TransferError(result)
        return result

    async def send_parcel(self, items: Sequence[ParcelItem]) -> Sequence[Sent | Failure]:
        """Send what the server does not have already: the images in one request, each video in its own."""
        self._line.listen()
        there = await self.find([item.outgoing for item in items if _may_be_there(item.outgoing)])
        results: dict[str, Sent | Failure] = {
            key: Sent(seen.remote_id, "was_there") for key, seen in there.items()
        }
        rest = [item for item in items if item.outgoing.key not in results]
        images = [item for item in rest if not hubfields.is_video(item.outgoing)]
        if images:
            results |= await self._send_images(images)
        for item in rest:
            if hubfields.is_video(item.outgoing):
                results[item.outgoing.key] = await self._send_video(item)
        return [results[item.outgoing.key] for item in items]

    async def _send_images(self, items: Sequence[ParcelItem]) -> dict[str, Sent | Failure]:
        project = _project(items[0].outgoing)
        results: dict[str, Sent | Failure] = {}
        while items:
            form = _form("images", items)
            try:
                answer = await self._post(project, "images", items, form)
            except TransferError as error:
                if form.broken is None:
                    raise
                # One file could not be read: the request was cut, so nothing is there, and the others go again.
                broken = items[form.broken]
                results[broken.outgoing.key] = error.failure
                items = [item for item in items if item is not broken]
                continue
            if (
                answer.status == 400 and len(items) > 1
            ):  # it names no file: each goes alone, and the culprit shows
                for item in items:
                    results |= await self._send_images([item])
                return results
            return results | self._stored(project, items, answer)
        return results

    def _stored(self, project: str, items: Sequence[ParcelItem], answer: Answer) -> dict[str, Sent | Failure]:
        """Say what became of each file of a request: the answer lists those that were stored, in order."""
        if not answer.ok:
            failure = self._failure(answer)
            if failure.scope.value == "file" and len(items) == 1:
                return {items[0].outgoing.key: failure}
            raise TransferError(failure)
        images = hubfields.data_of(answer).get("images") or []
        found = hubfields.walk(
            [item.outgoing for item in items], [hubfields.picture_of(each) for each in images]
        )
        return {
            item.outgoing.key: _sent(project, Kind.IMAGE, picture.id)
            if picture
            else Failure(FailureKind.REFUSED, "the server could not store it")
            for item, picture in zip(items, found, strict=True)
        }

    async def _send_video(self, item: ParcelItem) -> Sent | Failure:
        project = _project(item.outgoing)
        form = _form("video", [item])
        answer = await self._post(project, "videos", [item], form)
        if answer.ok:
            return _sent(project, Kind.VIDEO, str(hubfields.data_of(answer).get("videoContainerId") or ""))
        failure = self._failure(answer)
        if failure.scope.value == "file":
            return failure
        raise TransferError(failure)

    async def _post(self, project: str, route: str, items: Sequence[ParcelItem], form: Multipart) -> Answer:
        upload = RemoteId(project, Kind.UPLOAD, str(uuid4()))
        if await self._probe(project):
            await asyncio.gather(*(item.feed.created(str(upload)) for item in items))
        feeds = [(item.feed, item.outgoing.size_bytes) for item in items]
        try:
            async with beating(feeds, once=lambda: form.is_out):
                answer = await self._http.stream_body(
                    "POST",
                    f"{self._api}/projects/{project}/{route}",
                    headers={"Content-Type": form.content_type, "X-Upload-Id": upload.id},
                    size_bytes=form.size_bytes,
                    blocks=form,
                )
        except asyncio.CancelledError:
            keys = [item.outgoing.key for item in items]
            self._line.was_cut(keys, upload=upload, after_the_end=form.is_out)
            raise
        if answer.status == 409 and self._line.has_cancel:
            raise CancelledElsewhereError(answer.code)
        return answer

    async def _probe(self, project: str) -> bool:
        """Return whether this server tracks uploads by id; it is asked once."""
        if self._line.has_cancel is None:
            answer = await self._http.ask("GET", f"{self._api}/projects/{project}/uploads/{_NOBODY}")
            if answer.status not in (200, 400, 404):
                raise TransferError(self._failure(answer))
            self._line.has_cancel = not hubfields.no_such_route(answer)
        return self._line.has_cancel

    # Reading back

    async def look(self, remote_id: str) -> RemoteFile:
        """Read an image, or the request that brings it, back (RemoteServer.look)."""
        wanted = remote_id_of(remote_id)
        if wanted is None:
            return RemoteFile(remote_id, RemoteState.UNKNOWN)
        await self._line.settled()
        route = "uploads" if wanted.kind is Kind.UPLOAD else "images"
        answer = await self._http.ask("GET", f"{self._api}/projects/{wanted.project}/{route}/{wanted.id}")
        if answer.status in (400, 403, 404) and not answer.is_html:
            return RemoteFile(remote_id, RemoteState.UNKNOWN)
        if not answer.ok:
            raise TransferError(self._failure(answer))
        data = hubfields.data_of(answer)
        if wanted.kind is Kind.UPLOAD:
            state = hubfields.UPLOAD_STATES.get(str(data.get("status")), RemoteState.UNKNOWN)
            return RemoteFile(remote_id, state)
        picture = hubfields.picture_of(data.get("image") or data)
        return RemoteFile(remote_id, RemoteState.STORED, picture.size_bytes, picture.size_bytes)

    async def find(self, outgoings: Sequence[Outgoing]) -> Mapping[str, RemoteFile]:
        """Find files by name, size and time in their projects (FindServer.find).

        A request that was given up after its last byte may still be stored: this waits a few seconds for it.
        """
        await self._line.settled()
        found: dict[str, RemoteFile] = {}
        while True:
            for project in {_project(each) for each in outgoings if each.key not in found}:
                missing = [e for e in outgoings if e.target == project and e.key not in found]
                found |= await self._find_in(project, missing)
            if not self._line.still_storing(each.key for each in outgoings if each.key not in found):
                return found
            await self._line.news(_LOOK_AGAIN_S)

    async def _find_in(self, project: str, outgoings: Sequence[Outgoing]) -> dict[str, RemoteFile]:
        begun_at = min((each.begun_at for each in outgoings if each.begun_at is not None), default=0.0)
        pictures = [picture async for picture in self._since(project, begun_at)]
        matched = hubfields.match(outgoings, pictures)
        return {
            key: RemoteFile(
                str(RemoteId(project, Kind.IMAGE, each.id)), RemoteState.STORED, size_bytes=each.size_bytes
            )
            for key, each in matched.items()
        }

    async def _since(self, project: str, begun_at: float) -> AsyncIterator[Picture]:
        """Yield the project's images, newest first, back to *begun_at* (epoch seconds by our clock)."""
        for page in range(1, _MOST_PAGES + 1):
            path = (
                f"projects/{project}/images?page={page}&limit={_PAGE_IMAGES}&sortBy=createdAt&sortOrder=desc"
            )
            asked_at = self._line.account.now()
            answer = await self._ask("GET", path)
            skew = _server_time(answer, asked_at) - asked_at
            images = [hubfields.picture_of(each) for each in hubfields.data_of(answer).get("images") or []]
            for picture in images:
                if picture.created_at - skew < begun_at - _CLOCKS_DIFFER_S:
                    return
                yield picture
            if len(images) < _PAGE_IMAGES:
                return

    # Cancelling

    def batches_of(self, remote_ids: Sequence[str]) -> Sequence[str]:
        """Return the requests that are under way: each is a batch of its own there (ManyBatchServer)."""
        return sorted(
            {each for each in remote_ids if (told := remote_id_of(each)) and told.kind is Kind.UPLOAD}
        )

    async def cancel_batch(self, remote_batch_id: str) -> CancelAnswer:
        """Cancel one request and all that it brings (CancelServer.cancel_batch)."""
        return await self.cancel_file(remote_batch_id)

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        """Cancel the request that brings a file (CancelServer.cancel_file); a stored image cannot be cancelled."""
        wanted = remote_id_of(remote_id)
        if wanted is None or wanted.kind is not Kind.UPLOAD:
            return CancelAnswer(404, _NO_CANCEL)
        await self._line.settled()
        answer = await self._http.ask("POST", self._line.cancel_path(wanted))
        if answer.ok or answer.status in (400, 404, 409):
            return CancelAnswer(
                answer.status, _NO_CANCEL if hubfields.no_such_route(answer) else _word(answer)
            )
        raise TransferError(self._failure(answer))

    async def delete_files(self, remote_ids: Sequence[str]) -> None:
        """Delete stored images, a hundred a request (DeleteServer.delete_files)."""
        wanted = [
            told for each in remote_ids if (told := remote_id_of(each)) and told.kind is not Kind.UPLOAD
        ]
        for project in sorted({each.project for each in wanted}):
            ids = [each.id for each in wanted if each.project == project]
            for at in range(0, len(ids), _PAGE_IMAGES):
                await self._delete(project, ids[at : at + _PAGE_IMAGES])

    async def _delete(self, project: str, ids: Sequence[str]) -> None:
        payload = {"imageIds": ids, "projectId": project}
        answer = await self._http.ask("DELETE", f"{self._api}/images/batch", payload=payload)
        if answer.ok or answer.status == 404:
            return
        # The original answers 500 where nothing was left to delete.
        left = [await self.look(str(RemoteId(project, Kind.IMAGE, each))) for each in ids]
        if any(seen.state is RemoteState.STORED for seen in left):
            raise TransferError(self._failure(answer))

    async def aclose(self) -> None:
        """Close the connections (RemoteServer.aclose)."""
        await self._http.aclose()

    async def _data(self, method: str, path: str, *, payload: object = None) -> Any:
        return hubfields.data_of(await self._ask(method, path, payload=payload))

    async def _ask(self, method: str, path: str, *, payload: object = None) -> Answer:
        answer = await self._http.ask(method, f"{self._api}/{path}", payload=payload)
        if not answer.ok:
            raise TransferError(self._failure(answer))
        return answer

    def _failure(self, answer: Answer) -> Failure:
        return hubfields.failure(answer, self._line.account.now())


@dataclass(frozen=True, slots=True)
class _Connections:
    """The line as the registry wants it."""

    line: HubLine

    def connect(self) -> RemoteServer:
        return HubServer(self.line)

    async def aclose(self) -> None:
        await self.line.aclose()


def open_hub(account: Account) -> Line:
    """Return what all connections of *account* share."""
    return _Connections(HubLine(account))


def _project(outgoing: Outgoing) -> str:
    if outgoing.target is None:
        raise TransferError(
            Failure(FailureKind.REFUSED, "no project is chosen: this server keeps files in projects")
        )
    return outgoing.target


def _may_be_there(outgoing: Outgoing) -> bool:
    return outgoing.begun_at is not None or outgoing.remote_id is not None


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


def _sent(project: str, kind: Kind, name: str) -> Sent:
    return Sent(str(RemoteId(project, kind, name)))


def _word(answer: Answer) -> str:
    """Return the server's own word for what its cancel did."""
    data = answer.json().get("data")
    return str(data.get("status")) if isinstance(data, dict) and data.get("status") else answer.detail


def _server_time(answer: Answer, asked_at: float) -> float:
    try:
        return parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        return asked_at
