"""How the real DirectDrive cancels: each quirk by name, and what the adapter makes of it."""

import asyncio
from pathlib import Path

import pytest

from app.domain.failure import CancelledElsewhereError, Failure, FailureKind, TransferError
from app.remote.base import RemoteState
from tests.support.clock import until
from tests.support.directdrive_sender import Courier, failure_of, open_courier, stopped_at
from tests.support.directdrive_server import FakeDirectDrive
from tests.support.sender import MIB, Parcel, make_parcel

K = FailureKind


async def test_the_cancel_is_asked_before_the_socket_closes(fake: FakeDirectDrive, tmp_path: Path) -> None:
    """Closed first, the file would be `failed`, and the cancel refused."""
    parcel = make_parcel(tmp_path, 30 * MIB)
    async with open_courier(fake.url) as courier:
        await stopped_at(courier, parcel, fake, 4 * MIB)
        answer = await courier.cancel(parcel)
        seen = await courier.look(parcel)
    assert (answer.http_status, answer.message) == (200, "Upload cancelled successfully")
    assert (seen.state, fake.statuses()) == (RemoteState.CANCELLED, {"a.bin": "cancelled"})


async def test_a_socket_that_nobody_cancels_is_closed_in_a_moment(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 30 * MIB)
    async with open_courier(newest.url) as courier:
        await stopped_at(courier, parcel, newest, 4 * MIB)
        before = newest.statuses()
        await until(lambda: newest.statuses() != before)
    assert (before, newest.statuses()) == ({"a.bin": "uploading"}, {"a.bin": "failed"})


async def stopped_while_finalising(courier: Courier, parcel: Parcel, server: FakeDirectDrive) -> None:
    """Send it, and stop when every byte has arrived and the server is not done with it."""
    task = asyncio.create_task(courier.send(parcel))
    await server.finalising.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_cancel_that_the_server_ignores_ends_as_finished(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    """ignores_cancel: everything had arrived; 200, and completed all the same."""
    newest.ignores_cancel()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(newest.url) as courier:
        await stopped_while_finalising(courier, parcel, newest)
        answer = await courier.cancel(parcel)
        seen = await courier.look(parcel)
    assert (answer.http_status, seen.state) == (200, RemoteState.STORED)


async def test_a_file_that_is_finished_long_after_its_cancel_is_told_as_stored(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    """Nobody is left to be told of the success, so the real one calls it failed: it has an id at the storage all the same."""
    newest.keeps_processing()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(newest.url) as courier:
        await stopped_while_finalising(courier, parcel, newest)
        await courier.cancel(parcel)
        looking = asyncio.create_task(courier.look(parcel))
        await until(lambda: newest.asked("upload-progress") > 1)
        before = newest.statuses()
        newest.let_go()
        seen = await looking
    assert (before, newest.statuses()) == ({"a.bin": "cancelled"}, {"a.bin": "failed"})
    assert (seen.state, len(newest.stored())) == (RemoteState.STORED, 1)


async def test_where_the_cancel_fails_closing_the_socket_is_the_cancel(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    """cancel_answers_500: `Failed to update file status`."""
    newest.cancel_answers_500()
    parcel = make_parcel(tmp_path, 30 * MIB)
    async with open_courier(newest.url) as courier:
        await stopped_at(courier, parcel, newest, 4 * MIB)
        answer = await courier.cancel(parcel)
        seen = await courier.look(parcel)
    words = "Failed to update file status (500); its connection was closed instead"
    assert (answer.http_status, answer.message, seen.state) == (500, words, RemoteState.FAILED)


async def test_a_cancel_that_failed_without_a_socket_is_asked_again(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    newest.slots_taken()
    newest.cancel_answers_500()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(newest.url) as courier:
        await failure_of(courier, parcel)
        with pytest.raises(TransferError) as raised:
            await courier.cancel(parcel)
    assert raised.value.failure == Failure(K.SERVER_ERROR, "Failed to update file status", 500)


async def test_the_old_status_is_read_out_of_a_refusal(fake: FakeDirectDrive, tmp_path: Path) -> None:
    """get_of_cancelled_is_500 on the older server: the second cancel says what the file cannot."""
    parcel = make_parcel(tmp_path, 30 * MIB)
    async with open_courier(fake.url) as courier:
        await stopped_at(courier, parcel, fake, 4 * MIB)
        await courier.cancel(parcel)
    async with open_courier(fake.url) as courier:
        again = await courier.cancel(parcel)
        seen = await courier.look(parcel)
    assert (again.http_status, seen.state) == (400, RemoteState.CANCELLED)


async def test_the_older_server_cannot_cancel_what_waits(oldest: FakeDirectDrive, tmp_path: Path) -> None:
    oldest.slots_taken()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(oldest.url) as courier:
        await failure_of(courier, parcel)
        answer = await courier.cancel(parcel)
        seen = await courier.look(parcel)
    assert (answer.http_status, answer.message) == (400, "Cannot cancel upload. File status: pending")
    assert seen.state is RemoteState.UNFINISHED


async def test_a_cancel_elsewhere_ends_the_socket_of_the_older_server(
    oldest: FakeDirectDrive, tmp_path: Path
) -> None:
    """Closed with 1000 and no word, and then a file that cannot be shown."""
    parcel = make_parcel(tmp_path, 60 * MIB)
    arrived = oldest.arrives(4 * MIB)
    async with open_courier(oldest.url) as courier, open_courier(oldest.url) as other:
        task = asyncio.create_task(courier.send(parcel))
        await arrived.wait()
        oldest.read.clear()
        await other.server.cancel_file(parcel.remote_id or "")
        oldest.read.set()
        with pytest.raises(CancelledElsewhereError):
            await task


@pytest.mark.parametrize("partly", [False, True])
async def test_a_batch_is_cancelled_with_what_was_never_sent(
    newest: FakeDirectDrive, tmp_path: Path, partly: bool
) -> None:
    """cancels_partly: what the server left is cancelled file by file."""
    if partly:
        newest.cancels_partly()
    running = make_parcel(tmp_path, 30 * MIB)
    waiting = [make_parcel(tmp_path, 10 + n, f"{n}") for n in range(5)]
    arrived = newest.arrives(4 * MIB)
    async with open_courier(newest.url) as courier:
        task = asyncio.create_task(
            courier.send(running, batch_key="b", neighbours=lambda: [each.outgoing for each in waiting])
        )
        await arrived.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        [batch] = courier.server.batches_of([running.remote_id or ""])
        answer = await courier.server.cancel_batch(batch)
        seen = await courier.look(running)
    assert (answer.http_status, seen.state) == (200, RemoteState.CANCELLED)
    assert set(newest.statuses().values()) == {"cancelled"}
    assert newest.asked("upload/cancel") == (3 if partly else 0)


async def test_a_stop_in_the_middle_of_an_announcement_leaves_nothing_behind(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    newest.is_slow_to_announce()
    parcels = [make_parcel(tmp_path, 10 + n, f"{n}") for n in range(3)]
    async with open_courier(newest.url) as courier:
        task = asyncio.create_task(
            courier.send(parcels[0], batch_key="b", neighbours=lambda: [p.outgoing for p in parcels[1:]])
        )
        await until(lambda: newest.asked("batch/initiate") > 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        newest.announce.set()
        await courier.send(parcels[1])
    assert (newest.asked("initiate"), newest.statuses()) == (
        1,
        {"0": "cancelled", "1": "completed", "2": "cancelled"},
    )
