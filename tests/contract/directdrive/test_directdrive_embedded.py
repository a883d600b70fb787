"""The DirectDrive adapter against our own server's DirectDrive API: real processes, real sockets, real files."""

import asyncio
import hashlib
import secrets
from pathlib import Path

import pytest

from app.domain.failure import CancelledElsewhereError, FailureKind, TransferError
from app.domain.state import TransferState
from app.engine.engine import Limits
from app.remote.base import Abilities, RemoteState, Sent
from tests.support.clock import until
from tests.support.directdrive_sender import PASSWORD, Courier, open_courier, open_program
from tests.support.engine_house import make_files
from tests.support.sender import MIB, Parcel, make_parcel
from tests.support.server import ServerProcess


def stored(server: ServerProcess) -> set[str]:
    """The hashes of all files that the server keeps."""
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files_below(server.files_dir)}


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_the_server_tells_what_it_can_do(courier: Courier) -> None:
    assert await courier.server.greet() == Abilities(
        cancel_file=True, cancel_batch=True, max_size_bytes=10 * 2**30
    )


@pytest.mark.parametrize("size", [1, 65_537, 4 * MIB, 4 * MIB + 1, 21 * MIB])
async def test_a_file_arrives_whole(
    courier: Courier, server: ServerProcess, tmp_path: Path, size: int
) -> None:
    parcel = make_parcel(tmp_path, size)
    sent = await courier.send(parcel)
    assert sent == Sent(parcel.remote_id or "", "", parcel.sha256)
    assert parcel.told[-1][0] == size
    assert parcel.sha256 in stored(server)
    assert (await courier.look(parcel)).state is RemoteState.STORED


async def test_nobody_may_send_too(nobody: Courier, server: ServerProcess, tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path, 100_003)
    await nobody.send(parcel)
    assert parcel.sha256 in stored(server)


@pytest.mark.parametrize(
    "name, told",
    [
        ("Żółć & 日本語 😀.txt", ""),
        ("Photos/2026/a:b?.jpg", "stored as Photos_2026_a_b_.jpg"),
        ("CON.txt", "stored as file_CON.txt"),
        (".profile", "stored as profile"),
        ("x" * 300 + ".bin", f"stored as {'x' * 251}.bin"),
    ],
)
async def test_a_name_is_told_as_it_is_stored(courier: Courier, tmp_path: Path, name: str, told: str) -> None:
    sent = await courier.send(make_parcel(tmp_path, 10, name))
    assert sent.answer == told


async def test_three_hundred_small_files_are_announced_by_a_few_requests(
    courier: Courier, server: ServerProcess, tmp_path: Path
) -> None:
    parcels = [make_parcel(tmp_path, 1000 + n, f"same/{n % 7}.bin") for n in range(300)]
    waiting = list(parcels)
    places = asyncio.Semaphore(6)

    async def one(parcel: Parcel) -> None:
        async with places:
            waiting.remove(parcel)
            await courier.send(
                parcel, batch_key="b", neighbours=lambda: [each.outgoing for each in waiting[:99]]
            )

    await asyncio.gather(*(one(parcel) for parcel in parcels))
    assert {parcel.sha256 for parcel in parcels} <= stored(server)
    assert len({(parcel.remote_id or "").partition("/")[0] for parcel in parcels}) <= 4


async def test_files_that_start_together_are_one_batch(courier: Courier, tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, 1000 + n, f"{n}.bin") for n in range(3)]
    await asyncio.gather(*(courier.send(parcel, batch_key="b") for parcel in parcels))
    batches = courier.server.batches_of([parcel.remote_id or "" for parcel in parcels])
    assert len(batches) == 1


async def test_files_of_two_batches_are_never_announced_together(courier: Courier, tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, 1000 + n, f"{n}.bin") for n in range(4)]
    await asyncio.gather(
        *(courier.send(parcel, batch_key=key) for parcel, key in zip(parcels, "aabb", strict=True))
    )
    one, other = (
        courier.server.batches_of([p.remote_id or "" for p in part]) for part in (parcels[:2], parcels[2:])
    )
    assert len(one) == len(other) == 1 != len({*one, *other})


async def begun(courier: Courier, parcel: Parcel, batch_key: str = "") -> asyncio.Task[Sent]:
    """Start a send, and return once bytes have gone."""
    moved = asyncio.Event()
    parcel.act_once_sent(1, moved.set)
    task = asyncio.create_task(courier.send(parcel, batch_key=batch_key))
    await moved.wait()
    return task


async def stop(task: asyncio.Task[Sent]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_cancel_really_stops_a_running_file(
    courier: Courier, server: ServerProcess, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 60 * MIB)
    await stop(await begun(courier, parcel))
    answer = await courier.cancel(parcel)
    seen = await courier.look(parcel)
    assert (answer.http_status, answer.message) == (200, "Upload cancelled successfully")
    assert seen.state is RemoteState.CANCELLED
    assert files_below(server.partials_dir) == []
    assert parcel.sha256 not in stored(server)


async def test_a_cancel_of_a_batch_takes_what_was_never_sent_too(
    courier: Courier, server: ServerProcess, tmp_path: Path
) -> None:
    running, waiting = make_parcel(tmp_path, 60 * MIB), make_parcel(tmp_path, 5, "b.bin")
    moved = asyncio.Event()
    running.act_once_sent(1, moved.set)
    task = asyncio.create_task(courier.send(running, batch_key="b", neighbours=lambda: [waiting.outgoing]))
    await moved.wait()
    await stop(task)
    [remote_batch_id] = courier.server.batches_of([running.remote_id or ""])
    answer = await courier.server.cancel_batch(remote_batch_id)
    assert answer.http_status == 200
    assert (await courier.look(running)).state is RemoteState.CANCELLED
    states = {record["status"] for record in await courier.server._api.files_of(remote_batch_id)}
    assert states == {"cancelled"}
    assert files_below(server.partials_dir) == []


async def test_a_pause_is_no_cancel_and_the_file_goes_again_from_its_start(
    courier: Courier, server: ServerProcess, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 30 * MIB)
    await stop(await begun(courier, parcel))
    first = parcel.remote_id
    sent = await courier.send(parcel)
    assert (sent.remote_id == first, parcel.sha256 in stored(server)) == (False, True)
    assert files_below(server.partials_dir) == []


async def test_a_file_that_arrived_although_nobody_heard_of_it_is_not_sent_twice(
    courier: Courier, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 1000)
    sent = await courier.send(parcel)
    again = await courier.send(parcel)
    assert again.remote_id == sent.remote_id


async def test_a_cancel_at_the_server_is_told_while_the_bytes_go(courier: Courier, tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path, 60 * MIB)
    task = await begun(courier, parcel)
    await courier.cancel(parcel)
    with pytest.raises(CancelledElsewhereError):
        await task


async def test_a_cancel_after_the_end_is_an_answer(courier: Courier, tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path, 1000)
    await courier.send(parcel)
    answers = [await courier.cancel(parcel) for _ in range(2)]
    assert [one.http_status for one in answers] == [400, 400]
    assert (await courier.look(parcel)).state is RemoteState.STORED


async def test_a_wrong_password_asks_for_a_sign_in(server: ServerProcess, tmp_path: Path) -> None:
    async with open_courier(f"{server.url}/directdrive", "nobody@example.org", "wrong") as courier:
        with pytest.raises(TransferError) as raised:
            await courier.send(make_parcel(tmp_path, 10))
    assert raised.value.failure.kind is FailureKind.SIGN_IN


async def test_the_wrong_address_is_said(server: ServerProcess) -> None:
    async with open_courier(f"{server.url}/nowhere") as courier:
        with pytest.raises(TransferError) as raised:
            await courier.server.greet()
    assert raised.value.failure.kind is FailureKind.NOT_A_SERVER


async def test_what_was_announced_and_never_sent_is_cancelled_when_the_account_closes(
    server: ServerProcess, tmp_path: Path
) -> None:
    sent, waiting = make_parcel(tmp_path, 10), make_parcel(tmp_path, 11, secrets.token_hex(4))
    async with open_courier(f"{server.url}/directdrive") as courier:
        await courier.send(sent, batch_key="b", neighbours=lambda: [waiting.outgoing])
        [batch] = courier.server.batches_of([sent.remote_id or ""])
    async with open_courier(f"{server.url}/directdrive") as other:
        records = await other.server._api.files_of(batch)
    assert [record["status"] for record in records] == ["completed", "cancelled"]


async def test_a_server_that_restarts_has_the_file_sent_again(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", "--rate-limits", "off") as server:
        async with open_courier(f"{server.url}/directdrive") as courier:
            parcel = make_parcel(tmp_path, 30 * MIB)
            task = await begun(courier, parcel)
            server.kill()
            with pytest.raises(TransferError) as raised:
                await task
            server.restart()
            sent = await courier.send(parcel)
            assert raised.value.failure.kind is FailureKind.CONNECTION_LOST
            assert sent.sha256 in stored(server)
            assert files_below(server.partials_dir) == []


async def test_a_folder_is_dropped_and_cancelled_as_a_batch(
    server: ServerProcess, user: str, tmp_path: Path
) -> None:
    """The whole engine: one request for the batch, and nothing is left at the server."""
    folder = tmp_path / "Łódź 日本"
    make_files(folder, [40 * MIB] * 2 + [1000] * 30)
    async with (
        open_courier(f"{server.url}/directdrive", user, PASSWORD) as courier,
        open_program(
            tmp_path / "home",
            f"{server.url}/directdrive",
            user,
            PASSWORD,
            limits=Limits(uploads_at_once=2),
        ) as house,
    ):
        batch = house.drop(folder)
        await until(lambda: not batch.scanning and house.rows(batch)["f0"].sent_bytes > 0)
        remote_batches = courier.server.batches_of([house.rows(batch)["f0"].remote_id or ""])
        house.engine.cancel(batch)
        await house.over(batch)
        records = [record for each in remote_batches for record in await courier.server._api.files_of(each)]
        assert set(house.states(batch).values()) == {TransferState.CANCELLED}
    assert (len(records), {record["status"] for record in records}) == (32, {"cancelled"})
    assert files_below(server.partials_dir) == []
