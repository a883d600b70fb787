"""A program with one account at one server, a door before that server, and short ways to tell a story of both."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import struct
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from PIL import Image

from app.domain.batch import Batch
from app.domain.failure import FailureKind
from app.domain.state import OVER, TransferState
from app.domain.transfer import Transfer
from app.engine.engine import Limits
from app.remote.account import Account, Endpoint, ForgetfulNotes, Line
from app.remote.base import RemoteServer
from app.remote.registry import dialect
from app.words import what_happened
from tests.contract.dialects import Case
from tests.contract.sites import Grounds, Servers, Site, target_of
from tests.support.clock import TestClock, until
from tests.support.engine_house import House, open_house
from tests.support.front import Front

_PATIENCE_S = 30.0
_A_WHILE_S = 61.0


def picture(size_bytes: int = 0) -> bytes:
    """Return a small PNG like no other, of at least so many bytes: every server takes those."""
    made = BytesIO()
    Image.frombytes("RGB", (4, 4), secrets.token_bytes(48)).save(made, "PNG")
    content = made.getvalue()
    noise = b"noIs" + secrets.token_bytes(max(16, size_bytes - len(content) - 12))
    chunk = struct.pack(">I", len(noise) - 4) + noise + struct.pack(">I", zlib.crc32(noise))
    return content[:33] + chunk + content[33:]


def write_pictures(folder: Path, files: int = 1, size_bytes: int = 0) -> Path:
    """Write 0.png, 1.png, …; return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        (folder / f"{number}.png").write_bytes(picture(size_bytes))
    return folder


class Stage:
    """Where a story plays."""

    def __init__(self, case: Case, site: Site, front: Front, house: House, account: Account) -> None:
        self.case = case
        self.site = site
        self.front = front
        self.house = house
        self.engine = house.engine
        self._account = account
        self._line: Line = case.line(account)
        self._old_lines: list[Line] = []

    async def connect(self, _profile_id: str) -> RemoteServer:
        """Give the engine a connection of the account's line."""
        return self._line.connect()

    async def sign_in(self, endpoint: Endpoint) -> None:
        """The person signs in as somebody else; the address stays."""
        self._account = replace(self._account, endpoint=replace(endpoint, url=self._account.endpoint.url))
        self._old_lines.append(self._line)
        self._line = self.case.line(self._account)
        await self.engine._connections.forget("profile")
        self.engine.open_gate("profile")

    async def target(self) -> str | None:
        """Make a place to send to, where the server wants one."""
        server = self.case.line(replace(self._account, endpoint=self.site.endpoint)).connect()
        try:
            return await target_of(server)
        finally:
            await server.aclose()

    async def drop(self, folder: Path) -> Batch:
        """Drop a folder as a batch like no other; it is scanned, and begins."""
        name = f"{folder.name} {secrets.token_hex(4)}"
        batch = self.house.drop(folder, name=name, target=await self.target())
        await self.scanned(batch)
        return batch

    async def scanned(self, batch: Batch) -> None:
        """Return once all its files are known."""
        await until(lambda: not batch.scanning)

    async def until(self, batch: Batch, is_so: Callable[[], bool]) -> None:
        """Let time pass whenever somebody waits for it, until something is so."""
        async with asyncio.timeout(_PATIENCE_S):
            while not is_so():
                if self.house.clock.sleepers:
                    await self.house.clock.advance(_A_WHILE_S)
                await asyncio.sleep(0.003)

    async def over(self, batch: Batch) -> None:
        """Go on until nothing more happens."""
        await self.until(batch, lambda: not batch.scanning and batch.counts.unfinished == 0)

    async def at_rest(self, batch: Batch, *states: TransferState) -> None:
        """Return once every file is over or waits; no time passes."""
        wanted = OVER | {TransferState.WAITING} | set(states)
        moving = frozenset(TransferState) - wanted
        await until(lambda: not any(batch.counts.files[state] for state in moving), _PATIENCE_S)

    async def reach(self, batch: Batch, state: TransferState) -> None:
        """Return once a file stands so; no time passes."""
        await until(lambda: batch.counts.files[state] > 0, _PATIENCE_S)

    async def at_work(self, batch: Batch) -> None:
        """Return once the server has everything and works on it."""
        await self.reach(batch, TransferState.PROCESSING)
        if self.site.at_work is None:
            await until(lambda: bool(self.engine._follower.followed()), _PATIENCE_S)
        else:
            await self.site.at_work()

    async def again(self, batch: Batch) -> None:
        """Do what a person does about what waits or has failed: retry, once more if it fails, and go on to the end."""
        self.engine.open_gate("profile")
        for _ in range(2):
            await self.engine.again.retry(self.members(batch))
            await self.over(batch)

    def told(self, batch: Batch) -> dict[str, tuple[TransferState, str]]:
        """Return what the window says of each file."""
        now = self.house.clock.now()
        rows = self.house.rows(batch).items()
        return {name: (row.state, what_happened(row.view(), now)) for name, row in rows}

    def words(self, batch: Batch) -> tuple[TransferState, str]:
        """Return what the window says of the only file."""
        (said,) = self.told(batch).values()
        return said

    def members(self, batch: Batch) -> list[Transfer]:
        """Return its transfers, in their order."""
        return list(self.engine.book.members[batch.id])

    def states(self, batch: Batch) -> list[TransferState]:
        """Return how each file stands."""
        return [row.state for row in self.members(batch)]

    def waits_for_a_person(self, batch: Batch) -> bool:
        """Return whether its files wait, and not for the clock."""
        return all(row.state is TransferState.WAITING and row.retry_at is None for row in self.members(batch))

    def kinds(self, batch: Batch) -> list[FailureKind | None]:
        """Return why each file failed or waits."""
        return [None if row.failure is None else row.failure.kind for row in self.members(batch)]

    def names(self, batch: Batch) -> list[str]:
        """Return the names of its files as the server keeps them, sorted."""
        ours = {_sha256_of(row) for row in self.members(batch)}
        return sorted(name for name, sha256 in self.site.stored() if sha256 in ours)

    def copies(self, batch: Batch) -> list[int]:
        """Return how many copies of each file the server keeps, in the order of the batch."""
        there = Counter(sha256 for _, sha256 in self.site.stored())
        return [there[_sha256_of(row)] for row in self.members(batch)]

    async def aclose(self) -> None:
        """Close the lines."""
        for line in (*self._old_lines, self._line):
            await line.aclose()


def _sha256_of(row: Transfer) -> str:
    return hashlib.sha256(Path(row.source).read_bytes()).hexdigest()


@asynccontextmanager
async def open_stage(
    case: Case,
    servers: Servers,
    home: Path,
    *,
    limits: Limits | None = None,
    endpoint: Callable[[Site], Endpoint] = lambda site: site.endpoint,
) -> AsyncIterator[Stage]:
    """Start the case's server, a door before it, and a program with one account there."""
    clock = TestClock(1_795_000_000.0)
    async with (
        case.start(Grounds(servers.ours, servers.held, servers.npm, home, clock.now)) as site,
        Front(site.endpoint.url) as front,
    ):
        account = Account(
            replace(endpoint(site), url=front.url), ForgetfulNotes(), clock.now, read_timeout_s=20
        )
        stages: list[Stage] = []

        async def connect(profile_id: str) -> RemoteServer:
            return await stages[0].connect(profile_id)

        parcel = dialect(case.dialect).parcel
        async with open_house(home / "home", connect, clock, limits, parcel) as house:
            stages.append(Stage(case, site, front, house, account))
            yield stages[0]
        await stages[0].aclose()
