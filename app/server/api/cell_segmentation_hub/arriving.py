"""An upload arrives, and is taken back: the request that brings its files, its cancel, and what a dead server left."""

from __future__ import annotations

import asyncio
import unicodedata
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from PIL import Image
from starlette.requests import Request

from app.server.api.cell_segmentation_hub import uploads
from app.server.api.cell_segmentation_hub.envelope import invalid
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.api.cell_segmentation_hub.uploads import ORIGIN, State, Upload
from app.server.appending import Body, DisconnectedError
from app.server.core import Core
from app.server.files import FileRecord, NewFile
from app.server.multipart import Part, parts
from app.server.names import safe_name
from app.server.partial import Partial
from app.server.problems import Problem
from app.server.receiving import receive
from app.server.reception import StopReason

MOST_FILES = 100
MOST_BYTES = 20 * 1024 * 1024
_TYPES = frozenset(f"image/{one}" for one in "png jpeg jpg webp bmp x-ms-bmp x-bmp tiff tif gif".split())
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tiff", ".tif", ".webp", ".gif"})


@dataclass(slots=True)
class _Progress:
    """Tells the sender's sockets how far an upload is."""

    sockets: Sockets
    upload: Upload
    files: list[FileRecord] = field(default_factory=list)

    async def tell(self, name: str, size_bytes: int, percent: int, status: str, *, done: int = 0) -> None:
        known = len(self.files) + (percent < 50 and percent == 0)
        await self.sockets.to_user(
            self.upload.owner,
            "uploadProgress",
            {
                "projectId": self.upload.project_id,
                "batchId": self.upload.id,
                "filename": name,
                "fileSize": size_bytes,
                "progress": percent,
                "currentFileStatus": status,
                "filesCompleted": done,
                "filesTotal": known,
                "percentComplete": round(100 * done / known) if known else 0,
            },
        )


class Arrivals:
    """The uploads of this room that this process receives or cancels."""

    def __init__(self, core: Core, sockets: Sockets) -> None:
        self._core, self._sockets = core, sockets

    async def take(
        self, request: Request, owner: str, project_id: str, upload_id: str
    ) -> tuple[Upload, list[FileRecord]]:
        """Receive one request of images; all of them are there when this returns, none if it raises.

        Raises the 404 of the project, 400 for a file that is refused, `Problem("cancelled")`, :class:`DisconnectedError`.
        """
        core = self._core
        upload = await core.database.write(uploads.begin, core, owner, project_id, upload_id)
        progress = _Progress(self._sockets, upload)
        alive = await core.on_disk(Partial.open, self._life_path(upload))
        try:
            with core.receptions.enter(upload.batch_id) as reception:
                await reception.run(self._receive_all(request, progress))
                if reception.stop_reason is not None:
                    raise Problem("stopping" if reception.stop_reason is StopReason.STOPPING else "cancelled")
        except BaseException as error:
            # A sender that goes away, and a server that stops, must not leave half an upload behind.
            await asyncio.shield(self._fail(upload, progress, error))
            raise
        finally:
            alive.close()
            self._life_path(upload).unlink(missing_ok=True)
        return upload, progress.files

    async def _receive_all(self, request: Request, progress: _Progress) -> None:
        async for part in parts(request, most_parts=MOST_FILES + 20):
            if part.filename is None:
                await part.text()
            else:
                await self._receive_one(part, progress)
        if not progress.files:
            raise Problem("invalid_request", "Je nutné vybrat alespoň jeden soubor")
        sizes = {}
        for file in progress.files:
            await progress.tell(file.filename, file.size_bytes, 75, "processing")
            path = self._core.storage.stored_file(file.stored_path or "")
            sizes[file.id] = await self._core.on_disk(_pixels, path)
        await self._core.database.write(uploads.publish, progress.upload, sizes, self._core.now())
        for number, file in enumerate(progress.files, 1):
            await progress.tell(file.filename, file.size_bytes, 100, "completed", done=number)

    async def _receive_one(self, part: Part, progress: _Progress) -> None:
        name = unicodedata.normalize("NFC", part.filename or "")
        _check(part.name, name, part.content_type.partition(";")[0].strip().casefold(), len(progress.files))
        await progress.tell(name, 0, 0, "uploading")
        upload = progress.upload
        new = NewFile(
            id=str(uuid4()),
            owner=upload.owner,
            filename=name,
            relative_path=safe_name(name),
            size_bytes=None,
            batch_id=upload.batch_id,
            origin=ORIGIN,
            process=True,
            extra={"project_id": upload.project_id, "content_type": _type(part)},
            limit_bytes=MOST_BYTES,
        )
        created = await receive(self._core, new, _Limited(part))
        file = await self._core.database.read(_file, upload.owner, created.file.id)
        progress.files.append(file)
        await progress.tell(name, file.size_bytes, 50, "uploading")

    async def cancel(self, user: str, project_id: str, upload_id: str) -> dict[str, Any]:
        """Abort the request in flight, remove all it brought, and confirm it; raises the 404, or 400 if it is over."""
        core = self._core
        upload = await core.database.write(uploads.start_cancel, user, project_id, upload_id, core.now())
        told = {"projectId": upload.project_id, "batchId": upload.id, "uploadId": upload.id}
        await self._sockets.to_user(upload.owner, "uploadCancelling", {**told, "status": "cancelling"})
        removed = await self._take_back(upload, user)
        await core.database.write(uploads.move, upload, (State.CANCELLING,), State.CANCELLED, core.now())
        message = "Upload cancelled"
        operation = {"operationId": upload.id, "message": message}
        data = {**told, "status": "cancelled", "removedFiles": removed, "cleanupCompleted": True}
        await self._sockets.to_user(
            upload.owner, "uploadCancelled", {**data, "cancelledBy": "user", "message": message}
        )
        await self._sockets.to_user(upload.owner, "upload:cancelled", operation)
        await self._sockets.to_user(
            upload.owner, "operation:cancelled", {**operation, "operationType": "upload"}
        )
        return data

    async def cancel_all(self, user: str, project_id: str) -> None:
        """Cancel what the user sends into one project."""
        for upload in await self._core.database.read(uploads.running, user, project_id):
            with suppress(Problem):  # it ended by itself meanwhile
                await self.cancel(user, upload.project_id, upload.id)

    async def recover(self) -> None:
        """Take back what a server that died had received of uploads; one that lives holds its lock."""
        for upload in await self._core.database.read(uploads.running):
            path = self._life_path(upload)
            try:
                alive = await self._core.on_disk(Partial.open, path)
            except Problem:
                continue
            try:
                await self._take_back(upload, upload.owner)
                states = ((State.CANCELLING, State.CANCELLED), (State.UPLOADING, State.FAILED))
                for before, after in states:
                    now = self._core.now()
                    await self._core.database.write(uploads.move, upload, (before,), after, now)
            finally:
                alive.close()
                path.unlink(missing_ok=True)

    async def _fail(self, upload: Upload, progress: _Progress, error: BaseException) -> None:
        core = self._core
        failed = await core.database.write(uploads.move, upload, (State.UPLOADING,), State.FAILED, core.now())
        if not failed:  # whoever cancelled it cleans up, as soon as this request has let go
            return
        await self._take_back(upload, upload.owner)
        text = error.detail if isinstance(error, Problem) else "The connection was cut"
        for index, file in enumerate(progress.files):
            await progress.tell(file.filename, file.size_bytes, 0, "failed")
            told = {"projectId": upload.project_id, "batchId": upload.id, "filename": file.filename}
            more = {
                "error": text,
                "fileIndex": index,
                "filesTotal": len(progress.files),
                "canContinue": False,
            }
            await self._sockets.to_user(upload.owner, "uploadFailed", told | more)

    async def _take_back(self, upload: Upload, by: str) -> int:
        """Cancel what is unfinished, then remove what was stored; return how many files that were."""
        core = self._core
        await self._cancel_batch(upload, by)
        await core.receptions.stop([upload.batch_id], StopReason.CANCELLED)
        await self._cancel_batch(upload, by)  # a file that was just being made
        stored = await core.database.read(uploads.image_ids, upload.batch_id)
        for file_id in stored:
            with suppress(Problem):
                await core.delete_file(upload.owner, file_id)
            await core.database.write(uploads.forget_image, file_id)
        return len(stored)

    async def _cancel_batch(self, upload: Upload, by: str) -> None:
        try:
            await self._core.cancel_batch(upload.owner, upload.batch_id, by)
        except Problem as problem:
            if problem.code != "not_cancellable":
                raise

    def _life_path(self, upload: Upload) -> Path:
        return self._core.storage.parts_dir / f"csh-{upload.batch_id}"


class _Limited:
    """A part that may not be longer than an image is allowed to be, with the words of this API for it."""

    def __init__(self, body: Body) -> None:
        self._body, self._room_bytes = body, MOST_BYTES

    async def read(self) -> bytes | None:
        chunk = await self._body.read()
        self._room_bytes -= len(chunk or b"")
        if self._room_bytes < 0:
            raise invalid(images="Soubor je příliš velký. Maximální velikost: 20 MB")
        return chunk


def _file(connection: Any, owner: str, file_id: str) -> FileRecord:
    from app.server import files

    return files.get(connection, owner, file_id)


def _type(part: Part) -> str:
    return part.content_type.partition(";")[0].strip().casefold()


def _check(field_name: str, name: str, content_type: str, number: int) -> None:
    if field_name != "images":
        raise invalid(images=f"Neočekávané pole souboru: {field_name}")
    if number >= MOST_FILES:
        raise invalid(images=f"Příliš mnoho souborů. Maximálně lze nahrát {MOST_FILES} souborů najednou")
    if content_type not in _TYPES:
        raise invalid(images=f"Invalid file type: {content_type or 'none'}")
    if PurePosixPath(name).suffix.casefold() not in _SUFFIXES:
        raise invalid(images=f"Invalid file extension: {name}")


def _pixels(path: Path) -> tuple[int | None, int | None]:
    """Return width and height, or nothing for what is no picture that can be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                return picture.width, picture.height
    except (OSError, ValueError, Image.DecompressionBombError, SyntaxError):
        return None, None


__all__ = ["Arrivals", "DisconnectedError"]
