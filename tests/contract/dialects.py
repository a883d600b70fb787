"""Every dialect at every server that speaks it: how to start one, who one is there, and by which requests files go.

``ours`` is the embedded server's API of that dialect; ``fake`` the pretended original of tests/support.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import httpx

from app.domain.state import TransferState
from app.remote.account import Account, Endpoint, Line
from app.remote.base import RemoteServer, TargetServer
from app.remote.cell_segmentation_hub import open_hub
from app.remote.directdrive import directdrive_line
from app.remote.registry import (
    CELL_SEGMENTATION_HUB,
    DIRECTDRIVE,
    DOORITO,
    DOORITO_FORM,
    TUS,
    UPHAUL,
    VUEMANTICS,
    dialect,
)
from app.remote.vuemantics import VuemanticsLine
from tests.support import cell_segmentation_hub_sender, directdrive_sender, vuemantics_sender
from tests.support.cell_segmentation_hub_server import FakeHub
from tests.support.clock import until
from tests.support.directdrive_server import FakeDirectDrive, Generation
from tests.support.doorito_form_server import FakeDooritoForm
from tests.support.doorito_server import FakeDoorito
from tests.support.draft_server import FakeDraft
from tests.support.front import Door, LoseAnswer, Say, reply
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


@dataclass(frozen=True, slots=True)
class Case:
    """A dialect at one of its servers.

    ``announces`` is the first request of a file's sending, ``brings`` the one with its bytes, ``ends`` the one whose
    answer says that it is stored; ``loses`` takes that answer away. ``arrived`` is what a person reads of a stored
    file; ``own_words`` are the sentences, by their stories, that differ from what everybody says.
    ``signed_out`` is what it answers to somebody whose sign-in has run out; ``held`` starts a server that works on what
    has arrived, and stands still with that.
    """

    dialect: str
    where: str
    start: Start
    announces: Door
    brings: Door
    ends: Door
    loses: LoseAnswer = field(default_factory=LoseAnswer)
    many_files: int = 300
    signed_out: Say = field(default_factory=lambda: reply(401, '{"detail": "Not any more."}'))
    arrived: str = "Arrived."
    renames: Callable[[str], str] = str
    own_words: Mapping[str, Any] = field(default_factory=dict)
    held: Start | None = None

    def names(self, names: Sequence[str]) -> list[str]:
        """Return what these names are at the server, sorted."""
        return sorted(map(self.renames, names))

    def __str__(self) -> str:
        return f"{self.dialect}-{self.where}"

    def line(self, account: Account) -> Line:
        """Return the account's line, with the waits of a server that is near."""
        if self.dialect == VUEMANTICS:
            return VuemanticsLine(account, vuemantics_sender.QUICK)
        if self.dialect == DIRECTDRIVE:
            return directdrive_line(account, directdrive_sender.QUICK)
        if self.dialect == CELL_SEGMENTATION_HUB:
            return open_hub(account, cell_segmentation_hub_sender.QUICK)
        return dialect(self.dialect).open(account)


async def target_of(server: RemoteServer) -> str | None:
    """Return a place to send to, where the server wants one."""
    return (await server.create_target("Buňky")).id if isinstance(server, TargetServer) else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# Ours


def _ours(path: str, *, signs_in: bool, held: bool = False) -> Start:
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


def _fake_vuemantics(*, held: bool = False) -> Start:
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


def _fake_directdrive(generation: Generation, *, held: bool = False) -> Start:
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


def _fake_doorito(*, held: bool = False) -> Start:
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
async def _fake_hub(grounds: Grounds) -> AsyncIterator[Site]:
    async with FakeHub(grounds.now) as fake:

        def stored() -> list[Stored]:
            return [(image.name, _sha256(image.content)) for image in fake.images]

        yield Site(Endpoint(fake.url, user=fake.user, password=fake.password), stored, fake.restart)


@asynccontextmanager
async def _fake_form(_grounds: Grounds) -> AsyncIterator[Site]:
    async with FakeDooritoForm() as fake:
        endpoint = Endpoint(fake.url, user=fake.user, password=fake.password)
        yield Site(endpoint, lambda: [(name, _sha256(content)) for name, content in fake.files], fake.restart)


@asynccontextmanager
async def _npm_tus(grounds: Grounds) -> AsyncIterator[Site]:
    npm = grounds.npm()

    async def restart() -> None:
        await asyncio.to_thread(npm.restart)

    yield Site(Endpoint(npm.url, npm.token), npm.stored, restart)


@asynccontextmanager
async def _python_tus(grounds: Grounds) -> AsyncIterator[Site]:
    async with PythonTus(grounds.folder / "tuspyserver") as running:
        yield Site(Endpoint(running.url, running.token), running.stored, running.restart)


@asynccontextmanager
async def _draft(_grounds: Grounds) -> AsyncIterator[Site]:
    async with FakeDraft() as fake:
        yield Site(Endpoint(fake.url, fake.token), fake.stored, fake.restart)


_VERIFIED = "Arrived; the server has checked its SHA-256."
_RENEWED = (
    TransferState.WAITING,
    "The server and Uphaul did not agree on how much had arrived (401): the sign-in had run out; there is a new one. "
    "Trying again in 1 s.",
)
_UNNOTICED = (TransferState.COMPLETED, "Arrived.")
_A_MINUTE = (TransferState.WAITING, "The server is busy (503). Trying again in 1 min.")
_STOPPED = (TransferState.CANCELLED, "Cancelled at the server, from another program.")
_NOTHING_STORED = "Cancelled here only: this server has no cancel. Nothing had been stored."
_PERHAPS_A_PART = (
    "Cancelled here only: this server has no cancel, so what had arrived may stay there for a while."
)
_LINGERS = "Cancelled here only: this server has no cancel. What had arrived stays there until the server lets it expire."
_NO_EMPTY = (
    TransferState.FAILED,
    "The server did not accept the file: this server takes no empty files. Change what it names, then retry.",
)
_EMPTY = (
    TransferState.FAILED,
    "The server did not accept the file: the file is empty, and this server takes no empty files. "
    "Change what it names, then retry.",
)
_NOT_YOURS = (
    TransferState.FAILED,
    "The server did not accept the file (403): the project is gone, or it is not yours. "
    "Change what it names, then retry.",
)
_IS_EMPTY = (
    TransferState.FAILED,
    "The server did not accept the file: the file is empty. Change what it names, then retry.",
)
_BULK = Door("POST", "/uploads/bulk")
_IMAGES = Door("POST", "/projects/[^/]+/images")
_SOCKET = Door("GET", "/ws_api/upload(_parallel)?/[^/]+")
_INITIATE = Door("POST", "/(batch|upload)/initiate")
_CREATE, _PATCH = Door("POST", "/files"), Door("PATCH", "/files/[^/]+")
_SAYS_SUCCESS = LoseAnswer(b'"success"')
_VUEMANTICS: Mapping[str, Any] = {
    "cancelled": _NOTHING_STORED,
    "empty": _EMPTY,
    "expired": _RENEWED,
}
_HUB: dict[str, Any] = {"403": _NOT_YOURS, "empty": _IS_EMPTY, "expired": _RENEWED}
_DIRECTDRIVE: Mapping[str, Any] = {"empty": _NO_EMPTY, "expired": _UNNOTICED, "503": _A_MINUTE}

_FORM = Door("POST", "/app/upload/")
_FOR_A_DAY = "Arrived. This server deletes it after 24 hours."
_NOBODY_KNOWS = (
    TransferState.FAILED,
    "Nobody can know whether it arrived: the answer was lost, and this server cannot be asked. "
    "Look on the server, then retry to send it again.",
)

_IN_WORK = "cancelled_in_work"
_STAYS = (
    (TransferState.COMPLETED, "It had finished before the cancel took effect, and stays on the server."),
    [1],
)
_STOPS = (
    TransferState.CANCELLED,
    "The server has stopped working on it, and keeps the file. Delete it there if it should go.",
), [1]  # fmt: skip
_GOES_ON = (
    TransferState.CANCELLED,
    "The server answered 500 (its cancel is broken) and goes on with it. Delete it there if it should go.",
), [1]  # fmt: skip
_GOES_ON_WITH_PARTS = (
    TransferState.CANCELLED,
    "The server answered 404 and goes on with it. Delete it there if it should go.",
), [0]  # fmt: skip
_GONE = (TransferState.CANCELLED, "Cancelled. The server confirmed it and kept nothing."), [0]

CASES = (
    Case(
        UPHAUL,
        "ours",
        _ours("", signs_in=False),
        _CREATE,
        _PATCH,
        Door("POST|PATCH", "/files(/[^/]+)?"),
        arrived=_VERIFIED,
        own_words={_IN_WORK: _STAYS},
        held=_ours("", signs_in=False, held=True),
    ),
    Case(
        TUS,
        "ours",
        _ours("/files", signs_in=False),
        _CREATE,
        _PATCH,
        _PATCH,
        arrived=_VERIFIED,
        own_words={"lost": _UNNOTICED},  # tus tells how many bytes there are, not what they are
    ),
    *(
        Case(TUS, where, start, create, patch, patch, many_files=many)
        for where, start, create, patch, many in (
            ("of_npm", _npm_tus, _CREATE, _PATCH, 300),
            # It copies its settings and writes its sidecar three times a request: 300 files take it ten seconds.
            ("of_python", _python_tus, Door("POST", "/files/"), _PATCH, 60),
            ("of_the_draft", _draft, Door("POST", "/uploads"), Door("PATCH", "/uploads/[^/]+"), 300),
        )
    ),
    Case(
        VUEMANTICS,
        "ours",
        _ours("/vuemantics", signs_in=True),
        _BULK,
        _BULK,
        _BULK,
        own_words={**_VUEMANTICS, _IN_WORK: _STOPS},
        held=_ours("/vuemantics", signs_in=True, held=True),
    ),
    Case(
        VUEMANTICS,
        "fake",
        _fake_vuemantics(),
        _BULK,
        _BULK,
        _BULK,
        own_words={**_VUEMANTICS, _IN_WORK: _GOES_ON},
        held=_fake_vuemantics(held=True),
    ),
    Case(
        DIRECTDRIVE,
        "ours",
        _ours("/directdrive", signs_in=True),
        _INITIATE,
        _SOCKET,
        _SOCKET,
        _SAYS_SUCCESS,
        own_words=_DIRECTDRIVE,
    ),
    Case(
        DIRECTDRIVE,
        "fake",
        _fake_directdrive(Generation.X),
        _INITIATE,
        _SOCKET,
        _SOCKET,
        _SAYS_SUCCESS,
        own_words={**_DIRECTDRIVE, _IN_WORK: _GONE},
        held=_fake_directdrive(Generation.X, held=True),
    ),
    Case(
        DIRECTDRIVE,
        "fake_of_the_older_one",
        _fake_directdrive(Generation.OLD),
        _INITIATE,
        _SOCKET,
        _SOCKET,
        _SAYS_SUCCESS,
        own_words={**_DIRECTDRIVE, "cancelled": _PERHAPS_A_PART, _IN_WORK: _GONE},
        held=_fake_directdrive(Generation.OLD, held=True),
    ),
    Case(
        CELL_SEGMENTATION_HUB,
        "ours",
        _ours("/cell-segmentation-hub", signs_in=True),
        _IMAGES,
        _IMAGES,
        _IMAGES,
        own_words=_HUB | {"409": _STOPPED},
    ),
    Case(
        CELL_SEGMENTATION_HUB,
        "fake",
        _fake_hub,
        _IMAGES,
        _IMAGES,
        _IMAGES,
        own_words=_HUB | {"cancelled": _NOTHING_STORED},
        # A picture that it stores after its sender has left: a matter of seconds, told in cell_segmentation_hub/.
    ),
    *(
        Case(
            DOORITO,
            where,
            start,
            Door("POST", "/uploads/sessions"),
            Door("PUT", "/parts/[^/]+"),
            Door("POST", "/finalize"),
            arrived=arrived,
            own_words=own_words,
            held=held,
        )
        for where, start, arrived, own_words, held in (
            ("ours", _ours("/doorito", signs_in=False), _VERIFIED, {}, None),
            (
                "fake",
                _fake_doorito(),
                "Arrived.",
                {"cancelled": _LINGERS, _IN_WORK: _GOES_ON_WITH_PARTS},
                _fake_doorito(held=True),
            ),
        )
    ),
    Case(
        DOORITO_FORM,
        "fake",
        _fake_form,
        _FORM,
        _FORM,
        _FORM,
        signed_out=reply(302, "", "Location: /app/login/?next=/app/upload/"),
        arrived=_FOR_A_DAY,
        own_words={
            "cancelled": "Cancelled before anything was sent.",
            "cut": _NOBODY_KNOWS,
            "expired": (TransferState.COMPLETED, _FOR_A_DAY),
            "lost": _NOBODY_KNOWS,
            "refused": (
                TransferState.WAITING,
                "Your account may not upload to this server (403): it does not take the form right after a login "
                "(CSRF). Ask who runs the server for access, then resume.",
            ),
        },
    ),
)
