"""The tus dialect against the real server: every file arrives, from wherever it had come to."""

import asyncio
from pathlib import Path

import pytest

from app.domain.failure import CancelledElsewhereError, FailureKind, RemoteGoneError, TransferError
from app.remote.account import Endpoint
from app.remote.anytus import AnyTusServer
from app.remote.base import Abilities, RemoteBatch, RemoteFile, RemoteState, Sent
from app.remote.registry import TUS, UPHAUL, connect
from tests.support.proxy import TcpProxy
from tests.support.sender import MIB, Sender, begin, make_parcel, open_sender, stored
from tests.support.server import ServerProcess

K = FailureKind
SIZES = [0, 1, 4096, 256 * 1024 + 1, MIB, MIB + 1, 4 * MIB, 5 * MIB + 1, 9 * MIB + 12345]
NAMES = [
    "ä/é.txt",
    "😀😀.jpg",
    "new\nline",
    "e" * 255,
    "a'b\"c;d.txt",
    " .x ",
    "/".join("d" * 120 for _ in range(100)),
]


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_of_any_size_arrives_verified(
    size: int, sender: Sender, batch: RemoteBatch, server: ServerProcess, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, size, "A/a.bin", batch.remote_id)
    sent = await sender.send(parcel)
    assert (sent, stored(server, batch.folder, "A/a.bin")) == (
        Sent(sent.remote_id, "verified", parcel.sha256),
        parcel.path.read_bytes(),
    )


@pytest.mark.parametrize("name", NAMES)
async def test_any_name_arrives_as_it_is(
    name: str, sender: Sender, batch: RemoteBatch, server: ServerProcess, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 10, name, batch.remote_id)
    sent = await sender.send(parcel)
    assert await sender.server.look(sent.remote_id) == RemoteFile(sent.remote_id, RemoteState.STORED, 10, 10)
    if len(name) < 4000:  # a longer path is more than open() takes
        assert stored(server, batch.folder, name) == parcel.path.read_bytes()


async def test_the_time_of_the_file_arrives_too(
    sender: Sender, batch: RemoteBatch, server: ServerProcess, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 10, batch_id=batch.remote_id)
    await sender.send(parcel)
    there = (server.files_dir / (batch.folder or "") / "a.bin").stat()
    assert there.st_mtime_ns == parcel.transfer.mtime_ns


async def test_a_refused_name_is_a_failure_of_that_file_alone(sender: Sender, tmp_path: Path) -> None:
    with pytest.raises(TransferError) as caught:
        await sender.send(make_parcel(tmp_path, 10, "../etc/passwd"))
    failure = caught.value.failure
    assert (failure.kind, failure.scope, failure.http_status) == (K.NAME_REFUSED, "file", 400)


@pytest.mark.parametrize("offset", [0, 1, MIB - 1, MIB, 2 * MIB + 77, 5 * MIB, 5 * MIB + 99])
async def test_resume_at_any_byte(
    offset: int, sender: Sender, batch: RemoteBatch, server: ServerProcess, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 5 * MIB + 100, batch_id=batch.remote_id)
    await begin(server, parcel, offset)
    sent = await sender.send(parcel)
    assert (parcel.told[0], sent.sha256) == ((offset, offset), parcel.sha256)
    assert stored(server, batch.folder) == parcel.path.read_bytes()


async def test_resume_of_a_file_that_was_stored_meanwhile(
    sender: Sender, batch: RemoteBatch, server: ServerProcess, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 3 * MIB, batch_id=batch.remote_id)
    await begin(server, parcel, 3 * MIB)
    assert await sender.send(parcel) == Sent(parcel.remote_id or "", "verified", parcel.sha256)


async def test_one_key_makes_one_file_even_if_the_first_answer_was_lost(
    sender: Sender, batch: RemoteBatch, tmp_path: Path
) -> None:
    for size in (10, 2 * MIB):
        parcel = make_parcel(tmp_path, size, f"{size}", batch.remote_id)
        first = await sender.send(parcel)
        parcel.remote_id = None
        assert await sender.send(parcel) == first
    assert len(await sender.files_of(batch.remote_id)) == 2


async def test_a_file_is_found_by_its_key(sender: Sender, batch: RemoteBatch, tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path, 10, batch_id=batch.remote_id)
    before = await sender.server.find([parcel.outgoing])
    sent = await sender.send(parcel)
    after = await sender.server.find([parcel.outgoing])
    assert (before, after) == (
        {},
        {parcel.transfer.key: RemoteFile(sent.remote_id, RemoteState.STORED, 10, 10)},
    )


async def test_progress_counts_up_to_the_size(sender: Sender, batch: RemoteBatch, tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path, 9 * MIB, batch_id=batch.remote_id)
    await sender.send(parcel)
    sent = [sent for sent, _ in parcel.told]
    accepted = [accepted for _, accepted in parcel.told]
    assert (sent == sorted(sent), accepted == sorted(accepted), parcel.told[-1]) == (
        True,
        True,
        (9 * MIB, 9 * MIB),
    )
    assert set(accepted) == {0, 4 * MIB, 8 * MIB, 9 * MIB}


async def test_a_batch_is_opened_once_and_read_back(sender: Sender, tmp_path: Path) -> None:
    batch = await sender.server.open_batch("Fotos/Ä", "one key")
    assert await sender.server.open_batch("Fotos/Ä", "one key") == batch
    for number in range(3):
        await sender.send(make_parcel(tmp_path, number, f"{number}", batch.remote_id))
    back = await sender.server.look_batch(batch.remote_id)
    files = await sender.files_of(batch.remote_id)
    assert (back, [file.state for file in files]) == (
        RemoteBatch(batch.remote_id, RemoteState.STORED, batch.folder, 3, 0),
        [RemoteState.STORED] * 3,
    )


async def test_more_files_than_one_page_are_all_listed(
    sender: Sender, batch: RemoteBatch, tmp_path: Path
) -> None:
    for number in range(5):
        await sender.send(make_parcel(tmp_path, 1, f"{number}", batch.remote_id))
    files: list[RemoteFile] = []
    await sender.server.list_files(batch.remote_id, files.append, page_files=2)
    assert len({file.remote_id for file in files}) == 5


async def test_what_the_server_does_not_know(sender: Sender) -> None:
    await sender.server.delete_files(["unknown"])
    assert (
        (await sender.server.look("unknown")).state,
        (await sender.server.look_batch("unknown")).state,
        (await sender.server.cancel_file("unknown")).http_status,
        (await sender.server.cancel_batch("unknown")).http_status,
    ) == (RemoteState.UNKNOWN, RemoteState.UNKNOWN, 404, 404)


async def test_an_upload_that_the_server_lost_is_gone(sender: Sender, tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path, 2 * MIB)
    parcel.remote_id = "unknown"
    with pytest.raises(RemoteGoneError):
        await sender.send(parcel)


async def test_cancel_then_resume_is_cancelled_elsewhere(
    sender: Sender, batch: RemoteBatch, server: ServerProcess, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 3 * MIB, batch_id=batch.remote_id)
    await begin(server, parcel, MIB)
    answer = await sender.server.cancel_file(parcel.remote_id or "")
    assert (answer.http_status, (await sender.look(parcel)).state) == (200, RemoteState.CANCELLED)
    with pytest.raises(CancelledElsewhereError):
        await sender.send(parcel)
    parcel.remote_id = None
    with pytest.raises(CancelledElsewhereError):
        await sender.send(parcel)


async def test_a_cancelled_batch_takes_no_more_files(
    sender: Sender, batch: RemoteBatch, tmp_path: Path
) -> None:
    answer = await sender.server.cancel_batch(batch.remote_id)
    with pytest.raises(CancelledElsewhereError):
        await sender.send(make_parcel(tmp_path, 10, batch_id=batch.remote_id))
    again = await sender.server.cancel_batch(batch.remote_id)
    assert (answer.http_status, again.http_status) == (200, 400)


async def test_a_stored_file_cannot_be_cancelled_but_deleted(
    sender: Sender, batch: RemoteBatch, server: ServerProcess, tmp_path: Path
) -> None:
    sent = await sender.send(make_parcel(tmp_path, 10, batch_id=batch.remote_id))
    assert (await sender.server.cancel_file(sent.remote_id)).http_status == 400
    await sender.server.delete_files([sent.remote_id])
    await sender.server.delete_files([sent.remote_id])
    assert not (server.files_dir / (batch.folder or "") / "a.bin").exists()


async def test_a_cancel_elsewhere_ends_a_running_upload(
    sender: Sender, batch: RemoteBatch, server: ServerProcess, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 64 * MIB, batch_id=batch.remote_id)
    running = asyncio.Event()
    parcel.act_once_sent(8 * MIB, running.set)
    async with open_sender(server, chunk_bytes=64 * MIB) as uploading:
        sending = asyncio.create_task(uploading.persist(parcel))
        await running.wait()
        assert parcel.remote_id is not None
        answer = await sender.server.cancel_file(parcel.remote_id)
        with pytest.raises(CancelledElsewhereError):
            await sending
    assert (answer.http_status, list(server.partials_dir.glob(f"{parcel.remote_id}*"))) == (200, [])


async def test_a_file_that_changes_while_it_is_sent_is_not_stored(
    sender: Sender, batch: RemoteBatch, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 9 * MIB, batch_id=batch.remote_id)
    parcel.act_once_sent(5 * MIB, lambda: parcel.path.write_bytes(b"short"))
    with pytest.raises(TransferError) as caught:
        await sender.send(parcel)
    assert (caught.value.failure.kind, (await sender.look(parcel)).state) == (
        K.FILE_CHANGED,
        RemoteState.UNFINISHED,
    )


async def test_a_wrong_checksum_is_named_and_nothing_is_stored(
    sender: Sender, batch: RemoteBatch, server: ServerProcess, tmp_path: Path
) -> None:
    """The first half came from another file: the server's hash of all differs from ours."""
    parcel = make_parcel(tmp_path, 2 * MIB, batch_id=batch.remote_id)
    await begin(server, parcel, MIB, content=b"\0" * MIB)
    with pytest.raises(TransferError) as caught:
        await sender.send(parcel)
    assert (caught.value.failure.kind, caught.value.failure.http_status) == (K.CHECKSUM_MISMATCH, 460)
    assert not (server.files_dir / (batch.folder or "") / "a.bin").exists()


@pytest.mark.parametrize("token", ["wrong", None])
async def test_without_a_good_token_one_must_sign_in(token: str | None, server: ServerProcess) -> None:
    connection = connect(UPHAUL, Endpoint(server.url, token))
    with pytest.raises(TransferError) as caught:
        await connection.look("x")
    await connection.aclose()
    assert (caught.value.failure.kind, caught.value.failure.http_status) == (K.SIGN_IN, 401)


async def test_a_file_above_the_limit_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", "--max-size", "1000") as small:
        async with TcpProxy(small.url) as proxy, open_sender(small, proxy.url) as sender:
            parcel = make_parcel(tmp_path, 5 * MIB)
            with pytest.raises(TransferError) as caught:
                await sender.send(parcel)
            failure = caught.value.failure
            assert (failure.kind, failure.limit_bytes, proxy.up_bytes < 1000) == (K.TOO_LARGE, 1000, True)
            assert sender.server.abilities.max_size_bytes == 1000


@pytest.mark.expects_log
async def test_a_server_killed_in_the_middle_goes_on_after_its_restart(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        async with open_sender(server) as sender:
            parcel = make_parcel(tmp_path, 48 * MIB)
            parcel.act_once_sent(12 * MIB, server.kill)
            with pytest.raises(TransferError) as caught:
                await sender.send(parcel)
            assert caught.value.failure.kind is K.CONNECTION_LOST
            with pytest.raises(TransferError) as caught:
                await sender.send(parcel)
            assert caught.value.failure.kind is K.UNREACHABLE
            server.restart()
            parcel.told = []
            sent = await sender.send(parcel)
            assert (sent.sha256, parcel.told[0][0] > 0, stored(server, None)) == (
                parcel.sha256,
                True,
                parcel.path.read_bytes(),
            )


async def test_a_plain_tus_server_needs_no_api_of_ours(server: ServerProcess, tmp_path: Path) -> None:
    """Our server's /files is one; the adapter that knows tus alone sends, reads back and terminates."""
    async with open_sender(server) as sender:
        plain = connect(TUS, Endpoint(f"{server.url}/files", server.token))
        assert isinstance(plain, AnyTusServer)
        sender.bytes_server = plain
        parcel = make_parcel(tmp_path, 2 * MIB + 1, "plain.bin")
        sent = await sender.send(parcel)
        seen = await plain.look(sent.remote_id)
        begun = make_parcel(tmp_path, 2 * MIB + 1)
        await begin(server, begun, MIB)
        unfinished = await plain.look(begun.remote_id or "")
        ended = await plain.cancel_file(begun.remote_id or "")
        gone = await plain.look(begun.remote_id or "")
        await plain.aclose()
    assert (sent.sha256, seen.state, unfinished.state, ended.http_status, gone.state, plain.abilities) == (
        parcel.sha256,
        RemoteState.STORED,
        RemoteState.UNFINISHED,
        204,
        RemoteState.UNKNOWN,
        Abilities(resume=True, cancel_file=True, checksum=True),
    )
