"""Doorito's specified API (rjusher/doorito, PEPs 0009 to 0017 and 0019) over our core: sessions, parts, batches, events.

Names, shapes and paths are those of the PEPs; cancel, which they leave out, is here. docs/server/doorito.md says what is
read into their gaps and why.
"""

from __future__ import annotations

import asyncio

from fastapi import Response
from starlette.responses import JSONResponse

from app.server.api.doorito import batches, rules, sessions
from app.server.api.doorito.answers import invalid, refuse
from app.server.api.doorito.shelf import Shelf
from app.server.api.room import Api, bearer, room_app
from app.server.core import Core
from app.server.problems import Problem

READY_SECONDS = 5


def mount(core: Core) -> Api:
    """Build the API over one core."""
    app = room_app("Doorito", refuse, invalid=invalid)
    shelf = Shelf(core)
    core.on_stored[rules.NAME] = rules.tell

    @app.get("/health")
    async def health() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> Response:
        """The database takes a write and the disk takes bytes."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                await core.database.probe()
                await core.on_disk(core.storage.require_room, 0)
        except (Problem, OSError) as error:
            return JSONResponse({"status": "unavailable", "detail": _why(error)}, 503)
        return JSONResponse({"status": "ok"})

    for room in (sessions.router(core, shelf), batches.router(core, shelf)):
        app.include_router(room)
    return Api(
        name=rules.NAME,
        prefix="/doorito",
        app=app,
        authenticate=bearer(core),
        refuse=refuse,
        open_paths=frozenset({"/health", "/ready"}),
        on_start=shelf.open,
        on_close=shelf.close,
    )


def _why(error: Problem | OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"The disk did not answer within {READY_SECONDS} seconds."
    return error.detail if isinstance(error, Problem) else "The folder of the data cannot be reached."
