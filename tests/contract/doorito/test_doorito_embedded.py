"""The same adapter against our own server's Doorito API: there a cancel cancels, and a repeated key is one session."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from app.domain.failure import CancelledElsewhereError, FailureKind, TransferError
from app.domain.state import CancelEnding, TransferState
from app.remote.base import Abilities, RemoteFile, RemoteState, Sent
from tests.support.clock import until
from tests.support.doorito_sender import Courier, house_of, open_courier, told
from tests.support.engine_house import House, make_files
from tests.support.fake_server import FakeServer
from tests.support.sender import MIB, Parcel, make_parcel
from tests.support.server import ServerProcess

K, R, S, E = FailureKind, RemoteState, TransferState, CancelEnding


def url_of(server: ServerProcess) -> str:
    return f"{server.url}/doorito"


def stored(server: ServerProcess) -> set[str]:
    """The hashes of all files that the server keeps."""
    files = [path for path in server.files_dir.rglob("*") if path.is_file()]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def parts_of(server: ServerProcess) -> list[Path]:
    return [path for path in (server.data_dir / "parts").rglob("*") if path.is_file()]


@pytest.fixture
async def courier(server: ServerProcess) -> AsyncIterator[Courier]:
    """The user of the server's own token."""
    async with open_courier(url_of(server), server.token) as opened:
        yield opened


async def drop_and_wait(house: House, folder: Path, name: str = "") -> None:
    batch = house.drop(folder, name=name or uuid4().hex)
    await until(lambda: not batch.scanning)


async def over(house: House) -> None:
    """Turn the clock whenever somebody waits for it, until nothing is unfinished."""
    async with asyncio.timeout(30):
        while house.batch.counts.unfinished:
            if house.clock.sleepers:
                await house.clock.advance(60)
            await asyncio.sleep(0.01)


async def test_the_server_tells_what_it_can_do(courier: Courier) -> None:
    assert await courier.server.greet() == Abilities(
        resume=True, cancel_file=True, cancel_batch=True, checksum=True, lists_batches=True
    )


async def test_a_wrong_token_is_a_sign_in(server: ServerProcess) -> None:
    async with open_courier(url_of(server), "wrong") as stranger:
        with pytest.raises(TransferError) as caught:
            await stranger.server.greet()
    assert caught.value.failure.kind is K.SIGN_IN


@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 5 * MIB + 1, 23 * MIB])
async def test_a_file_arrives_whole(
    courier: Courier, server: ServerProcess, tmp_path: Path, size: int
) -> None:
    batch = await courier.server.open_batch(uuid4().hex, uuid4().hex)
    parcel = make_parcel(tmp_path, size, batch_id=batch.remote_id)
    sent = await courier.send(parcel)
    assert (sent, parcel.told[-1]) == (Sent(parcel.remote_id or "", "verified", parcel.sha256), (size, size))
    assert parcel.sha256 in stored(server)
    assert (await courier.look(parcel)).state is R.STORED
    assert (await courier.server.look_batch(batch.remote_id)).stored_files == 1


async def test_a_second_try_after_the_end_sends_nothing(courier: Courier, tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path, 5 * MIB + 1)
    await courier.send(parcel)
    again = await courier.send(parcel)
    assert (again.remote_id, again.answer) == (parcel.remote_id, "verified")


async def test_a_lost_answer_to_the_creation_makes_no_second_session(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with FakeServer(server.url) as fake, open_courier(f"{fake.url}/doorito", server.token) as courier:
        batch = await courier.server.open_batch(uuid4().hex, uuid4().hex)
        fake.plan("POST", "lost_answer")
        parcel = make_parcel(tmp_path, 100, batch_id=batch.remote_id)
        with pytest.raises(TransferError):
            await courier.send(parcel)
        await courier.send(parcel)
        files: list[RemoteFile] = []
        await courier.server.list_files(batch.remote_id, files.append)
    assert [(file.remote_id, file.state) for file in files] == [(parcel.remote_id, R.STORED)]


async def test_what_was_cancelled_by_another_program_stays_cancelled(
    courier: Courier, server: ServerProcess, tmp_path: Path
) -> None:
    """``aborted`` with ``cancelled_at``: nobody wants it sent anew."""
    parcel = make_parcel(tmp_path, 21 * MIB)
    ended: list[asyncio.Task[object]] = []

    async def cancel() -> None:
        async with open_courier(url_of(server), server.token) as other:
            await other.server.cancel_file(parcel.remote_id or "")

    parcel.act_once_sent(6 * MIB, lambda: ended.append(asyncio.create_task(cancel())))
    with pytest.raises(CancelledElsewhereError):
        await courier.send(parcel)
    await asyncio.gather(*ended)
    with pytest.raises(CancelledElsewhereError):
        await courier.send(parcel)
    assert (await courier.look(parcel)).state is R.CANCELLED


async def test_a_cancelled_batch_takes_no_more(courier: Courier, tmp_path: Path) -> None:
    batch = await courier.server.open_batch(uuid4().hex, uuid4().hex)
    answers = [(await courier.server.cancel_batch(batch.remote_id)).http_status for _ in range(2)]
    with pytest.raises(CancelledElsewhereError):
        await courier.send(make_parcel(tmp_path, 10, batch_id=batch.remote_id))
    assert (answers, (await courier.server.look_batch(batch.remote_id)).state) == ([200, 409], R.CANCELLED)


async def test_a_lost_id_is_found_by_its_key_and_what_was_not_there_is_not_left(
    courier: Courier, tmp_path: Path
) -> None:
    batch = await courier.server.open_batch(uuid4().hex, uuid4().hex)
    there, not_there = (make_parcel(tmp_path, 10, batch_id=batch.remote_id) for _ in range(2))
    await courier.send(there)
    remote_id, there.remote_id = there.remote_id, None
    found = await courier.server.find([there.outgoing, not_there.outgoing])
    files: list[RemoteFile] = []
    await courier.server.list_files(batch.remote_id, files.append)
    assert {key: file.remote_id for key, file in found.items()} == {there.outgoing.key: remote_id}
    assert [file.state for file in files] == [R.STORED, R.CANCELLED]


async def test_the_batches_begun_here_are_listed(courier: Courier, tmp_path: Path) -> None:
    name = uuid4().hex
    batch = await courier.server.open_batch(name, uuid4().hex)
    await courier.send(make_parcel(tmp_path, 10, batch_id=batch.remote_id))
    (row,) = await courier.server.list_batches()
    assert (row.name, row.state, row.total_files, row.done_files, row.share) == (name, R.STORED, 1, 1, 1.0)


# The whole engine


async def test_names_in_all_scripts_arrive(server: ServerProcess, tmp_path: Path) -> None:
    names = ["Łódź & 日本 😀.txt", "leer", 'a"b<c>.txt', "x" * 251 + ".txt"]
    (tmp_path / "Photos").mkdir()
    for name in names:
        (tmp_path / "Photos" / name).write_text("" if name == "leer" else name)
    async with house_of(tmp_path / "home", url_of(server), server.token) as house:
        await drop_and_wait(house, tmp_path / "Photos")
        await house.over(house.batch)
        assert set(house.states(house.batch).values()) == {S.COMPLETED}
        async with open_courier(url_of(server), server.token) as courier:
            batch = await courier.server.look_batch(house.batch.remote_id or "")
            async with httpx.AsyncClient(headers=server.headers, trust_env=False) as client:
                answer = await client.get(f"{url_of(server)}/batches/{batch.remote_id}/files")
    assert {file["original_filename"] for file in answer.json()["files"]} == set(names)


async def test_a_cancel_of_a_file_while_it_is_sent(server: ServerProcess, tmp_path: Path) -> None:
    make_files(tmp_path / "Photos", [80 * MIB, 10])
    async with house_of(tmp_path / "home", url_of(server), server.token) as house:
        await drop_and_wait(house, tmp_path / "Photos")
        row = house.rows(house.batch)["f0"]
        await until(lambda: row.offset_bytes > 0)
        house.engine.cancel(house.batch, [row])
        await house.over(house.batch)
        seen = told(house, house.batch)
        async with open_courier(url_of(server), server.token) as courier:
            there = await courier.server.look(row.remote_id or "")
    assert seen["f0"] == (S.CANCELLED, "Cancelled. The server confirmed it and kept nothing.")
    assert (seen["f1"][0], there.state, parts_of(server)) == (S.COMPLETED, R.CANCELLED, [])


async def test_a_cancel_of_a_batch_while_it_is_sent(server: ServerProcess, tmp_path: Path) -> None:
    make_files(tmp_path / "Photos", [40 * MIB] * 3 + [10] * 30)
    async with house_of(tmp_path / "home", url_of(server), server.token) as house:
        await drop_and_wait(house, tmp_path / "Photos")
        batch = house.batch
        await until(lambda: batch.done_bytes > MIB)
        house.engine.cancel(batch)
        await until(lambda: batch.ending is not None)
        counts, ending = batch.counts.files, batch.ending
        async with open_courier(url_of(server), server.token) as courier:
            there = await courier.server.look_batch(batch.remote_id or "")
    assert (ending, counts[S.CANCELLED] + counts[S.COMPLETED], counts[S.CANCELLED] > 0) == (
        E.CANCELLED,
        33,
        True,
    )
    assert (there.state, there.stored_files, parts_of(server)) == (R.CANCELLED, counts[S.COMPLETED], [])


async def test_a_cancel_while_it_is_put_together_wins_or_loses_as_a_whole(
    server: ServerProcess, tmp_path: Path
) -> None:
    make_files(tmp_path / "Photos", [48 * MIB])
    async with house_of(tmp_path / "home", url_of(server), server.token) as house:
        await drop_and_wait(house, tmp_path / "Photos")
        row = house.rows(house.batch)["f0"]
        await until(lambda: row.state is S.PROCESSING)
        house.engine.cancel(house.batch, [row])
        await house.over(house.batch)
        seen = told(house, house.batch)["f0"]
        async with open_courier(url_of(server), server.token) as courier:
            there = (await courier.server.look(row.remote_id or "")).state
    assert (seen, there) in (
        ((S.CANCELLED, "Cancelled. The server confirmed it and kept nothing."), R.CANCELLED),
        (
            (S.COMPLETED, "It had finished before the cancel took effect, and stays on the server."),
            R.STORED,
        ),
    )


async def test_a_server_that_is_killed_in_the_middle_costs_no_part(tmp_path: Path) -> None:
    make_files(tmp_path / "Photos", [60 * MIB, *[10] * 5])
    with ServerProcess(tmp_path / "data") as server:
        async with house_of(tmp_path / "home", url_of(server), server.token) as house:
            await drop_and_wait(house, tmp_path / "Photos")
            batch, row = house.batch, house.rows(house.batch)["f0"]
            await until(lambda: row.offset_bytes > 0)
            await asyncio.to_thread(server.kill)
            await house.reach(batch, S.WAITING)
            there = len(parts_of(server))
            await asyncio.to_thread(server.start)
            await over(house)
            assert set(house.states(batch).values()) == {S.COMPLETED}
        assert (there > 0, row.generation, parts_of(server)) == (True, 0, [])


async def test_a_session_is_resumed_by_what_it_has(courier: Courier, tmp_path: Path) -> None:
    """Only the third of three parts goes over the wire."""
    parcel = make_parcel(tmp_path, 12 * MIB)
    attempt = asyncio.create_task(courier.send(parcel))
    await until(lambda: any(accepted for _, accepted in parcel.told))
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    parcel.told.clear()
    await courier.send(parcel)
    assert parcel.told[0][1] >= 5 * MIB or parcel.told[1][1] >= 5 * MIB


async def through(fake: FakeServer, server: ServerProcess, parcel: Parcel) -> TransferError:
    async with open_courier(f"{fake.url}/doorito", server.token) as courier:
        with pytest.raises(TransferError) as caught:
            await courier.send(parcel)
    return caught.value


@pytest.mark.parametrize(
    "fault, kind",
    [
        ("forbidden", K.FORBIDDEN),
        ("page_not_found", K.NOT_A_SERVER),
        ("too_large_at_once", K.TOO_LARGE),
        ("rate_limited", K.BUSY),
        ("server_error", K.SERVER_ERROR),
        ("bad_gateway", K.BUSY),
        ("maintenance", K.BUSY),
        ("portal", K.NOT_A_SERVER),
        ("hangs_up", K.CONNECTION_LOST),
        ("disk_full", K.DISK_FULL),
        ("moved", K.NOT_A_SERVER),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_faults_on_the_way_are_told_apart(
    server: ServerProcess, tmp_path: Path, method: str, fault: str, kind: FailureKind
) -> None:
    async with FakeServer(server.url) as fake:
        fake.plan(method, fault)
        error = await through(fake, server, make_parcel(tmp_path, 100))
    assert error.failure.kind is kind
