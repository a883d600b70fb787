"""Sends files through the DirectDrive adapter as the engine does: each attempt by a connection of its own, over one line."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.failure import Failure, TransferError
from app.engine.engine import Limits
from app.engine.reader import FileFeed
from app.remote.account import Account, Endpoint
from app.remote.base import CancelAnswer, Outgoing, RemoteFile, RemoteServer, Sent
from app.remote.directdrive import DirectDriveServer, directdrive_line
from app.remote.directdrive_line import DirectDriveLine, Pace
from tests.support.clock import TestClock
from tests.support.directdrive_server import FakeDirectDrive
from tests.support.engine_house import House, open_house
from tests.support.sender import Parcel

PASSWORD = "correct horse"
QUICK = Pace(
    gather_s=0.005, linger_s=0.3, look_s=(0.02, 0.05, 0.2), settle_s=10.0, idle_s=0.3, patience_s=2.0
)
"""The waits of a server that is on this machine."""


class Courier:
    """One account at a server, and the threads that read files. ``connections`` made by it are closed with it."""

    def __init__(self, line: DirectDriveLine, executor: ThreadPoolExecutor) -> None:
        self.line = line
        self._executor = executor
        self.server = DirectDriveServer(line)

    async def send(
        self,
        parcel: Parcel,
        *,
        batch_key: str = "",
        neighbours: Callable[[], Sequence[Outgoing]] = tuple,
    ) -> Sent:
        """Make one attempt."""
        server = DirectDriveServer(self.line)

        async def created(remote_id: str) -> None:
            parcel.remote_id = remote_id

        parcel.attempts += 1
        outgoing = replace(parcel.outgoing, batch_key=batch_key, neighbours=neighbours)
        try:
            async with FileFeed(
                parcel.transfer, self._executor, on_created=created, on_progress=parcel.progress
            ) as feed:
                return await server.send(outgoing, feed)
        finally:
            await server.aclose()

    async def look(self, parcel: Parcel) -> RemoteFile:
        """Read the file back."""
        assert parcel.remote_id is not None
        return await self.server.look(parcel.remote_id)

    async def cancel(self, parcel: Parcel) -> CancelAnswer:
        """Cancel the file."""
        assert parcel.remote_id is not None
        return await self.server.cancel_file(parcel.remote_id)


@asynccontextmanager
async def open_program(
    home: Path,
    url: str,
    user: str = "",
    password: str | None = None,
    *,
    token: str | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[House]:
    """Give a whole engine whose only server is at *url*, with its journal below *home*."""
    line = directdrive_line(Account(Endpoint(url, token, user, password)), QUICK)

    async def connect(_profile_id: str) -> RemoteServer:
        return line.connect()

    async with open_house(home, connect, TestClock(), limits) as house:
        yield house
    await line.aclose()


@asynccontextmanager
async def open_courier(
    url: str,
    user: str = "",
    password: str | None = None,
    *,
    token: str | None = None,
    pace: Pace = QUICK,
    now: Callable[[], float] | None = None,
) -> AsyncIterator[Courier]:
    """Give a courier; without a user and a token it is anonymous."""
    endpoint = Endpoint(url, token, user, password)
    account = Account(endpoint, read_timeout_s=20) if now is None else Account(endpoint, now=now)
    line = directdrive_line(account, pace)
    with ThreadPoolExecutor(2, thread_name_prefix="files") as executor:
        courier = Courier(line, executor)
        try:
            yield courier
        finally:
            await courier.server.aclose()
            await line.aclose()


async def failure_of(courier: Courier, parcel: Parcel) -> Failure:
    """Make an attempt that must fail, and return how."""
    with pytest.raises(TransferError) as raised:
        await courier.send(parcel)
    return raised.value.failure


async def stopped_at(courier: Courier, parcel: Parcel, fake: FakeDirectDrive, size_bytes: int) -> None:
    """Send until the server has so much, then stop."""
    arrived = fake.arrives(size_bytes)
    task = asyncio.create_task(courier.send(parcel))
    await asyncio.wait_for(arrived.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
