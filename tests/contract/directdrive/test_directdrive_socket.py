"""How the real DirectDrive takes bytes, and how its sockets end: each quirk by name, and what the adapter makes of it."""

import asyncio
import contextlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from app.domain.failure import CancelledElsewhereError, Failure, FailureKind, RemoteGoneError, TransferError
from app.remote.base import Sent
from tests.support.clock import until
from tests.support.directdrive_sender import QUICK, failure_of, open_courier
from tests.support.directdrive_server import FakeDirectDrive
from tests.support.sender import MIB, make_parcel

K = FailureKind


@pytest.mark.parametrize("size", [1, 4 * MIB, 9 * MIB + 1])
async def test_a_file_arrives_in_frames_of_4_mib(fake: FakeDirectDrive, tmp_path: Path, size: int) -> None:
    fake.takes_frames_of(4 * MIB)
    parcel = make_parcel(tmp_path, size, "Żółć 日本.bin")
    async with open_courier(fake.url, fake.user, fake.password) as courier:
        sent = await courier.send(parcel)
    assert sent == Sent(parcel.remote_id or "", "", parcel.sha256)
    assert fake.stored() == {"Żółć 日本.bin": parcel.sha256}
    assert [file.owner for file in fake.files.values()] == [fake.user]


@pytest.mark.parametrize("size_bytes, attempts", [(2 * MIB, 2), (MIB, 3), (8 * MIB, 4)])
async def test_a_server_that_is_set_to_other_frames_gets_them_in_the_end(
    fake: FakeDirectDrive, tmp_path: Path, size_bytes: int, attempts: int
) -> None:
    """STREAMING_CHUNK_SIZE_MB is 2 in the template for development; nothing tells, but how the second frame ends."""
    fake.takes_frames_of(size_bytes)
    parcel = make_parcel(tmp_path, 17 * MIB)
    async with open_courier(fake.url) as courier:
        for _ in range(attempts - 1):
            with pytest.raises(TransferError):
                await courier.send(parcel)
        await courier.send(parcel)
    assert (fake.stored(), len(fake.sockets)) == ({"a.bin": parcel.sha256}, attempts)


async def test_words_in_strings_are_understood(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.speaks_in_strings()
    parcel = make_parcel(tmp_path, 5 * MIB)
    async with open_courier(fake.url) as courier:
        await courier.send(parcel)
    assert fake.stored() == {"a.bin": parcel.sha256}


async def test_a_server_that_tells_no_progress_is_sent_a_window_and_then_all(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    """Eight frames may be on their way unheard of; once the server says that it is at it, the rest goes too."""
    fake.tells_no_progress()
    parcel = make_parcel(tmp_path, 45 * MIB)
    async with open_courier(fake.url) as courier:
        await courier.send(parcel)
    paused_at = next(sent for (sent, _), (again, _) in pairwise(parcel.told) if sent == again != 0)
    assert (paused_at, fake.stored()) == (36 * MIB, {"a.bin": parcel.sha256})


async def test_without_a_description_of_its_api_the_server_is_known_all_the_same(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    fake.has_no_openapi()
    async with open_courier(fake.url, fake.user, fake.password) as courier:
        abilities = await courier.server.greet()
        await courier.send(make_parcel(tmp_path, 10))
    assert (abilities.cancel_file, abilities.cancel_batch) == (True, False)


async def test_without_the_parallel_socket_the_other_one_is_taken(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    newest.has_no_parallel_socket()
    parcels = [make_parcel(tmp_path, size, f"{size}.bin") for size in (10, 11)]
    async with open_courier(newest.url) as courier:
        for parcel in parcels:
            await courier.send(parcel)
    assert len(newest.stored()) == 2
    assert newest.asked("GET /ws_api/upload_parallel/") == 1


# How it ends


@pytest.mark.parametrize(
    "code, reason",
    [
        (1008, "Upload limit exceeded or insufficient resources"),
        (1008, "Insufficient memory for upload"),
        (1011, "Server error during upload initialization: OSError"),
    ],
)
async def test_a_place_that_is_taken_is_waited_for_with_the_same_id(
    newest: FakeDirectDrive, tmp_path: Path, code: int, reason: str
) -> None:
    newest.slots_taken(1, code, reason)
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(newest.url) as courier:
        failure = await failure_of(courier, parcel)
        first = parcel.remote_id
        sent = await courier.send(parcel)
    assert (failure.kind, failure.detail) == (K.BUSY, reason)
    assert (sent.remote_id, newest.asked("initiate")) == (first, 1)


async def test_the_older_server_refuses_a_place_at_the_handshake(
    oldest: FakeDirectDrive, tmp_path: Path
) -> None:
    oldest.slots_taken()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(oldest.url) as courier:
        failure = await failure_of(courier, parcel)
        await courier.send(parcel)
    assert (failure.kind, failure.http_status, oldest.asked("initiate")) == (K.BUSY, 403, 1)


async def test_a_handshake_that_waits_for_a_place_means_busy(
    oldest: FakeDirectDrive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.remote.websocket._PATIENT_HANDSHAKE_S", 0.2)
    oldest.lets_the_handshake_wait()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(oldest.url) as courier:
        failure = await failure_of(courier, parcel)
        oldest.accept.set()
        await courier.send(parcel)
    assert (failure, oldest.asked("initiate")) == (Failure(K.BUSY, "all places for uploads are taken"), 1)


async def test_a_file_that_was_cancelled_meanwhile_is_not_raised_from_the_dead(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    """resurrects_cancelled: the server takes the bytes of a cancelled file, so nothing may connect to it."""
    newest.slots_taken()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(newest.url) as courier, open_courier(newest.url) as other:
        await failure_of(courier, parcel)
        await other.server.cancel_file(parcel.remote_id or "")
        with pytest.raises(CancelledElsewhereError):
            await courier.send(parcel)
    assert (newest.statuses(), newest.sockets) == ({"a.bin": "cancelled"}, [])


async def test_a_neighbour_that_was_cancelled_meanwhile_is_left_alone(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    now = [1e9]
    one, other = make_parcel(tmp_path, 10, "a.txt"), make_parcel(tmp_path, 11, "b.txt")
    async with open_courier(newest.url, now=lambda: now[0]) as courier:
        await courier.send(one, batch_key="b", neighbours=lambda: [other.outgoing])
        await courier.server.cancel_batch(courier.server.batches_of([one.remote_id or ""])[0])
        newest.batches.clear()
    async with open_courier(newest.url, now=lambda: now[0]) as courier:
        await courier.send(
            make_parcel(tmp_path, 12, "c.txt"), batch_key="b", neighbours=lambda: [other.outgoing]
        )
        [batch] = newest.batches
        async with open_courier(newest.url) as stranger:
            await stranger.server.cancel_batch(batch)
        now[0] += 60
        with pytest.raises(CancelledElsewhereError):
            await courier.send(other)
    assert newest.sockets == ["a.txt", "c.txt"]


async def test_nobody_opens_more_sockets_than_there_are_places(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    """All who are anonymous share five places: we take no more than that ourselves."""
    parcels = [make_parcel(tmp_path, 300_000 + n, f"{n}") for n in range(12)]
    async with open_courier(newest.url) as courier:
        await asyncio.gather(*(courier.send(parcel) for parcel in parcels))
    assert (len(newest.stored()), newest.refused_sockets) == (12, [])


async def test_all_received_and_then_failed_is_a_failure(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.progress_on_receipt_then_fails()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(fake.url) as courier:
        failure = await failure_of(courier, parcel)
    assert failure == Failure(K.SERVER_ERROR, "Upload failed: Failed to finalize upload: 308 -")
    assert parcel.told[-1][0] == 10


@pytest.mark.parametrize("stored", [True, False])
async def test_a_polite_close_says_nothing_so_the_file_is_asked(
    fake: FakeDirectDrive, tmp_path: Path, stored: bool
) -> None:
    fake.closes_1000_without_success(stored=stored)
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(fake.url) as courier:
        if stored:
            await courier.send(parcel)
        else:
            assert (await failure_of(courier, parcel)).kind is K.CONNECTION_LOST
    assert fake.statuses() == {"a.bin": "completed" if stored else "failed"}


async def test_a_success_that_is_never_said_is_found(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.never_says_success()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(fake.url) as courier:
        await courier.send(parcel)
    assert fake.stored() == {"a.bin": parcel.sha256}


async def test_a_slow_end_is_waited_for_and_kept_alive(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.keeps_processing()
    parcel = make_parcel(tmp_path, 10)
    async with open_courier(fake.url) as courier:
        task = asyncio.create_task(courier.send(parcel))
        await fake.finalising.wait()
        await until(lambda: len(parcel.told) >= 6)  # told again and again while nothing moves
        fake.finalise.set()
        await task
    assert (set(parcel.told[-4:-1]), parcel.told[-1]) == ({(10, 0)}, (10, 10))


async def test_a_server_that_never_goes_on_is_given_up(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.keeps_processing()
    pace = replace(QUICK, idle_s=0.1, patience_s=0.25)
    async with open_courier(fake.url, pace=pace) as courier:
        failure = await failure_of(courier, make_parcel(tmp_path, 10))
    assert failure == Failure(K.STALLED, "the server does not go on with the file")


async def test_a_proxy_that_takes_no_large_frames_is_named(newest: FakeDirectDrive, tmp_path: Path) -> None:
    newest.slots_taken(1, 1009, "")
    async with open_courier(newest.url) as courier:
        failure = await failure_of(courier, make_parcel(tmp_path, 10))
    assert failure == Failure(K.REFUSED, "the server, or a proxy before it, takes no frames of 4 MiB (1009)")


@pytest.mark.parametrize("cut_at", [1, 4 * MIB + 1])
async def test_a_cut_connection_means_from_the_start_under_another_id(
    fake: FakeDirectDrive, tmp_path: Path, cut_at: int
) -> None:
    """No resume: bytes for a file that has some already make it fail."""
    fake.cuts_at(cut_at)
    parcel = make_parcel(tmp_path, 9 * MIB)
    async with open_courier(fake.url) as courier:
        failure = await failure_of(courier, parcel)
        first = parcel.remote_id
        sent = await courier.send(parcel)
    assert (failure.kind, sent.remote_id == first) == (K.CONNECTION_LOST, False)
    assert fake.stored() == {"a.bin": parcel.sha256}
    assert "uploading" not in fake.statuses().values()


async def test_a_trouble_of_the_server_after_a_cut_is_not_taken_for_a_cancel(
    newest: FakeDirectDrive, tmp_path: Path
) -> None:
    newest.cuts_at(MIB)
    newest.fail_next("GET", "/api/v1/files/", "server_error")
    parcel = make_parcel(tmp_path, 9 * MIB)
    async with open_courier(newest.url) as courier:
        failure = await failure_of(courier, parcel)
        await courier.send(parcel)
    assert (failure.kind, sorted(file.status for file in newest.files.values())) == (
        K.CONNECTION_LOST,
        ["completed", "failed"],
    )


async def test_a_file_whose_connection_is_cut_at_its_last_byte_is_there_once(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    fake.cuts_at(9 * MIB)
    parcel = make_parcel(tmp_path, 9 * MIB)
    async with open_courier(fake.url) as courier:
        with contextlib.suppress(TransferError):
            await courier.send(parcel)
        await courier.send(parcel)
    assert [file.gdrive_id is None for file in fake.files.values()].count(False) == 1


async def test_a_file_that_the_server_has_lost_is_announced_anew(
    fake: FakeDirectDrive, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 10)
    fake.slots_taken()
    async with open_courier(fake.url) as courier:
        await failure_of(courier, parcel)
        fake.files.clear()
        sent = await courier.send(parcel)
    assert fake.stored() == {"a.bin": sent.sha256}


async def test_a_restart_of_the_server_is_survived(fake: FakeDirectDrive, tmp_path: Path) -> None:
    fake.stops_reading()
    parcel = make_parcel(tmp_path, 9 * MIB)
    async with open_courier(fake.url, fake.user, fake.password) as courier:
        task = asyncio.create_task(courier.send(parcel))
        await until(lambda: bool(parcel.told) and parcel.told[-1][0] >= MIB)
        fake.read.set()
        await fake.restart()
        with pytest.raises((TransferError, RemoteGoneError)):
            await task
        await courier.send(parcel)
    assert fake.stored() == {"a.bin": parcel.sha256}
