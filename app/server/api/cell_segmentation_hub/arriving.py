"""An upload arrives: one request brings its files, and they are all there when it is over, or none."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from sqlalchemy import Connection
from starlette.requests import Request

from app.server import files
from app.server.api.cell_segmentation_hub import uploads
from app.server.api.cell_segmentation_hub.ending import Endings
from app.server.api.cell_segmentation_hub.intake import Intake, Picture, look, type_of
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.api.cell_segmentation_hub.uploads import ORIGIN, State, Upload
from app.server.appending import STOPPED
from app.server.core import Core
from app.server.files import FileRecord, NewFile
from app.server.multipart import Part, parts
from app.server.names import safe_name
from app.server.partial import Partial
from app.server.problems import Problem
from app.server.receiving import receive
from app.server.reception import Reception, StopReason

WATCH_SECONDS = 0.5
OTHER_PARTS = 20


@dataclass(frozen=True, slots=True)
class Arrived:
    """A completed upload, and what is in each of its files, by id."""

    upload: Upload
    pictures: Mapping[str, Picture]


@dataclass(slots=True)
class _Progress:
    """Tells the sender's sockets how far an upload is."""

    sockets: Sockets
    upload: Upload
    files: list[FileRecord] = field(default_factory=list)
    arriving: str | None = None
    """The name of the file that is on its way."""

    async def tell(self, name: str, size_bytes: int, percent: int, status: str, *, done: int = 0) -> None:
        known = len(self.files) + (self.arriving is not None)
        told = {
            "projectId": self.upload.project_id,
            "batchId": self.upload.id,
            "filename": name,
            "fileSize": size_bytes,
            "progress": percent,
            "currentFileStatus": status,
            "filesCompleted": done,
            "filesTotal": known,
            "percentComplete": round(100 * done / known) if known else 0,
        }
        await self.sockets.to_user(self.upload.owner, "uploadProgress", told)

    async def tell_failure(self, why: str) -> None:
        """Tell that nothing of the upload is kept, file by file."""
        known = [(file.filename, file.size_bytes) for file in self.files]
        if self.arriving is not None:
            known.append((self.arriving, 0))
        for index, (name, size_bytes) in enumerate(known):
            await self.tell(name, size_bytes, 0, "failed")
            told = {"projectId": self.upload.project_id, "batchId": self.upload.id, "filename": name}
            more = {"error": why, "fileIndex": index, "filesTotal": len(known), "canContinue": False}
            await self.sockets.to_user(self.upload.owner, "uploadFailed", told | more)


class Arrivals:
    """The uploads that this process receives."""

    def __init__(self, core: Core, sockets: Sockets, endings: Endings) -> None:
        self._core, self._sockets, self._endings = core, sockets, endings

    async def take(
        self, request: Request, owner: str, project_id: str, upload_id: str, intake: Intake
    ) -> Arrived:
        """Receive one request; all its files are there when this returns, none if it raises.

        Raises the 404 of the project, 400 for a file that is refused, `Problem("cancelled")`, :class:`DisconnectedError`.
        """
        core, batch_id = self._core, str(uuid4())
        # The lock is older than the row: a row whose lock is free belongs to a dead request.
        alive = await core.on_disk(Partial.open, uploads.life_path(core, batch_id))
        try:
            upload = await core.database.write(uploads.begin, core, owner, project_id, upload_id, batch_id)
            progress = _Progress(self._sockets, upload)
            try:
                return Arrived(upload, await self._receive(request, progress, intake))
            except BaseException as error:
                # A sender that goes away, and a server that stops, must not leave half an upload behind.
                await asyncio.shield(self._fail(progress, error))
                raise
        finally:
            uploads.let_go(alive)

    async def _receive(self, request: Request, progress: _Progress, intake: Intake) -> dict[str, Picture]:
        pictures: dict[str, Picture] = {}
        with self._core.receptions.enter(progress.upload.batch_id) as reception:
            work = self._receive_all(request, progress, intake, pictures)
            await reception.run(work, self._watch(progress.upload, reception))
            if reception.stop_reason is not None:
                raise Problem(STOPPED[reception.stop_reason])
        return pictures

    async def _watch(self, upload: Upload, reception: Reception) -> None:
        """Servers that share DATA do not hear each other: a cancel that another one took is seen in the database."""
        while True:
            known = await self._core.database.read(uploads.of_batch, upload.batch_id)
            if known.state not in {State.UPLOADING, State.COMPLETED}:
                reception.stop(StopReason.CANCELLED)
                return
            await asyncio.sleep(WATCH_SECONDS)

    async def _receive_all(
        self, request: Request, progress: _Progress, intake: Intake, pictures: dict[str, Picture]
    ) -> None:
        async for part in parts(request, most_parts=intake.most_files + OTHER_PARTS):
            if part.filename is None:
                await part.text()
            else:
                await self._receive_one(part, progress, intake)
        intake.require_some(len(progress.files))
        for file in progress.files:
            await progress.tell(file.filename, file.size_bytes, 75, "processing")
            path = self._core.storage.stored_file(file.stored_path or "")
            pictures[file.id] = await self._core.on_disk(look, path)
        await self._core.database.write(uploads.publish, progress.upload, pictures, self._core.now())
        for number, file in enumerate(progress.files, 1):
            await progress.tell(file.filename, file.size_bytes, 100, "completed", done=number)

    async def _receive_one(self, part: Part, progress: _Progress, intake: Intake) -> None:
        name = unicodedata.normalize("NFC", part.filename or "")
        progress.arriving = name
        intake.check(part, name, len(progress.files))
        await progress.tell(name, 0, 0, "uploading")
        upload = progress.upload
        kind = {"content_type": type_of(part) or "application/octet-stream", "is_video": intake.is_video}
        new = NewFile(
            id=str(uuid4()),
            owner=upload.owner,
            filename=name,
            relative_path=safe_name(name),
            size_bytes=None,
            batch_id=upload.batch_id,
            origin=ORIGIN,
            process=True,
            extra={"project_id": upload.project_id, **kind},
            limit_bytes=intake.most_bytes,
        )
        created = await receive(self._core, new, intake.limited(part))
        progress.files.append(await self._core.database.read(_file, upload.owner, created.file.id))
        progress.arriving = None
        await progress.tell(name, progress.files[-1].size_bytes, 50, "uploading")

    async def _fail(self, progress: _Progress, error: BaseException) -> None:
        if await self._endings.fail(progress.upload):  # else whoever cancels it says so
            await progress.tell_failure(
                error.detail if isinstance(error, Problem) else "The connection was cut"
            )


def _file(connection: Connection, owner: str, file_id: str) -> FileRecord:
    return files.get(connection, owner, file_id)
