"""The end of an upload that is not completed: its cancel, its failure, and what a dead server left of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from app.server.api.cell_segmentation_hub import removing, uploads
from app.server.api.cell_segmentation_hub.removing import Removed
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.api.cell_segmentation_hub.uploads import State, Upload
from app.server.core import Core
from app.server.database import Transaction
from app.server.partial import Partial
from app.server.problems import Problem
from app.server.reception import StopReason

PATIENCE_SECONDS = 5.0
"""A request in another process hears of its cancel within half a second; one that hangs is not waited for."""
LOOK_SECONDS = 0.05


class Endings:
    """Ends uploads. While a request brings one, it holds the upload's lock; who ends it holds the lock after that."""

    def __init__(self, core: Core, sockets: Sockets) -> None:
        self._core, self._sockets = core, sockets
        self._cancelling: set[str] = set()

    async def cancel(self, user: str, project_id: str, upload_id: str) -> dict[str, Any]:
        """Abort the request in flight, remove all it brought, and confirm it; raises the 404, or 400 if it is over.

        The answer is `cancelled`; `cancelling` only if the request is in another process that does not react.
        """
        core = self._core
        upload, stored = await core.database.write(
            uploads.start_cancel, user, project_id, upload_id, core.now()
        )
        self._cancelling.add(upload.batch_id)
        try:
            await self._tell(upload, "uploadCancelling", status="cancelling")
            await self._cancel_batch(upload, user)
            await core.receptions.stop([upload.batch_id], StopReason.CANCELLED)
            alive = await self._lock(upload, PATIENCE_SECONDS)
            if alive is None:
                return {**_about(upload), **_told("cancelling", 0)}
            try:
                removed = await self._confirm(upload, user)
            finally:
                uploads.let_go(alive)
            return {**_about(upload), **_told("cancelled", stored if removed is None else removed)}
        finally:
            self._cancelling.discard(upload.batch_id)

    async def cancel_all(self, user: str, project_id: str) -> None:
        """Cancel what the user sends into one project."""
        for upload in await self._core.database.read(uploads.running, user, project_id):
            with suppress(Problem):  # it ended by itself meanwhile
                await self.cancel(user, upload.project_id, upload.id)

    async def recover(self) -> None:
        """End the uploads whose server died, or hung while it was to cancel them; one that lives holds its lock."""
        for known in await self._core.database.read(uploads.running):
            if known.batch_id in self._cancelling:
                continue
            alive = await self._lock(known, 0)
            if alive is None:
                continue
            try:
                await self.fail(known)
            finally:
                uploads.let_go(alive)

    async def fail(self, upload: Upload) -> bool:
        """Remove what an upload has brought and fail it, or end its cancel if another process was told of that.

        False if it did not fail. The caller holds its lock.
        """
        # Asked of the writer, which by now has done what the request that ended had asked of it.
        state = await self._core.database.write(uploads.state, upload)
        if state is State.CANCELLING and upload.batch_id not in self._cancelling:
            await self._confirm(upload, upload.owner)
        if state is not State.UPLOADING:
            return False
        await self._cancel_batch(upload, upload.owner)
        return await self._remove(upload, State.UPLOADING, State.FAILED) is not None

    async def _confirm(self, upload: Upload, by: str) -> int | None:
        """Remove all of an upload that is being cancelled, and tell so. The caller holds its lock.

        Returns the number of files that were stored; None if another process was quicker.
        """
        await self._cancel_batch(upload, by)  # once more: a file may just have been made
        removed = await self._remove(upload, State.CANCELLING, State.CANCELLED)
        if removed is not None:
            message = "Upload cancelled"
            told = {**_told("cancelled", removed), "cancelledBy": "user", "message": message}
            await self._tell(upload, "uploadCancelled", **told)
            operation = {"operationId": upload.id, "message": message}
            await self._sockets.to_user(upload.owner, "upload:cancelled", operation)
            operation["operationType"] = "upload"
            await self._sockets.to_user(upload.owner, "operation:cancelled", operation)
        return removed

    async def _remove(self, upload: Upload, before: State, after: State) -> int | None:
        core = self._core
        removed = await core.database.write(_end, core, upload, before, after, core.now())
        if removed is None:
            return None
        await removing.settle(core, removed)
        return len(removed.file_ids)

    async def _cancel_batch(self, upload: Upload, by: str) -> None:
        try:
            await self._core.cancel_batch(upload.owner, upload.batch_id, by)
        except Problem as problem:
            if problem.code != "not_cancellable":
                raise

    async def _lock(self, upload: Upload, patience_seconds: float) -> Partial | None:
        loop = asyncio.get_running_loop()
        end = loop.time() + patience_seconds
        while True:
            try:
                return await self._core.on_disk(Partial.open, uploads.life_path(self._core, upload.batch_id))
            except Problem:
                if loop.time() >= end:
                    return None
            await asyncio.sleep(LOOK_SECONDS)

    async def _tell(self, upload: Upload, name: str, **told: Any) -> None:
        await self._sockets.to_user(upload.owner, name, {**_about(upload), **told})


def _about(upload: Upload) -> dict[str, Any]:
    return {"projectId": upload.project_id, "batchId": upload.id, "uploadId": upload.id}


def _told(status: str, removed: int) -> dict[str, Any]:
    return {"status": status, "removedFiles": removed, "cleanupCompleted": status == "cancelled"}


def _end(
    tx: Transaction, core: Core, upload: Upload, before: State, after: State, now: str
) -> Removed | None:
    """Move an upload to its last state and remove its files, both or neither; None if it was not *before*."""
    if not uploads.move(tx, upload, (before,), after, now):
        return None
    return removing.of_upload(tx, core, upload.batch_id, now)
