"""The ASGI application: the gate, the APIs and one core, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app import __version__
from app.server.api import pages, tus, v1
from app.server.auth import TokenAuth
from app.server.clock import Clock, utc_now
from app.server.config import ServerConfig
from app.server.core import Core
from app.server.gate import Gate, respond
from app.server.problems import Problem

SWEEP_SECONDS = 600.0

log = logging.getLogger("uphaul.server")


def create_app(config: ServerConfig, *, clock: Clock = utc_now) -> FastAPI:
    """Build the application for one DATA; it opens the database when the ASGI server starts it.

    `app.state.core` is its :class:`Core`.
    """
    core = Core(config, clock)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await core.open()
        sweeping = asyncio.create_task(_sweep_now_and_then(core))
        try:
            yield
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping
            await core.close()

    app = FastAPI(
        title="Uphaul server",
        version=__version__,
        description="Batches, files and cancel. Bytes go to `/files` by tus 1.0.0; see docs/SERVER.md.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.core = core
    app.add_middleware(Gate, auth=TokenAuth(config.token))
    _answer_errors(app)
    endpoint = tus.TusEndpoint(core)
    app.router.routes.insert(0, Route("/files", endpoint))
    app.router.routes.insert(1, Route("/files/{file_id}", endpoint))
    app.include_router(v1.router(core))
    app.include_router(pages.router(app, core))
    return app


async def _sweep_now_and_then(core: Core) -> None:
    pause = min(SWEEP_SECONDS, core.config.expire_after.total_seconds() / 4)
    while True:
        await asyncio.sleep(max(pause, 1.0))
        try:
            await core.sweep()
        except (Problem, OSError):
            log.warning("event=sweep_failed", exc_info=True)


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(_request: Request, error: Problem) -> Response:
        return respond(error)

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
        sentence = HTTPStatus(error.status_code).phrase if code == "invalid_request" else Problem(code).detail
        return JSONResponse({"detail": sentence, "code": code}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        places = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return respond(Problem("validation_failed", places))

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Response:
        return respond(Problem("internal_error"))
