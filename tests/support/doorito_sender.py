"""Sends files through the Doorito adapters: an adapter alone, attempt by attempt, or a whole engine before a server."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.domain.batch import Batch
from app.domain.failure import FailureKind, TransferError
from app.domain.state import TransferState
from app.engine.engine import Limits
from app.engine.reader import FileFeed
from app.remote.account import Account, Endpoint, ForgetfulNotes, Notes
from app.remote.base import ParcelLimits, RemoteFile, RemoteServer, Sent
from app.remote.doorito import DooritoLine, DooritoServer
from app.remote.doorito_form import PARCEL, FormLine
from app.words import what_happened
from tests.support.clock import TestClock, until
from tests.support.doorito_server import FakeDoorito
from tests.support.engine_house import House, open_house
from tests.support.sender import Parcel

FINALIZE_TIMEOUT_S = 0.25
"""What a test waits for a server on this machine that does not answer a finalize."""


class Courier:
    """One account at a server with sessions, and the threads that read files."""

    def __init__(self, line: DooritoLine, executor: ThreadPoolExecutor) -> None:
        self.line = line
        self.server = DooritoServer(line)
        self._executor = executor

    async def send(self, parcel: Parcel) -> Sent:
        """Make one attempt."""

        async def created(remote_id: str) -> None:
            parcel.remote_id = remote_id

        parcel.attempts += 1
        async with FileFeed(
            parcel.transfer, self._executor, on_created=created, on_progress=parcel.progress
        ) as feed:
            return await self.server.send(parcel.outgoing, feed)

    async def look(self, parcel: Parcel) -> RemoteFile:
        """Read the file back."""
        assert parcel.remote_id is not None
        return await self.server.look(parcel.remote_id)


@asynccontextmanager
async def open_courier(url: str, token: str | None, notes: Notes | None = None) -> AsyncIterator[Courier]:
    """Give a courier; everything it opened is closed afterwards."""
    account = Account(Endpoint(url, token), notes or ForgetfulNotes(), read_timeout_s=20)
    with ThreadPoolExecutor(2, thread_name_prefix="files") as executor:
        courier = Courier(DooritoLine(account, FINALIZE_TIMEOUT_S), executor)
        try:
            yield courier
        finally:
            await courier.server.aclose()


@asynccontextmanager
async def house_of(
    home: Path, url: str, token: str, *, limits: Limits | None = None, notes: Notes | None = None
) -> AsyncIterator[House]:
    """A program whose only server has upload sessions."""
    line = DooritoLine(Account(Endpoint(url, token), notes or ForgetfulNotes()), FINALIZE_TIMEOUT_S)

    async def connect(_profile_id: str) -> RemoteServer:
        return line.connect()

    async with open_house(home, connect, TestClock(), limits) as house:
        yield house


@asynccontextmanager
async def form_house_of(
    home: Path, url: str, user: str, password: str, *, parcel: ParcelLimits = PARCEL
) -> AsyncIterator[House]:
    """A program whose only server is the form."""
    clock = TestClock()
    line = FormLine(Account(Endpoint(url, user=user, password=password), now=clock.now), patience_s=5.0)

    async def connect(_profile_id: str) -> RemoteServer:
        return line.connect()

    async with open_house(home, connect, clock, parcel=parcel) as house:
        yield house


def told(house: House, batch: Batch) -> dict[str, tuple[TransferState, str]]:
    """Return what the window says of each file."""
    now = house.clock.now()
    return {name: (row.state, what_happened(row.view(), now)) for name, row in house.rows(batch).items()}


async def failure(courier: Courier, parcel: Parcel) -> tuple[FailureKind, int | None]:
    """Make one attempt that must fail; return the kind and the status."""
    with pytest.raises(TransferError) as caught:
        await courier.send(parcel)
    return caught.value.failure.kind, caught.value.failure.http_status


async def begun(fake: FakeDoorito, courier: Courier, parcel: Parcel, parts: int) -> None:
    """Leave a session behind that has its first *parts*, as an attempt does that was cut."""
    gates = [fake.holds_part(number) for number in range(parts + 1, parts + 6)]
    attempt = asyncio.create_task(courier.send(parcel))
    await until(lambda: len(fake.parts_put) >= parts)
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    for gate in gates:
        gate.set()
    await until(lambda: fake.parts_under_way == 0)
    fake.session.parts = {n: part for n, part in fake.session.parts.items() if n <= parts}
    fake.lets_all_parts_through()
    fake.parts_put.clear()
    fake.part_bytes = 0
