"""What servers and the machines before them answer on bad days: each has its kind, and none loses the file."""

import asyncio
from pathlib import Path

import pytest

from app.domain.failure import Failure, FailureKind, RemoteGoneError, TransferError
from app.remote.account import Endpoint
from app.remote.auth import Bearer
from app.remote.base import RemoteBatch, RemoteState
from app.remote.http import Http
from app.remote.registry import UPHAUL, connect
from tests.support.fake_server import FakeServer, reply
from tests.support.sender import MIB, Parcel, Sender, begin, make_parcel, open_sender
from tests.support.server import ServerProcess

K = FailureKind


async def failure_of(server: ServerProcess, parcel: Parcel, method: str, *faults: str) -> Failure:
    async with FakeServer(server.url) as fake, open_sender(server, fake.url) as unlucky:
        fake.plan(method, *faults)
        with pytest.raises(TransferError) as caught:
            await unlucky.send(parcel)
    return caught.value.failure


@pytest.mark.parametrize("size", [10, 2 * MIB])
@pytest.mark.parametrize(
    "fault, kind, status",
    [
        ("rate_limited", K.BUSY, 429),
        ("maintenance", K.BUSY, 503),
        ("bad_gateway", K.BUSY, 502),
        ("server_error", K.SERVER_ERROR, 500),
        ("disk_full", K.DISK_FULL, 507),
        ("forbidden", K.FORBIDDEN, 403),
        ("portal", K.NOT_A_SERVER, None),
        ("page_not_found", K.NOT_A_SERVER, 404),
        ("moved", K.NOT_A_SERVER, 301),
        ("tls_alert", K.NOT_A_SERVER, None),
        ("other_host", K.NOT_A_SERVER, None),
        ("hangs_up", K.CONNECTION_LOST, None),
        ("cut_answer", K.CONNECTION_LOST, None),
        ("too_large_at_once", K.TOO_LARGE, 413),
        ("too_large_and_closed", K.TOO_LARGE, 413),
    ],
)
async def test_a_bad_answer_to_the_creation(
    fault: str,
    kind: FailureKind,
    status: int | None,
    size: int,
    sender: Sender,
    server: ServerProcess,
    batch: RemoteBatch,
    tmp_path: Path,
) -> None:
    parcel = make_parcel(tmp_path, size, batch_id=batch.remote_id)
    failure = await failure_of(server, parcel, "POST", fault)
    assert (failure.kind, failure.http_status, await sender.files_of(batch.remote_id)) == (kind, status, [])
    assert (await sender.send(parcel)).sha256 == parcel.sha256


@pytest.mark.parametrize(
    "fault, kind, status",
    [
        ("rate_limited", K.BUSY, 429),
        ("bad_gateway", K.BUSY, 502),
        ("server_error", K.SERVER_ERROR, 500),
        ("locked", K.CONFLICT, 423),
        ("disk_full", K.DISK_FULL, 507),
        ("portal", K.NOT_A_SERVER, 200),
        ("page_not_found", K.NOT_A_SERVER, 404),
        ("no_offset", K.NOT_A_SERVER, 204),
        ("hangs_up", K.CONNECTION_LOST, None),
        ("cut_answer", K.CONNECTION_LOST, None),
        ("too_large_at_once", K.TOO_LARGE, 413),
        ("too_large_and_closed", K.TOO_LARGE, 413),
    ],
)
async def test_a_bad_answer_in_the_middle(
    fault: str,
    kind: FailureKind,
    status: int | None,
    sender: Sender,
    server: ServerProcess,
    batch: RemoteBatch,
    tmp_path: Path,
) -> None:
    parcel = make_parcel(tmp_path, 9 * MIB, batch_id=batch.remote_id)
    failure = await failure_of(server, parcel, "PATCH", "", fault)
    seen = await sender.look(parcel)
    assert (failure.kind, failure.http_status, seen.offset_bytes) == (kind, status, 4 * MIB)
    assert (await sender.send(parcel)).sha256 == parcel.sha256


async def test_an_answer_in_the_middle_of_a_body_is_heard_at_once(
    server: ServerProcess, tmp_path: Path
) -> None:
    """The rest of a large chunk is not sent to a server that has refused it."""
    parcel = make_parcel(tmp_path, 64 * MIB)
    async with FakeServer(server.url) as fake, open_sender(server, fake.url, chunk_bytes=64 * MIB) as unlucky:
        fake.plan("PATCH", "too_large_and_closed")
        with pytest.raises(TransferError) as caught:
            await unlucky.send(parcel)
    most = max(sent for sent, _ in parcel.told)
    assert (caught.value.failure.kind, most < 32 * MIB) == (K.TOO_LARGE, True)


async def test_how_long_to_wait_is_in_seconds_or_a_date(server: ServerProcess, tmp_path: Path) -> None:
    in_seconds = await failure_of(server, make_parcel(tmp_path, 1), "POST", "rate_limited")
    at_a_date = await failure_of(server, make_parcel(tmp_path, 1), "POST", "maintenance")
    assert (in_seconds.retry_after_s, at_a_date.retry_after_s) == (7.0, 86_400.0)


async def test_a_server_that_stands_elsewhere_is_asked_where(
    server: ServerProcess, batch: RemoteBatch, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 9 * MIB, batch_id=batch.remote_id)
    async with FakeServer(server.url) as fake, open_sender(server, fake.url) as unlucky:
        fake.plan("PATCH", "", "wrong_offset")
        sent = await unlucky.send(parcel)
        methods = [seen.method for seen in fake.seen]
    assert (sent.sha256, methods) == (
        parcel.sha256,
        ["OPTIONS", "POST", "PATCH", "PATCH", "HEAD", "PATCH", "PATCH"],
    )


async def test_a_server_that_never_agrees_on_the_offset_is_given_up(
    server: ServerProcess, tmp_path: Path
) -> None:
    failure = await failure_of(server, make_parcel(tmp_path, 2 * MIB), "PATCH", *["wrong_offset"] * 20)
    assert (failure.kind, failure.retryable) == (K.CONFLICT, True)


async def test_a_hash_that_differs_from_ours_is_no_success(server: ServerProcess, tmp_path: Path) -> None:
    failure = await failure_of(server, make_parcel(tmp_path, 10), "POST", "other_hash")
    assert (failure.kind, failure.retryable) == (K.CHECKSUM_MISMATCH, False)


async def test_a_stale_connection_is_no_reason_to_fail_reading(server: ServerProcess) -> None:
    async with FakeServer(server.url) as fake:
        fake.plan("GET", "hangs_up")
        connection = connect(UPHAUL, Endpoint(fake.url, server.token))
        seen = await connection.look("unknown")
        await connection.aclose()
    assert (seen.state, len(fake.seen)) == (RemoteState.UNKNOWN, 2)


async def test_a_body_is_never_repeated_blindly(server: ServerProcess, tmp_path: Path) -> None:
    async with FakeServer(server.url) as fake, open_sender(server, fake.url) as unlucky:
        fake.plan("PATCH", "lost_answer")
        with pytest.raises(TransferError):
            await unlucky.send(make_parcel(tmp_path, 2 * MIB))
    assert [seen.method for seen in fake.seen] == ["OPTIONS", "POST", "PATCH"]


async def test_an_answer_that_never_comes_is_a_stall(server: ServerProcess) -> None:
    async with FakeServer(server.url) as fake:
        fake.plan("GET", "silent")
        http = Http(fake.url, Bearer(server.token), read_timeout_s=0.05)
        with pytest.raises(TransferError) as caught:
            await http.ask("GET", "/api/v1/batches")
        await http.aclose()
    assert caught.value.failure.kind is K.STALLED


@pytest.mark.parametrize(
    "url, kind",
    [
        ("http://127.0.0.1:9", K.UNREACHABLE),
        ("http://nowhere.invalid", K.UNREACHABLE),
        ("ftp://127.0.0.1", K.NOT_A_SERVER),
        ("127.0.0.1:80", K.NOT_A_SERVER),
        ("http://", K.NOT_A_SERVER),
        ("http://a:b", K.NOT_A_SERVER),
        ("http://me:secret@127.0.0.1", K.NOT_A_SERVER),
    ],
)
async def test_an_address_that_cannot_be(url: str, kind: FailureKind) -> None:
    async def look() -> None:
        connection = connect(UPHAUL, Endpoint(url, "secret"))
        try:
            await connection.look("x")
        finally:
            await connection.aclose()

    with pytest.raises(TransferError) as caught:
        await look()
    assert (caught.value.failure.kind, "secret" in str(caught.value)) == (kind, False)


async def test_tls_where_there_is_none() -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply("400 Bad Request"))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        http = Http(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}", None)
        with pytest.raises(TransferError) as caught:
            await http.ask("GET", "/")
        await http.aclose()
    assert caught.value.failure.kind is K.TLS


async def test_an_unknown_dialect_is_named() -> None:
    with pytest.raises(TransferError, match="carrier-pigeon"):
        connect("carrier-pigeon", Endpoint("http://127.0.0.1", None))


@pytest.mark.parametrize("token", ["geheim\n", "gehéim", "\0geheim"])
async def test_a_token_that_cannot_be_one_is_not_repeated(token: str) -> None:
    with pytest.raises(TransferError) as caught:
        connect(UPHAUL, Endpoint("http://127.0.0.1", token))
    assert (caught.value.failure.kind, "geh" in str(caught.value)) == (K.SIGN_IN, False)


async def test_the_token_is_in_no_error_and_no_repr(server: ServerProcess) -> None:
    endpoint = Endpoint("http://127.0.0.1:9", "very-secret")
    connection = connect(UPHAUL, endpoint)
    with pytest.raises(TransferError) as caught:
        await connection.look("x")
    await connection.aclose()
    error = caught.value
    assert "very-secret" not in f"{endpoint!r} {error!r} {error.__cause__!r} {error.__context__!r}"
    assert error.__context__ is None


async def test_a_length_that_is_another_one_means_another_upload(
    sender: Sender, server: ServerProcess, tmp_path: Path
) -> None:
    other = make_parcel(tmp_path, 3 * MIB)
    await begin(server, other, MIB)
    parcel = make_parcel(tmp_path, 2 * MIB)
    parcel.remote_id = other.remote_id
    with pytest.raises(RemoteGoneError):
        await sender.send(parcel)
