"""What needs no user: health, and what a client may know beforehand."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sqlalchemy import Connection, text
from starlette.responses import PlainTextResponse, Response

from app import __version__
from app.server.api.vuemantics.arrivals import MOST_BATCH_BYTES, MOST_FILE_BYTES, MOST_FILES, TYPES
from app.server.api.vuemantics.reading import NAME
from app.server.core import Core
from app.server.limits import address

OPEN_PATHS = frozenset({"/v1/health", "/v1/health/detailed", "/v1/client-config"})


def router(core: Core) -> APIRouter:
    """Build the routes."""
    api = APIRouter(prefix="/v1", tags=["service"])

    @api.get("/health")
    async def health() -> Response:
        """Say that the server is up."""
        return PlainTextResponse("1")

    @api.get("/health/detailed")
    async def detailed() -> dict[str, str | None]:
        """Say that the database answers, too. There is no Redis and no Ollama here."""
        await core.database.read(_ping)
        return {
            "status": "healthy",
            "environment": "uphaul",
            "version": __version__,
            "database": "healthy",
            "redis": None,
            "ollama": None,
        }

    @api.get("/client-config")
    async def client_config(request: Request) -> dict[str, object]:
        """Tell the limits of an upload."""
        core.limits.take("100/minute", NAME, "client-config", address(request))
        return {
            "max_upload_size_mb": MOST_FILE_BYTES // 1024**2,
            "max_bulk_files": MOST_FILES,
            "max_bulk_size_gb": MOST_BATCH_BYTES // 1024**3,
            "allowed_mime_types": sorted(TYPES),
        }

    return api


def _ping(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))
