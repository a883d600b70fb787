"""DirectDrive's API (EmmaGarrr/DirectDriveX and the document about its cancel endpoints) over our core.

Names, shapes and paths are the original's; what it promises and does not do, this does. docs/server/directdrive.md says
what differs and why.
"""

from __future__ import annotations

from app.server.api.directdrive import downloads, sockets, uploads, users
from app.server.api.directdrive.answers import NAME, crashed, invalid, refuse
from app.server.api.room import Api, room_app
from app.server.core import Core


def mount(core: Core) -> Api:
    """Build the API over one core."""
    app = room_app("DirectDrive", refuse, invalid=invalid, crashed=crashed)

    @app.get("/")
    async def welcome() -> dict[str, str]:
        """Greet."""
        return {"message": "Welcome to the File Transfer API"}

    for room in (users.router(core), uploads.router(core), downloads.router(core), sockets.router(core)):
        app.include_router(room)
    return Api(
        name=NAME,
        prefix="/directdrive",
        app=app,
        authenticate=users.somebody_or_nobody(core),
        refuse=refuse,
        open_paths=frozenset({"/", "/api/v1/auth/token", "/api/v1/auth/register"}),
        claims=uploads.claims(core),
    )
