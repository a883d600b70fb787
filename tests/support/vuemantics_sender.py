"""Sends parcels through the vuemantics adapter, from memory, over one line; time is the test's."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from app.domain.failure import Failure
from app.remote.account import Account, Endpoint, ForgetfulNotes, Notes
from app.remote.base import Outgoing, ParcelItem, RemoteFile, RemoteState, Sent
from app.remote.vuemantics import VuemanticsLine
from app.remote.vuemantics_reading import Pace

QUICK = Pace(poll_s=0.03, silence_s=5.0, delays_s=(0.02,), settle_looks_s=(0.01,))
"""The waits of a server that is on this machine."""


class MemoryFeed:
    """A Feed (app.remote.base) of a file in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0
        self.told: list[tuple[int, int]] = []
        self.remote_id = ""

    async def seek(self, offset_bytes: int) -> None:
        """Continue there."""
        self._at = offset_bytes

    async def block(self) -> bytes:
        """Return the next block."""
        block = self._content[self._at : self._at + 2**20]
        self._at += len(block)
        return block

    def sha256(self) -> str:
        """Return the whole file's."""
        return hashlib.sha256(self._content).hexdigest()

    async def created(self, remote_id: str) -> None:
        """Remember the id."""
        self.remote_id = remote_id

    def progress(self, sent_bytes: int, accepted_bytes: int) -> None:
        """Remember what was told."""
        self.told.append((sent_bytes, accepted_bytes))


class Clock:
    """Epoch seconds that a test turns."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def outgoings(files: Mapping[str, bytes], begun_at: float | None = None) -> list[Outgoing]:
    """Describe files; their keys are made of their paths."""
    return [
        Outgoing(f"key of {path}", path, len(content), 0, None, None, begun_at=begun_at)
        for path, content in files.items()
    ]


class Courier:
    """One account at a server; ``server`` is one connection of its line."""

    def __init__(self, account: Account, pace: Pace) -> None:
        self.account = account
        self.line = VuemanticsLine(account, pace)
        self.server = self.line.connect()

    async def send(self, files: Mapping[str, bytes], begun_at: float | None = None) -> list[Sent | Failure]:
        """Send files in one parcel; *begun_at*: after an attempt whose answer was lost."""
        items = [
            ParcelItem(outgoing, MemoryFeed(files[outgoing.relative_path]))
            for outgoing in outgoings(files, begun_at)
        ]
        return list(await self.server.send_parcel(items))

    async def over(self, remote_ids: Sequence[str]) -> list[RemoteFile]:
        """Follow files until the server has done with all of them."""
        while True:
            seen = await self.server.look_many(remote_ids)
            if all(file.state is not RemoteState.PROCESSING for file in seen):
                return list(seen)
            await self.server.news(1.0)

    async def aclose(self) -> None:
        """Close the connection and its line."""
        await self.server.aclose()
        await self.line.aclose()


def ids(results: Sequence[Sent | Failure]) -> list[str]:
    """Return the remote ids of what was sent; nothing may have been refused."""
    assert all(isinstance(each, Sent) for each in results), results
    return [each.remote_id for each in results if isinstance(each, Sent)]


@asynccontextmanager
async def open_courier(
    url: str,
    user: str,
    password: str,
    *,
    pace: Pace = QUICK,
    now: Clock | None = None,
    notes: Notes | None = None,
) -> AsyncIterator[Courier]:
    """Give a courier with an account of its own."""
    endpoint = Endpoint(url, user=user, password=password)
    account = Account(endpoint, notes=notes or ForgetfulNotes(), read_timeout_s=20)
    courier = Courier(account if now is None else replace(account, now=now), pace)
    try:
        yield courier
    finally:
        await courier.aclose()
