"""The stage of a story with one tus server before it, whatever that server can or cannot do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from app.engine.engine import Limits
from app.remote.account import Endpoint
from app.remote.registry import TUS
from tests.contract.dialects import Case
from tests.contract.sites import Grounds, Servers, Site, Stored
from tests.contract.stage import Stage, open_stage
from tests.support.front import Door
from tests.support.node import node_modules
from tests.support.npm_tus import NpmTus

CREATE, APPEND, LOOK, END = (
    Door(method, path)
    for method, path in (("POST", "/(files|uploads)/?"), ("PATCH", ".*"), ("HEAD", ".*"), ("DELETE", ".*"))
)


class TusServer(Protocol):
    """What the pretended and the foreign ones have in common."""

    url: str
    token: str

    def stored(self) -> list[Stored]:
        """Return every whole file."""


OpenStage = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def before(tmp_path: Path) -> OpenStage:
    """Open a stage before a server that runs: ``async with before(server) as stage``."""

    @asynccontextmanager
    async def start(server: TusServer, limits: Limits | None = None) -> AsyncIterator[Stage]:
        @asynccontextmanager
        async def site(_grounds: Grounds) -> AsyncIterator[Site]:
            async def restart() -> None:
                raise NotImplementedError

            yield Site(Endpoint(server.url, server.token), server.stored, restart)

        case = Case(TUS, "here", site, CREATE, APPEND, APPEND)
        async with open_stage(case, Servers(tmp_path, Path), tmp_path, limits=limits) as stage:
            yield stage

    return start


@pytest.fixture(scope="session")
def modules(request: pytest.FixtureRequest) -> Path:
    """The packages of js/package-lock.json, installed once into pytest's cache folder."""
    assert request.config.cache is not None
    return node_modules(Path(request.config.cache.mkdir("foreign-servers")), Path(__file__).parent / "js")


@pytest.fixture
def npm(modules: Path, tmp_path: Path) -> Callable[..., NpmTus]:
    """Make an @tus/server of one's own: ``with npm(maxSize=10) as server``."""

    def make(**options: Any) -> NpmTus:
        return NpmTus(modules, tmp_path / "npm", **options)

    return make
