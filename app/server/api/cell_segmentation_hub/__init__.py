"""The Cell Segmentation Hub: projects of images, uploads that can be cancelled, a queue, exports, and socket.io."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.routing import Mount

from app.server.api.cell_segmentation_hub import auth, exports, images, projects, queue, telling, uploads
from app.server.api.cell_segmentation_hub.arriving import Arrivals
from app.server.api.cell_segmentation_hub.envelope import crashed, refuse, unfit, uuid
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.api.room import Api, cookie, room_app
from app.server.core import Core
from app.server.problems import Problem


def mount(core: Core) -> Api:
    """Build this API over one core."""
    app = room_app("Cell Segmentation Hub", refuse, invalid=unfit, crashed=crashed)
    sockets = Sockets(core)
    arrivals = Arrivals(core, sockets)
    core.on_stored[uploads.ORIGIN] = uploads.on_stored
    auth.add(app, core)
    projects.add(app, core)
    images.add(app, core, arrivals, sockets)
    queue.add(app, core, sockets)
    exports.add(app, core, sockets)
    teller = telling.Teller(core, sockets)
    app.router.routes.append(Mount("/socket.io", sockets.app))

    async def cancel_upload(user: str, asked: Mapping[str, Any]) -> None:
        upload = await core.database.read(
            uploads.find, user, uuid(str(asked.get("operationId")), "operationId")
        )
        if upload is None:
            raise Problem("not_found", "Upload not found")
        await arrivals.cancel(user, upload.project_id, upload.id)

    async def cancel_uploads(user: str, asked: Mapping[str, Any]) -> None:
        await arrivals.cancel_all(user, uuid(str(asked.get("projectId")), "projectId"))

    sockets.cancels["upload"] = cancel_upload
    sockets.on("upload:cancel", cancel_uploads)

    async def start() -> None:
        await arrivals.recover()
        teller.start()

    async def close() -> None:
        await teller.close()
        await sockets.close()

    return Api(
        name="cell-segmentation-hub",
        prefix="/cell-segmentation-hub",
        app=app,
        authenticate=cookie(core, "access_token"),
        refuse=refuse,
        open_paths=auth.OPEN_PATHS | {"/socket.io/"},
        on_start=start,
        on_close=close,
    )
