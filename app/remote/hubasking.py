"""Asks a Hub for what it has: records, pages of images, and the files whose requests nobody heard the end of.

lost request ──► the project's images, newest first, back to its beginning ──► name, size, time: found ──► claimed
                      ▲                                                    └─ not there, and in doubt ─┐
                      └────────────────────── an event, or a moment ◄──────────────────────────────────┘

Source of the contract: the Hub's code at bf99ac26, §6 (lists), §7.1 (what a cut request leaves).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from app.domain.failure import Failure, TransferError
from app.remote import hubfields
from app.remote.answer import Answer
from app.remote.base import Outgoing, RemoteFile, RemoteState
from app.remote.hubfields import Kind, Picture, RemoteId, epoch_of
from app.remote.hubline import HubLine
from app.remote.hubmatching import CLOCKS_DIFFER_S, match

PAGE = 100
LONGEST_WAIT_S = 35.0
"""A look does not wait longer for a file in doubt; whoever wants to send it again comes back later."""
NOBODY = "00000000-0000-4000-8000-000000000000"
_NO_ID = "uphaul"


class Asking:
    """The questions of one connection; *line* is its account's."""

    def __init__(self, line: HubLine) -> None:
        self._line = line
        self._http = line.http()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def answer(self, method: str, path: str, *, payload: object = None) -> Answer:
        """Return any answer; *path* is below ``/api/``. Raises TransferError if there is none."""
        return await self._http.ask(method, f"{self._line.api}/{path}", payload=payload)

    async def data(self, method: str, path: str, *, payload: object = None) -> Any:
        """Return the data of a success. Raises TransferError for everything else."""
        return hubfields.data_of(self.require(await self.answer(method, path, payload=payload)))

    def require(self, answer: Answer) -> Answer:
        """Return a success as it is. Raises TransferError."""
        if not answer.ok:
            raise TransferError(self.failure(answer))
        return answer

    def failure(self, answer: Answer) -> Failure:
        """Return what an answer stands for."""
        return hubfields.failure(answer, self._line.account.now())

    async def has_cancel(self) -> bool:
        """Return whether this server tracks uploads by id, and cancels them; it is asked once.

        One that does refuses an id that is none; the original knows no such route.
        """
        if self._line.has_cancel is None:
            answer = await self.answer("GET", f"projects/{NOBODY}/uploads/{_NO_ID}")
            if answer.status not in (200, 400, 403, 404, 405):
                raise TransferError(self.failure(answer))
            self._line.has_cancel = answer.status == 400 and answer.code == "VALIDATION_ERROR"
        return self._line.has_cancel

    async def has_project(self, project: str) -> bool:
        """Return whether images may go there: the original says so only after it has read them all."""
        answer = await self.answer("GET", f"projects/{project}/images?page=1&limit=1")
        if hubfields.is_no_project(answer) or answer.status == 400:
            return False
        self.require(answer)
        return True

    # Files

    async def file(self, wanted: RemoteId) -> RemoteFile:
        """Read one file back."""
        if wanted.kind is Kind.UPLOAD:
            return await self._file_of_upload(wanted)
        if wanted.kind is Kind.CUT:
            found = await self.brought(wanted)
            return RemoteFile(str(wanted), RemoteState.STORED if found else RemoteState.PROCESSING)
        answer = await self.answer("GET", f"projects/{wanted.project}/images/{wanted.id}")
        if answer.status == 400 or hubfields.is_no_project(answer):
            return RemoteFile(str(wanted), RemoteState.UNKNOWN)
        record = hubfields.record_of(hubfields.data_of(self.require(answer)), "image")
        size = record.get("fileSize")
        size_bytes = size if isinstance(size, int) else 0
        return RemoteFile(str(wanted), RemoteState.STORED, size_bytes, size_bytes)

    async def _file_of_upload(self, wanted: RemoteId) -> RemoteFile:
        told = await self.upload(wanted)
        state = hubfields.UPLOAD_STATES.get(str((told or {}).get("status")), RemoteState.UNKNOWN)
        if told is not None and state is RemoteState.STORED and await self.picture(wanted, told) is None:
            state = RemoteState.UNKNOWN  # it has been deleted since
        return RemoteFile(str(wanted), state)

    async def upload(self, wanted: RemoteId) -> Mapping[str, Any] | None:
        """Return the record of a request that the server tracks, None if it knows nothing of it."""
        answer = await self.answer("GET", f"projects/{wanted.project}/uploads/{wanted.id}")
        if answer.status == 400 or hubfields.is_no_project(answer) or hubfields.no_such_route(answer):
            return None
        return hubfields.record_of(hubfields.data_of(self.require(answer)))

    async def brought(self, wanted: RemoteId) -> RemoteId | None:
        """Return the id of the image that an upload or a cut request has brought for one of its files."""
        if wanted.kind is Kind.UPLOAD:
            upload = await self.upload(wanted)
            picture = await self.picture(wanted, upload) if upload is not None else None
        else:
            since = int(wanted.id) if wanted.id.isdecimal() else 0
            listed = [each async for each in self._since(wanted.project, since - CLOCKS_DIFFER_S)]
            picture = next((each for each in listed if each.may_be(wanted.name, wanted.size_bytes)), None)
        return RemoteId(wanted.project, picture.kind, picture.id) if picture is not None else None

    async def picture(self, wanted: RemoteId, upload: Mapping[str, Any]) -> Picture | None:
        """Return the image that a completed request has brought for one of its files; *upload* is the request's record."""
        begun_at, ended_at = epoch_of(upload.get("createdAt")), epoch_of(upload.get("completedAt"))
        async for picture in self._since(wanted.project, begun_at, by_our_clock=False):
            if picture.created_at <= ended_at and picture.may_be(wanted.name, wanted.size_bytes):
                return picture
        return None

    async def find(self, outgoings: Sequence[Outgoing]) -> dict[str, RemoteFile]:
        """Find files by name, size and time in their projects, and wait for those that may yet be stored (FindServer.find).

        What may come much later is told as PROCESSING, under an id by which it can be looked for.
        """
        await self._line.settled()
        claims, doubts = self._line.claims, self._line.doubts
        while True:
            fresh = await self._look_for(outgoings)
            missing = [each for each in outgoings if claims.of(each.key) is None]
            if fresh:
                doubts.again(each.key for each in missing)
            left_s = doubts.left_s(missing)
            if not 0 < left_s <= LONGEST_WAIT_S:
                break
            await self._line.news(min(self._line.pace.look_again_s, left_s))
        known = [(each, claims.of(each.key)) for each in outgoings]
        stored = {each.key: _stored(remote_id, each) for each, remote_id in known if remote_id is not None}
        return stored | {each.key: _cut(each) for each in missing if doubts.left_s([each]) > 0}

    async def _look_for(self, outgoings: Sequence[Outgoing]) -> bool:
        """List the projects of these files once; what is found is theirs from now on. Return whether anything was."""
        claims, fresh = self._line.claims, False
        lost = [each for each in outgoings if each.begun_at is not None and claims.of(each.key) is None]
        for project in sorted({each.target for each in lost if each.target}):
            here = [each for each in lost if each.target == project]
            free = await self._free(project, here)
            # Another connection may have looked for the same files, and found them, while we listed.
            here = [each for each in here if claims.of(each.key) is None]
            for key, picture in match(here, free).items():
                claims.claim(key, RemoteId(project, picture.kind, picture.id), was_found=True)
                fresh = True
        return fresh

    async def _free(self, project: str, outgoings: Sequence[Outgoing]) -> list[Picture]:
        """Return the images since the first of these files began that are no other file's."""
        begun_at = min(each.begun_at or 0.0 for each in outgoings)
        listed = {each.id: each async for each in self._since(project, begun_at - CLOCKS_DIFFER_S)}
        return [each for each in listed.values() if self._line.claims.is_free(each)]

    async def _since(
        self, project: str, begun_at: float, *, by_our_clock: bool = True
    ) -> AsyncIterator[Picture]:
        """Yield the project's images, newest first, back to *begun_at*; times are by our clock, or by the server's."""
        for page in count(1):
            path = f"projects/{project}/images?page={page}&limit={PAGE}&sortBy=createdAt&sortOrder=desc"
            asked_at = self._line.account.now()
            answer = await self.answer("GET", path)
            if hubfields.is_no_project(answer):
                return
            records = hubfields.records_of(hubfields.data_of(self.require(answer)), "images")
            skew_s = hubfields.server_time(answer, asked_at) - asked_at if by_our_clock else 0.0
            for record in records:
                picture = hubfields.picture_of(record)
                if picture.created_at - skew_s < begun_at:
                    return
                yield replace(picture, created_at=picture.created_at - skew_s)
            if len(records) < PAGE:
                return


def _stored(remote_id: RemoteId, outgoing: Outgoing) -> RemoteFile:
    return RemoteFile(str(remote_id), RemoteState.STORED, outgoing.size_bytes, outgoing.size_bytes)


def _cut(outgoing: Outgoing) -> RemoteFile:
    cut = RemoteId(outgoing.target or "", Kind.CUT, str(int(outgoing.begun_at or 0))).of(outgoing)
    return RemoteFile(str(cut), RemoteState.PROCESSING)
