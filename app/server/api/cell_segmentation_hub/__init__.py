"""The Cell Segmentation Hub: projects of images, uploads that can be cancelled, a queue, exports, and socket.io."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.routing import Mount

from app.server.api.cell_segmentation_hub import (
    auth,
    exports,
    health,
    images,
    links,
    projects,
    queue,
    removing,
    uploading,
    uploads,
)
from app.server.api.cell_segmentation_hub.arriving import Arrivals
from app.server.api.cell_segmentation_hub.chores import Chores
from app.server.api.cell_segmentation_hub.ending import Endings
from app.server.api.cell_segmentation_hub.envelope import crashed, missing, refuse, unfit, uuid
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.api.cell_segmentation_hub.telling import Teller
from app.server.api.room import Api, cookie, room_app
from app.server.core import Core


def mount(core: Core) -> Api:
    """Build this API over one core."""
    app = room_app("Cell Segmentation Hub", refuse, invalid=unfit, crashed=crashed)
    sockets = Sockets(core)
    endings = Endings(core, sockets)
    core.on_stored[uploads.ORIGIN] = uploads.on_stored
    auth.add(app, core)
    projects.add(app, core)
    links.add(app, core)
    uploading.add(app, core, Arrivals(core, sockets, endings), endings, sockets)
    images.add(app, core)
    removing.add(app, core, sockets)
    queue.add(app, core, sockets)
    exports.add(app, core, sockets)
    health.add(app, core)
    app.router.routes.append(Mount("/socket.io", sockets.app))
    _hear_cancels(core, sockets, endings)
    teller, chores = Teller(core, sockets), Chores(core, endings)

    async def start() -> None:
        await chores.start()
        teller.start()

    async def close() -> None:
        await chores.close()
        await teller.close()
        await sockets.close()

    return Api(
        name="cell-segmentation-hub",
        prefix="/cell-segmentation-hub",
        app=app,
        authenticate=cookie(core, "access_token"),
        refuse=refuse,
        open_paths=auth.OPEN_PATHS | health.OPEN_PATHS | {"/socket.io/"},
        on_start=start,
        on_close=close,
    )


def _hear_cancels(core: Core, sockets: Sockets, endings: Endings) -> None:
    """Let sockets cancel uploads as the routes do."""

    async def one(user: str, asked: Mapping[str, Any]) -> None:
        wanted = uuid(str(asked.get("operationId")), "operationId")
        upload = await core.database.read(uploads.find, user, wanted)
        if upload is None:
            raise missing("Upload not found")
        await endings.cancel(user, upload.project_id, upload.id)

    async def of_project(user: str, asked: Mapping[str, Any]) -> None:
        project_id = uuid(str(asked.get("projectId")), "projectId")
        upload_id = asked.get("uploadId")
        if upload_id is None:  # all the original's client tells
            await endings.cancel_all(user, project_id)
        else:
            await endings.cancel(user, project_id, uuid(str(upload_id), "uploadId"))

    sockets.cancels["upload"] = one
    sockets.on("upload:cancel", of_project)
