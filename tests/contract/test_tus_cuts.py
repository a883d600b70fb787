"""Connections that break at any byte, in both directions: the file arrives whole, and nothing arrives twice."""

import itertools
from pathlib import Path

import pytest

from app.domain.failure import FailureKind, TransferError
from app.remote.base import RemoteBatch, RemoteState
from tests.support.fake_server import FakeServer
from tests.support.proxy import Cut, TcpProxy
from tests.support.sender import MIB, Parcel, Sender, make_parcel, open_sender, stored
from tests.support.server import ServerProcess

SMALL = 20_000
LARGE = 2 * MIB + 300_000


async def check_arrived_once(
    sender: Sender, server: ServerProcess, batch: RemoteBatch, parcels: list[Parcel], cuts: object
) -> None:
    files = await sender.files_of(batch.remote_id)
    assert [file.state for file in files] == [RemoteState.STORED] * len(parcels), cuts
    for parcel in parcels:
        arrived = stored(server, batch.folder, parcel.transfer.relative_path)
        assert arrived == parcel.path.read_bytes(), cuts


@pytest.mark.parametrize("size, steps", [(SMALL, 24), (LARGE, 40)])
async def test_cut_on_the_way_to_the_server(
    size: int, steps: int, sender: Sender, server: ServerProcess, batch: RemoteBatch, tmp_path: Path
) -> None:
    async with TcpProxy(server.url) as proxy:
        total = await bytes_of_a_whole_journey(server, proxy, size, tmp_path)
        cuts = [
            1,
            *range(total.up_bytes or 0, 0, -((total.up_bytes or 0) // steps)),
            (total.up_bytes or 0) - 1,
        ]
        parcels = [make_parcel(tmp_path, size, f"{cut}", batch.remote_id) for cut in cuts]
        for parcel, cut in zip(parcels, cuts, strict=True):
            async with open_sender(server, proxy.url) as cut_off:
                proxy.plan(Cut(up_bytes=cut))
                await cut_off.persist(parcel)
    await check_arrived_once(sender, server, batch, parcels, cuts)


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_cut_on_the_way_back(
    size: int, sender: Sender, server: ServerProcess, batch: RemoteBatch, tmp_path: Path
) -> None:
    async with TcpProxy(server.url) as proxy:
        total = await bytes_of_a_whole_journey(server, proxy, size, tmp_path)
        cuts = list(range(0, total.down_bytes or 0, 53))
        parcels = [make_parcel(tmp_path, size, f"{cut}", batch.remote_id) for cut in cuts]
        for parcel, cut in zip(parcels, cuts, strict=True):
            async with open_sender(server, proxy.url) as cut_off:
                proxy.plan(Cut(down_bytes=cut))
                await cut_off.persist(parcel)
    await check_arrived_once(sender, server, batch, parcels, cuts)


async def test_cut_again_and_again(
    sender: Sender, server: ServerProcess, batch: RemoteBatch, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 4 * MIB, batch_id=batch.remote_id)
    async with TcpProxy(server.url) as proxy, open_sender(server, proxy.url) as cut_off:
        proxy.plan(*(Cut(up_bytes=number * 50_000) for number in itertools.chain(range(1, 10), (30, 40))))
        await cut_off.persist(parcel)
    await check_arrived_once(sender, server, batch, [parcel], parcel.attempts)


async def test_a_broken_line_is_a_lost_connection_and_keeps_what_arrived(
    sender: Sender, server: ServerProcess, batch: RemoteBatch, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 9 * MIB, batch_id=batch.remote_id)
    async with TcpProxy(server.url) as proxy, open_sender(server, proxy.url) as cut_off:
        proxy.plan(Cut(up_bytes=6 * MIB))
        with pytest.raises(TransferError) as caught:
            await cut_off.send(parcel)
    seen = await sender.look(parcel)
    failure = caught.value.failure
    assert (failure.kind, failure.retryable, failure.scope) == (FailureKind.CONNECTION_LOST, True, "file")
    assert (seen.state, 4 * MIB <= seen.offset_bytes <= 6 * MIB) == (RemoteState.UNFINISHED, True)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("method", ["OPTIONS", "POST", "PATCH", "HEAD"])
async def test_an_answer_that_was_lost(
    method: str, size: int, sender: Sender, server: ServerProcess, batch: RemoteBatch, tmp_path: Path
) -> None:
    """The server has done the work and the client cannot know; the key and the offset tell it."""
    parcel = make_parcel(tmp_path, size, batch_id=batch.remote_id)
    async with FakeServer(server.url) as fake, open_sender(server, fake.url) as unlucky:
        fake.plan(method, "lost_answer")
        if method == "HEAD":
            fake.plan("PATCH", "", "hangs_up")
        await unlucky.persist(parcel)
    await check_arrived_once(sender, server, batch, [parcel], method)


async def bytes_of_a_whole_journey(server: ServerProcess, proxy: TcpProxy, size: int, tmp_path: Path) -> Cut:
    """Send one file without a cut, to learn how many bytes travel."""
    async with open_sender(server, proxy.url) as undisturbed:
        await undisturbed.send(make_parcel(tmp_path, size))
        return Cut(proxy.up_bytes, proxy.down_bytes)
