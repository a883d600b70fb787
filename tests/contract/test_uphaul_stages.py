"""What our own server does with files after their arrival: told early by its WebSocket, and by polling where there is none."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from app.domain.transfer import Transfer
from app.remote.account import Account, Endpoint
from app.remote.auth import Bearer
from app.remote.base import RemoteState, StageServer
from app.remote.http import Http
from app.remote.registry import UPHAUL, dialect
from app.remote.uphaul import UphaulServer
from tests.support.sender import Parcel, make_parcel, open_sender
from tests.support.server import ServerProcess


@pytest.fixture
async def working(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    with ServerProcess(tmp_path / "data", "--process") as running:
        yield running


def picture(folder: Path, batch_id: str | None = None) -> Parcel:
    path = folder / f"{secrets.token_hex(4)}.png"
    Image.effect_noise((640, 480), 60).save(path)
    status = path.stat()
    transfer = Transfer(
        secrets.token_hex(16), "batch", 0, str(path), path.name, status.st_size, status.st_mtime_ns
    )
    return Parcel(path, transfer, batch_id)


async def until_over(server: StageServer, ids: list[str]) -> list[RemoteState]:
    async with asyncio.timeout(30):
        while True:
            seen = await server.look_many(ids)
            if all(file.state is not RemoteState.PROCESSING for file in seen):
                return [file.state for file in seen]
            await server.news(0.5)


async def test_files_that_the_server_works_on_are_followed_to_the_end(
    working: ServerProcess, tmp_path: Path
) -> None:
    """A picture is processed; what only claims to be one is stored as well, and its work ends in its own way."""
    async with open_sender(working) as sender:
        sent = [await sender.send(picture(tmp_path)) for _ in range(3)]
        states = await until_over(sender.server, [each.remote_id for each in sent])
    assert ([each.processing for each in sent], states) == ([True] * 3, [RemoteState.STORED] * 3)


async def test_a_server_that_works_at_nothing_says_so(server: ServerProcess, tmp_path: Path) -> None:
    async with open_sender(server) as sender:
        sent = await sender.send(make_parcel(tmp_path, 10))
        (seen, unknown) = await sender.server.look_many([sent.remote_id, "unknown"])
    assert (sent.processing, seen.state, seen.stage_share, unknown.state) == (
        False,
        RemoteState.STORED,
        None,
        RemoteState.UNKNOWN,
    )


async def test_news_come_by_the_socket_long_before_the_time_is_up(
    server: ServerProcess, tmp_path: Path
) -> None:
    """The wait is for a minute; another client's upload ends it."""
    line = dialect(UPHAUL).open(Account(Endpoint(server.url, server.token)))
    listener = line.connect()
    assert isinstance(listener, StageServer)
    try:
        await listener.news(20)  # the socket opens, which is news
        waiting = asyncio.create_task(listener.news(60))
        await asyncio.sleep(0)
        async with open_sender(server) as sender:
            await sender.send(make_parcel(tmp_path, 10))
        async with asyncio.timeout(20):
            await waiting
    finally:
        await listener.aclose()
        await line.aclose()
    assert waiting.done()


async def test_without_a_socket_the_time_is_waited_out(server: ServerProcess) -> None:
    """A server of before the socket, or a proxy that refuses it: polling does it alone."""
    http = Http(server.url, Bearer(server.token))
    alone = UphaulServer(http)
    async with asyncio.timeout(5):
        await alone.news(0.01)
    await alone.aclose()
    assert alone.abilities.processing


async def test_the_accounts_batches_are_listed(server: ServerProcess, tmp_path: Path) -> None:
    async with open_sender(server) as sender:
        batch = await sender.server.open_batch("Begun elsewhere", secrets.token_hex(8))
        await sender.send(make_parcel(tmp_path, 10, batch_id=batch.remote_id))
        rows = {row.remote_id: row for row in await sender.server.list_batches()}
    row = rows[batch.remote_id]
    assert (row.name, row.state, row.total_files, row.done_files, row.share) == (
        "Begun elsewhere",
        RemoteState.STORED,
        1,
        1,
        1.0,
    )
