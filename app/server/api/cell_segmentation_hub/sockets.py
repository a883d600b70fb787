"""socket.io: who is connected, which rooms they hear, and what they may ask for."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import socketio
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from app.server.api.cell_segmentation_hub import projects
from app.server.core import Core
from app.server.problems import Problem

Wish = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Does what a user asks for over the socket."""

_QUIET = logging.getLogger("uphaul.socketio")
_QUIET.setLevel(logging.CRITICAL)  # its complaints are about clients, whom it tells itself


class Sockets:
    """The socket.io server of this room. Rooms: `user:<id>`, and `project:<id>` for those who joined."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._server = socketio.AsyncServer(
            async_mode="asgi", cors_allowed_origins=[], logger=_QUIET, engineio_logger=_QUIET
        )
        self.app = _Endpoint(self._server, socketio_path="")
        self.cancels: dict[str, Wish] = {}
        """What `operation:cancel` does, by its operationType."""
        self.stats: Callable[[str, str], Awaitable[dict[str, Any]]] | None = None
        self._listen()

    async def to_user(self, user: str, name: str, payload: Mapping[str, Any]) -> None:
        """Tell all sockets of one user."""
        told = {**payload, "timestamp": self._core.now()}
        await self._server.emit(name, told, room=f"user:{user}")

    async def to_project(self, project_id: str, name: str, payload: Mapping[str, Any]) -> None:
        """Tell all sockets that joined a project."""
        told = {**payload, "timestamp": self._core.now()}
        await self._server.emit(name, told, room=f"project:{project_id}")

    def on(self, name: str, wish: Wish) -> None:
        """Do *wish* when a client sends the event *name*; a refusal is `<first word>:cancel-error`."""

        async def handle(sid: str, payload: object = None) -> None:
            user = await self._user(sid)
            asked = payload if isinstance(payload, dict) else {}
            try:
                await wish(user, asked)
            except Problem as problem:
                error = {"error": problem.detail, "timestamp": self._core.now()}
                name_of_error = f"{name.partition(':')[0]}:cancel-error"
                await self._server.emit(name_of_error, {**_known(asked), **error}, to=sid)

        self._server.on(name, handle)

    async def _user(self, sid: str) -> str:
        session = await self._server.get_session(sid)
        return str(session["user"])

    def _listen(self) -> None:
        for name, handler in {
            "connect": self._connect,
            "join-project": self._join,
            "leave-project": self._leave,
            "request-queue-stats": self._tell_stats,
            "operation:cancel": self._cancel,
        }.items():
            self._server.on(name, handler)

    async def _connect(self, sid: str, environ: dict[str, Any], _auth: object = None) -> None:
        headers = environ.get("asgi.scope", {}).get("headers", [])
        cookie = Request({"type": "http", "headers": headers}).cookies.get("access_token")
        if not cookie:
            raise socketio.exceptions.ConnectionRefusedError("Authentication token required")
        user = await self._core.accounts.who(cookie)
        if user is None:
            raise socketio.exceptions.ConnectionRefusedError("Authentication failed")
        await self._server.save_session(sid, {"user": user.id})
        await self._server.enter_room(sid, f"user:{user.id}")

    async def _join(self, sid: str, project_id: object = None) -> None:
        try:
            project = await self._core.database.read(projects.get, await self._user(sid), str(project_id))
        except Problem:  # as the original: silence for what one may not see
            return
        await self._server.enter_room(sid, f"project:{project.id}")

    async def _leave(self, sid: str, project_id: object = None) -> None:
        await self._server.leave_room(sid, f"project:{project_id}")

    async def _tell_stats(self, sid: str, project_id: object = None) -> None:
        if self.stats is None:
            return
        try:
            told = await self.stats(await self._user(sid), str(project_id))
        except Problem:
            return
        await self._server.emit("queueStats", {**told, "timestamp": self._core.now()}, to=sid)

    async def _cancel(self, sid: str, payload: object = None) -> None:
        asked = payload if isinstance(payload, dict) else {}
        wish = self.cancels.get(str(asked.get("operationType")))
        told: dict[str, Any] = {**_known(asked), "timestamp": self._core.now()}
        try:
            if wish is None:
                raise Problem("invalid_request", "Unknown operationType")
            await wish(await self._user(sid), asked)
        except Problem as problem:
            await self._server.emit("operation:cancel-error", {**told, "error": problem.detail}, to=sid)
        else:
            await self._server.emit("operation:cancel-ack", {**told, "success": True}, to=sid)

    async def close(self) -> None:
        """End all connections."""
        await self._server.shutdown()


class _Endpoint(socketio.ASGIApp):  # type: ignore[misc]  # python-socketio has no types
    """A proxy that strips `Connection` may leave `Upgrade`: plain HTTP, of which socket.io would try to make a WebSocket."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"upgrade"]}
        await super().__call__(scope, receive, send)


def _known(asked: Mapping[str, Any]) -> dict[str, Any]:
    names = ("operationId", "operationType", "jobId", "projectId")
    return {name: asked[name] for name in names if isinstance(asked.get(name), str)}
