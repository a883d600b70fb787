"""A Cell Segmentation Hub account for tests: straight through the adapter, and through the whole engine."""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from app.domain.batch import Batch
from app.domain.failure import Failure
from app.domain.state import TransferState
from app.remote.account import Account, Endpoint
from app.remote.base import Outgoing, ParcelItem, ParcelLimits, RemoteServer, Sent
from app.remote.cell_segmentation_hub import PARCEL, HubServer, open_hub
from app.remote.hubline import Pace
from app.words import what_happened
from tests.support.clock import TestClock
from tests.support.engine_house import House, open_house
from tests.support.vuemantics_sender import MemoryFeed

QUICK = Pace(settle_s=0.3, gave_up_s=2.0, look_again_s=0.03)
"""The waits of a server that is on this machine."""
PATIENT = Pace(settle_s=20.0, gave_up_s=20.0, look_again_s=0.03)
"""For what will be found: however slow the machine is, it is waited for."""


def outgoings(
    files: Mapping[str, bytes], target: str, begun_at: float | None = None, remote_id: str | None = None
) -> list[Outgoing]:
    """Describe files; their keys are made of their paths."""
    return [
        Outgoing(f"key of {path}", path, len(content), 0, None, remote_id, target, begun_at)
        for path, content in files.items()
    ]


class Courier:
    """One account at a server; ``server`` is one connection of its line, ``feeds`` those of the last parcel by path."""

    def __init__(self, account: Account, target: str, pace: Pace) -> None:
        self.account, self.target = account, target
        self.line = open_hub(account, pace)
        self.server = self.connect()
        self.feeds: dict[str, MemoryFeed] = {}

    def connect(self) -> HubServer:
        """Return another connection of the same line."""
        return self.line.connect()

    async def send(self, files: Mapping[str, bytes], begun_at: float | None = None) -> list[Sent | Failure]:
        """Send files in one parcel; *begun_at*: after an attempt whose answer was lost."""
        self.feeds = {path: MemoryFeed(content) for path, content in files.items()}
        items = [
            ParcelItem(outgoing, self.feeds[outgoing.relative_path])
            for outgoing in outgoings(files, self.target, begun_at)
        ]
        return list(await self.server.send_parcel(items))

    async def aclose(self) -> None:
        """Close the connection and its line."""
        await self.server.aclose()
        await self.line.aclose()


@asynccontextmanager
async def open_courier(
    url: str, user: str, password: str, target: str, *, pace: Pace = QUICK, clock: TestClock | None = None
) -> AsyncIterator[Courier]:
    """Give a courier with an account of its own."""
    account = Account(Endpoint(url, user=user, password=password), read_timeout_s=20)
    courier = Courier(account if clock is None else replace(account, now=clock.now), target, pace)
    try:
        yield courier
    finally:
        await courier.aclose()


@asynccontextmanager
async def open_hub_house(
    home: Path,
    url: str,
    user: str,
    password: str,
    clock: TestClock,
    *,
    pace: Pace = QUICK,
    parcel: ParcelLimits = PARCEL,
) -> AsyncIterator[House]:
    """A program whose only server is a Hub."""
    line = open_hub(Account(Endpoint(url, user=user, password=password), now=clock.now), pace)

    async def connect(_profile_id: str) -> RemoteServer:
        return line.connect()

    async with open_house(home, connect, clock, parcel=parcel) as house:
        yield house
    await line.aclose()


def turn(clock: TestClock, seconds: float) -> None:
    """Turn the clock where nobody waits for it."""
    clock._now += seconds


def told(house: House, batch: Batch) -> dict[str, tuple[TransferState, str]]:
    """Return what the window says of each file."""
    now = house.clock.now()
    return {name: (row.state, what_happened(row.view(), now)) for name, row in house.rows(batch).items()}


def make_pictures(folder: Path, *names: str, size_bytes: int = 1000) -> Path:
    """Write files that differ; nobody looks whether they are pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(random.Random(number).randbytes(size_bytes))
    return folder
