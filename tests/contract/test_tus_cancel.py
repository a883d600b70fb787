"""A send that is cancelled at any await leaves nothing behind here, and can go on later byte for byte."""

import asyncio
import os
from pathlib import Path

import pytest

from app.remote.base import RemoteBatch, RemoteState
from tests.support.clock import until
from tests.support.sender import MIB, Sender, make_parcel, open_sender, stored
from tests.support.server import ServerProcess
from tests.support.steps import Steps


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("size", [0, 50_000, 2 * MIB + 100_000])
async def test_cancel_at_every_await(
    size: int, late: bool, sender: Sender, server: ServerProcess, batch: RemoteBatch, tmp_path: Path
) -> None:
    cancelled_at, was_cancelled = 0, True
    sockets = open_sockets()
    while was_cancelled:
        cancelled_at += 1
        parcel = make_parcel(tmp_path, size, f"{cancelled_at}", batch.remote_id)
        async with open_sender(server, chunk_bytes=MIB) as cancelled:
            steps = Steps(cancelled_at, late=late)
            task = asyncio.create_task(steps.run(cancelled.send(parcel)))
            await asyncio.wait([task])
            was_cancelled = task.cancelled()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            sent = await cancelled.persist(parcel)  # the same client works on
        await until(lambda: open_sockets() == sockets)
        assert (sent.sha256, stored(server, batch.folder, f"{cancelled_at}")) == (
            parcel.sha256,
            parcel.path.read_bytes(),
        )
    states = [file.state for file in await sender.files_of(batch.remote_id)]
    assert (states, cancelled_at > 10) == ([RemoteState.STORED] * cancelled_at, True)


def open_sockets() -> int:
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
        except FileNotFoundError:  # the descriptor of this very listing
            continue
    return count
