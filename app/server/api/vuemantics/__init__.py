"""vuemantics: bulk uploads of pictures and films, and the cancel that its own server only declares.

Its contract (paths, shapes, limits) is the one of its newest commit; where that falls short of its promises, the promise
holds: docs/server/vuemantics.md.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.websockets import WebSocket

from app.server.accounts import User
from app.server.api.room import Api, Authenticate, bearer, room_app
from app.server.api.vuemantics import accounts, arrivals, batches, service, uploads
from app.server.api.vuemantics.correlation import Correlated
from app.server.api.vuemantics.errors import invalid, refuse, token_fault
from app.server.api.vuemantics.live import serve
from app.server.api.vuemantics.reading import NAME
from app.server.core import Core


def mount(core: Core) -> Api:
    """Build the API over the server's core."""
    app = room_app("vuemantics", refuse, invalid=invalid)
    app.add_middleware(Correlated)
    for room in (service.router(core), accounts.router(core), batches.router(core), uploads.router(core)):
        app.include_router(room)

    @app.websocket("/ws/uploads")
    async def events(websocket: WebSocket) -> None:
        await serve(core, websocket)

    return Api(
        name=NAME,
        prefix="/vuemantics",
        app=app,
        authenticate=_authenticate(core),
        refuse=refuse,
        open_paths=service.OPEN_PATHS | {"/v1/auth/register", "/v1/auth/token", "/v1/auth/token/refresh"},
        aliases=("/api",),
        on_start=lambda: arrivals.close_abandoned(core),
    )


def _authenticate(core: Core) -> Authenticate:
    known = bearer(core)

    async def authenticate(headers: Headers) -> User | None:
        user = await known(headers)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if user is not None or scheme.casefold() != "bearer":
            token_fault.set(None)
            return user
        token_fault.set(await _fault(core, token.strip()))
        return None

    return authenticate


async def _fault(core: Core, token: str) -> str:
    if await core.accounts.why(token, "refresh") is None:
        return "Invalid token type. Expected access"
    is_expired = await core.accounts.why(token) == "expired"
    return "Token has expired" if is_expired else "Could not validate token"
