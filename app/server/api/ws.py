"""Push for our own API: the WebSocket /api/v1/ws. What it says and how it closes: docs/SERVER.md, push.py."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.websockets import WebSocket

from app.server.core import Core
from app.server.push import messages, push


def router(core: Core) -> APIRouter:
    """Build the one route."""
    api = APIRouter()

    @api.websocket("/api/v1/ws")
    async def events(websocket: WebSocket) -> None:
        await push(core, websocket, messages)

    return api
