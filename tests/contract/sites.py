"""The servers of the stories of every dialect: how each is started, who one is there, and what it keeps."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import httpx

from app.remote.account import Endpoint
from app.remote.base import RemoteServer, TargetServer
from tests.support.cell_segmentation_hub_server import FakeHub
from tests.support.clock import until
from tests.support.directdrive_server import FakeDirectDrive, Generation
from tests.support.doorito_form_server import FakeDooritoForm
from tests.support.doorito_server import FakeDoorito
from tests.support.draft_server import FakeDraft
from tests.support.npm_tus import NpmTus
from tests.support.python_tus import PythonTus
from tests.support.server import ServerProcess
from tests.support.vuemantics_server import FakeVuemantics

Stored = tuple[str, str]
"""A whole file at a server: its name and its SHA-256."""
USER, PASSWORD = "anna@example.org", "correct Horse-1"


class Ours:
    """Our server, and one user who has an account at every API of it: passwords are slow to check on purpose."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process

    @cached_property
    def user(self) -> str:
        """Who that is."""
        told = {"email": USER, "password": PASSWORD}
        answer = httpx.post(f"{self.process.url}/vuemantics/v1/auth/register", json=told, trust_env=False)
        assert answer.is_success, answer.text
        return USER

    def stored(self) -> list[Stored]:
        """Return every file it keeps."""
        paths = [path for path in self.process.files_dir.rglob("*") if path.is_file()]
        return [(path.name, _sha256(path.read_bytes())) for path in paths]

    async def restart(self) -> None:
        """As a crash and a new start."""
        await asyncio.to_thread(self.process.kill)
        await asyncio.to_thread(self.process.restart)


class Servers:
    """The servers that are processes: each is started when the first story needs it, and serves all of a module."""

    def __init__(self, folder: Path, modules: Callable[[], Path]) -> None:
        self._folder = folder
        self._modules = modules
        self._running = ExitStack()

    @cached_property
    def _ours(self) -> Ours:
        process = ServerProcess(self._folder / "ours", "--rate-limits", "off")
        return Ours(self._running.enter_context(process))

    @cached_property
    def _held(self) -> Ours:
        options = ("--rate-limits", "off", "--process")
        process = ServerProcess(self._folder / "held", *options, module="tests.support.held_server")
        return Ours(self._running.enter_context(process))

    @cached_property
    def _npm(self) -> NpmTus:
        return self._running.enter_context(NpmTus(self._modules(), self._folder / "npm"))

    def ours(self) -> Ours:
        """Our own."""
        return self._ours

    def held(self) -> Ours:
        """Our own, which works on what arrives unless there is a file ``hold`` in its DATA."""
        return self._held

    def npm(self) -> NpmTus:
        """The tus project's."""
        return self._npm

    def close(self) -> None:
        """End them."""
        self._running.close()


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a server is started on: those that are processes (made when first asked for), a folder, the time."""

    ours: Callable[[], Ours]
    held: Callable[[], Ours]
    npm: Callable[[], NpmTus]
    folder: Path
    now: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Site:
    """A server that runs. ``stored`` has every whole file that it keeps, and each copy of it.

    ``at_work`` returns once it works on what has arrived, if its work was held from the start; ``let_work``: it goes on
    with that. Where the client is not kept waiting for the work, ``at_work`` is None.
    """

    endpoint: Endpoint
    stored: Callable[[], list[Stored]]
    restart: Callable[[], Awaitable[None]]
    let_work: Callable[[], None] = lambda: None
    at_work: Callable[[], Awaitable[object]] | None = None

    def wrong(self) -> Endpoint:
        """Return an account that it does not know."""
        if self.endpoint.user:
            return replace(self.endpoint, token=None, password="wrong")
        return replace(self.endpoint, token="wrong")


Start = Callable[[Grounds], AbstractAsyncContextManager[Site]]


async def target_of(server: RemoteServer) -> str | None:
    """Return a place to send to, where the server wants one."""
    return (await server.create_target("Buňky")).id if isinstance(server, TargetServer) else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# Ours


def ours_at(path: str, *, signs_in: bool, held: bool = False) -> Start:
    @asynccontextmanager
    async def start(grounds: Grounds) -> AsyncIterator[Site]:
        ours = grounds.held() if held else grounds.ours()
        url = ours.process.url + path
        if signs_in:
            endpoint = Endpoint(url, user=ours.user, password=PASSWORD)
        else:
            endpoint = Endpoint(url, ours.process.token)
        door = ours.process.data_dir / "hold"
        if held:
            door.touch()
        yield Site(endpoint, ours.stored, ours.restart, partial(door.unlink, missing_ok=True))

    return start


# The pretended originals


def fake_vuemantics(*, held: bool = False) -> Start:
    @asynccontextmanager
    async def start(grounds: Grounds) -> AsyncIterator[Site]:
        async with FakeVuemantics(grounds.now) as fake:
            endpoint = Endpoint(fake.url, user=fake.user, password=fake.password)
            if held:
                fake.worker.hold()

            def stored() -> list[Stored]:
                return [(file.name, _sha256(file.content)) for file in fake.files]

            yield Site(endpoint, stored, fake.restart, fake.worker.go)

    return start


def fake_directdrive(generation: Generation, *, held: bool = False) -> Start:
    @asynccontextmanager
    async def start(grounds: Grounds) -> AsyncIterator[Site]:
        async with FakeDirectDrive(generation) as fake:
            fake.now = grounds.now
            endpoint = Endpoint(fake.url, user=fake.user, password=fake.password)
            if held:
                fake.keeps_processing()

            def stored() -> list[Stored]:
                whole = [file for file in fake.files.values() if file.status == "completed"]
                return [(file.name, _sha256(bytes(file.content))) for file in whole]

            yield Site(endpoint, stored, fake.restart, fake.finalise.set, fake.finalising.wait)

    return start


def fake_doorito(*, held: bool = False) -> Start:
    @asynccontextmanager
    async def start(_grounds: Grounds) -> AsyncIterator[Site]:
        async with FakeDoorito() as fake:
            if held:
                fake.may_assemble.clear()

            def stored() -> list[Stored]:
                sessions = fake.sessions.values()
                return [(each.name, _sha256(each.content)) for each in sessions if each.content is not None]

            async def at_work() -> None:
                await until(lambda: any(each.work for each in fake.sessions.values()))

            endpoint = Endpoint(fake.url, fake.token)
            yield Site(endpoint, stored, fake.restart, fake.may_assemble.set, at_work)

    return start


@asynccontextmanager
async def fake_hub(grounds: Grounds) -> AsyncIterator[Site]:
    async with FakeHub(grounds.now) as fake:

        def stored() -> list[Stored]:
            return [(image.name, _sha256(image.content)) for image in fake.images]

        yield Site(Endpoint(fake.url, user=fake.user, password=fake.password), stored, fake.restart)


@asynccontextmanager
async def fake_form(_grounds: Grounds) -> AsyncIterator[Site]:
    async with FakeDooritoForm() as fake:
        endpoint = Endpoint(fake.url, user=fake.user, password=fake.password)
        yield Site(endpoint, lambda: [(name, _sha256(content)) for name, content in fake.files], fake.restart)


@asynccontextmanager
async def npm_tus(grounds: Grounds) -> AsyncIterator[Site]:
    npm = grounds.npm()

    async def restart() -> None:
        await asyncio.to_thread(npm.restart)

    yield Site(Endpoint(npm.url, npm.token), npm.stored, restart)


@asynccontextmanager
async def python_tus(grounds: Grounds) -> AsyncIterator[Site]:
    async with PythonTus(grounds.folder / "tuspyserver") as running:
        yield Site(Endpoint(running.url, running.token), running.stored, running.restart)


@asynccontextmanager
async def draft(_grounds: Grounds) -> AsyncIterator[Site]:
    async with FakeDraft() as fake:
        yield Site(Endpoint(fake.url, fake.token), fake.stored, fake.restart)
