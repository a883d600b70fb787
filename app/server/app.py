"""The ASGI application: the gate, the APIs and one core, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from starlette.routing import Route

from app import __version__
from app.server.api import mount_all, pages, tus, v1, ws
from app.server.api.room import Api, answer_errors, bearer
from app.server.clock import Clock, utc_now
from app.server.config import ServerConfig
from app.server.core import Core
from app.server.gate import Gate, respond
from app.server.problems import Problem

SWEEP_SECONDS = 600.0

log = logging.getLogger("uphaul.server")


def create_app(
    config: ServerConfig, *, clock: Clock = utc_now, mount: Callable[[Core], list[Api]] = mount_all
) -> FastAPI:
    """Build the application for one DATA; it opens the database when the ASGI server starts it.

    `app.state.core` is its :class:`Core`; *mount* builds the APIs beside our own.
    """
    core = Core(config, clock)
    apis = mount(core)
    root = next((api for api in apis if api.name == config.root_api), None)
    if config.root_api is not None and root is None:
        raise ValueError(f"there is no API called {config.root_api}")

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await core.open()
        for api in apis:
            if api.on_start is not None:
                await api.on_start()
        sweeping = asyncio.create_task(_sweep_now_and_then(core))
        try:
            yield
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping
            for api in reversed(apis):
                if api.on_close is not None:
                    await api.on_close()
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
    own = Api("uphaul", "", app, bearer(core), respond, frozenset({"/", "/healthz", "/docs"}))
    app.add_middleware(Gate, own=own, apis=apis, root=root)
    answer_errors(app, respond)
    endpoint = tus.TusEndpoint(core)
    app.router.routes.insert(0, Route("/files", endpoint))
    app.router.routes.insert(1, Route("/files/{file_id}", endpoint))
    app.include_router(v1.router(core))
    app.include_router(pages.router(app, core, apis, root))
    app.include_router(ws.router(core))
    return app


async def _sweep_now_and_then(core: Core) -> None:
    pause = min(SWEEP_SECONDS, core.config.expire_after.total_seconds() / 4)
    while True:
        await asyncio.sleep(max(pause, 1.0))
        try:
            await core.sweep()
        except (Problem, OSError):
            log.warning("event=sweep_failed", exc_info=True)
