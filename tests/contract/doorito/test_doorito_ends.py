"""The adapter before a Doorito that is built as its PEPs say: how sessions end, cancels, batches, and what its answers mean."""

import asyncio
from pathlib import Path

import pytest

from app.accounts.notes import FileNotes
from app.domain.failure import CancelledElsewhereError, FailureKind, RemoteGoneError, TransferError
from app.remote.base import CancelAnswer, RemoteBatch, RemoteFile, RemoteState
from app.remote.dooritofields import file_of, row_of, session_of
from tests.support.clock import until
from tests.support.doorito_sender import Courier, begun, failure, open_courier
from tests.support.doorito_server import FakeDoorito
from tests.support.sender import make_parcel

K, R = FailureKind, RemoteState


# Sessions that are over


@pytest.mark.parametrize("word", ["ABORTED", "FAILED"])
async def test_an_expired_session_is_sent_anew(
    fake: FakeDoorito, courier: Courier, tmp_path: Path, word: str
) -> None:
    """aborts_expired_session"""
    parcel = make_parcel(tmp_path, 3000)
    await begun(fake, courier, parcel, 1)
    fake.expires(word)
    with pytest.raises(RemoteGoneError):
        await courier.send(parcel)
    assert await courier.look(parcel) == RemoteFile(
        parcel.remote_id or "", R.FAILED, message="the upload has expired there"
    )


@pytest.mark.parametrize("status", [409, 400, 410])
async def test_a_session_that_expires_while_it_is_sent_is_sent_anew(
    fake: FakeDoorito, courier: Courier, tmp_path: Path, status: int
) -> None:
    """rejects_with"""
    fake.rejects_with(status)
    gate = fake.holds_part(2)
    attempt = asyncio.create_task(courier.send(make_parcel(tmp_path, 5000)))
    await until(lambda: len(fake.parts_put) >= 3)
    fake.expires()
    gate.set()
    with pytest.raises(RemoteGoneError):
        await attempt


@pytest.mark.parametrize("status", [409, 400, 410])
async def test_a_session_that_expires_before_its_end_is_sent_anew(
    fake: FakeDoorito, courier: Courier, tmp_path: Path, status: int
) -> None:
    fake.rejects_with(status)
    fake.finalize_takes_long()
    attempt = asyncio.create_task(courier.send(make_parcel(tmp_path, 500)))
    await until(lambda: fake.asked("/finalize") == 1)
    fake.expires()
    fake.may_assemble.set()
    with pytest.raises(RemoteGoneError):
        await attempt


@pytest.mark.parametrize("pages", [False, True])
async def test_a_forgotten_session_is_sent_anew(
    fake: FakeDoorito, courier: Courier, tmp_path: Path, pages: bool
) -> None:
    """A page for an id that is not there is no wrong address as long as the API answers."""
    parcel = make_parcel(tmp_path, 3000)
    await begun(fake, courier, parcel, 1)
    fake.forgets_sessions(pages=pages)
    with pytest.raises(RemoteGoneError):
        await courier.send(parcel)
    assert (await courier.look(parcel)).state is R.UNKNOWN


async def test_a_page_in_the_place_of_a_session_and_of_the_api_is_a_wrong_address(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 3000)
    await begun(fake, courier, parcel, 1)
    fake.fail_next("GET", "/uploads/sessions", "page_not_found")
    fake.fail_next("POST", "/uploads/sessions", "page_not_found")
    assert await failure(courier, parcel) == (K.NOT_A_SERVER, 404)


async def test_parts_of_another_content_are_not_mixed(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    """holds_other_bytes: 409 for a part that is there already."""
    parcel = make_parcel(tmp_path, 3000)
    await begun(fake, courier, parcel, 2)
    fake.holds_other_bytes()
    fake.forgets_in_status()
    with pytest.raises(RemoteGoneError):
        await courier.send(parcel)
    assert fake.stored() == {}


async def test_a_part_of_a_wrong_size_is_refused_for_good(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    gate = fake.holds_part(1)
    attempt = asyncio.create_task(courier.send(make_parcel(tmp_path, 500)))
    await until(lambda: fake.part_bytes == 500)
    fake.session.size_bytes = 400
    gate.set()
    with pytest.raises(TransferError) as caught:
        await attempt
    assert (caught.value.failure.kind, caught.value.failure.detail) == (K.REFUSED, "Wrong part size")


# The end


@pytest.mark.parametrize("how, word", [("empty", ""), ("status", ""), ("file", "verified")])
async def test_the_hash_is_compared_if_it_is_told(
    fake: FakeDoorito, courier: Courier, tmp_path: Path, how: str, word: str
) -> None:
    fake.finalize_answers(how)
    assert (await courier.send(make_parcel(tmp_path, 1500))).answer == word


async def test_another_hash_is_no_success(fake: FakeDoorito, courier: Courier, tmp_path: Path) -> None:
    """stores_other_hash"""
    fake.stores_other_hash()
    assert await failure(courier, make_parcel(tmp_path, 1500)) == (K.CHECKSUM_MISMATCH, None)


async def test_a_finalize_that_is_not_answered_is_asked_after(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    """finalize_times_out: the work was done; asking again says so, and stores nothing twice."""
    fake.finalize_times_out(2)
    parcel = make_parcel(tmp_path, 1500)
    await courier.send(parcel)
    assert (fake.asked("/finalize"), fake.stored()) == (3, {"a.bin": parcel.sha256})


async def test_a_finalize_whose_worker_died_is_repeated(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    fake.finalize_does_nothing()
    parcel = make_parcel(tmp_path, 1500)
    await courier.send(parcel)
    assert (fake.asked("/finalize"), fake.stored()) == (2, {"a.bin": parcel.sha256})


async def test_a_finalize_that_takes_longer_than_a_request_is_waited_for(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    fake.finalize_takes_long()
    parcel = make_parcel(tmp_path, 1500)
    attempt = asyncio.create_task(courier.send(parcel))
    await until(lambda: fake.asked("/finalize") == 2)
    seen = (await courier.look(parcel)).state
    fake.may_assemble.set()
    await attempt
    assert (seen, fake.stored()) == (R.PROCESSING, {"a.bin": parcel.sha256})


async def test_a_proxy_that_gives_up_on_finalize_is_no_failure(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 0)
    fake.fail_next("POST", "/uploads/sessions/", "nginx_504")
    await courier.send(parcel)
    assert fake.stored() == {"a.bin": parcel.sha256}


async def test_a_server_that_never_ends_is_given_up(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    fake.finalize_does_nothing(9)
    assert await failure(courier, make_parcel(tmp_path, 0)) == (K.STALLED, None)


async def test_a_part_that_got_lost_is_sent_by_the_next_try(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    """loses_part"""
    parcel = make_parcel(tmp_path, 3000)
    fake.fail_next("POST", "/uploads/sessions/", "server_error")
    await failure(courier, parcel)
    fake.formats_ranges("comma")
    fake.loses_part(2)
    fake.part_bytes = 0
    await courier.send(parcel)
    assert (fake.part_bytes, fake.stored()) == (1000, {"a.bin": parcel.sha256})


async def test_missing_parts_at_the_end_are_no_failure_for_good(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    gate = fake.holds_part(3)
    parcel = make_parcel(tmp_path, 3000)
    attempt = asyncio.create_task(courier.send(parcel))
    await until(lambda: len(fake.parts_put) == 2)
    fake.loses_part(1)
    gate.set()
    with pytest.raises(TransferError) as caught:
        await attempt
    assert (caught.value.failure.kind, caught.value.failure.detail) == (K.CONFLICT, "Missing parts: 1")
    await courier.send(parcel)
    assert fake.stored() == {"a.bin": parcel.sha256}


# Cancel, batches


async def test_a_cancel_where_there_is_none_is_told_without_words(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    parcel = make_parcel(tmp_path, 3000)
    await begun(fake, courier, parcel, 1)
    assert await courier.server.cancel_file(parcel.remote_id or "") == CancelAnswer(404, "")
    assert (courier.server.abilities.cancel_file, (await courier.look(parcel)).message) == (False, "lingers")


async def test_a_search_for_lost_ids_leaves_nothing_where_there_is_no_cancel(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    """A session can be asked for by its key only by making one."""
    assert await courier.server.find([make_parcel(tmp_path, 10).outgoing]) == {}
    assert fake.sessions == {}


@pytest.mark.parametrize(
    "cancelled_at, error", [(None, RemoteGoneError), ("2026-11-21T07:00:00Z", CancelledElsewhereError)]
)
async def test_aborted_is_expired_unless_it_names_the_time_of_a_cancel(
    fake: FakeDoorito,
    courier: Courier,
    tmp_path: Path,
    cancelled_at: str | None,
    error: type[Exception],
) -> None:
    parcel = make_parcel(tmp_path, 3000)
    await begun(fake, courier, parcel, 1)
    fake.expires()
    fake.session.cancelled_at = cancelled_at
    with pytest.raises(error):
        await courier.send(parcel)


async def test_a_batch_is_not_whole_because_it_says_so(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    """It calls itself COMPLETE while files of it still arrive."""
    batch = await courier.server.open_batch("Photos", "key")
    empty = await courier.server.look_batch(batch.remote_id)
    one, two = (make_parcel(tmp_path, 3000, name, batch.remote_id) for name in ("a.bin", "b.bin"))
    await begun(fake, courier, one, 1)
    await courier.send(two)
    early = await courier.server.look_batch(batch.remote_id)
    files: list[RemoteFile] = []
    await courier.server.list_files(batch.remote_id, files.append)
    await courier.send(one)
    whole = await courier.server.look_batch(batch.remote_id)
    assert [empty.state, early.state, whole.state] == [R.UNFINISHED, R.UNFINISHED, R.STORED]
    assert [(file.remote_id, file.state) for file in files] == [
        (one.remote_id, R.UNFINISHED),
        (two.remote_id, R.STORED),
    ]
    assert whole == RemoteBatch(batch.remote_id, R.STORED, stored_files=2)


async def test_batches_are_listed_by_the_ids_that_the_account_remembers(
    fake: FakeDoorito, tmp_path: Path
) -> None:
    """There is no list; what the server no longer has is forgotten, and so is everything before the last hundred."""
    notes = FileNotes(tmp_path / "notes.json")
    async with open_courier(fake.url, fake.token, notes) as courier:
        for number in range(102):
            await courier.server.open_batch(f"Batch {number}", f"key {number}")
        await courier.send(make_parcel(tmp_path, 10, batch_id="batch-102"))
    del fake.batches["batch-101"]
    async with open_courier(fake.url, fake.token, FileNotes(tmp_path / "notes.json")) as courier:
        rows = await courier.server.list_batches()
        await courier.server.list_batches()
    assert [(row.remote_id, row.name, row.state, row.total_files, row.share) for row in rows[:2]] == [
        ("batch-102", "Batch 101", R.STORED, 1, 1.0),
        ("batch-100", "Batch 99", R.UNFINISHED, 0, 0.0),
    ]
    assert (len(rows), rows[-1].remote_id, fake.asked("/batches/batch-101")) == (99, "batch-3", 1)


@pytest.mark.parametrize(
    "told, numbers",
    [
        ([1, 2, 4], {1, 2, 4}),
        (["1-3", 5, "7"], {1, 2, 3, 5, 7}),
        ([[1, 3], [5, 5]], {1, 2, 3, 5}),
        ("[1-3, 5]", {1, 2, 3, 5}),
        ("1-3,5-6", {1, 2, 3, 5, 6}),
        ("", set()),
        (None, set()),
        (["x", "-1", "3-", "²", ["a", "b"], {}, 2.5, "1-99999999999999"], set()),
        (["0-2", "9-400000000"], {1, 2, 9, 10}),
    ],
)
def test_received_parts_in_every_way_they_were_ever_written(told: object, numbers: set[int]) -> None:
    session = session_of({"session_id": "s", "total_parts": 10, "received_parts": told})
    assert session.received == numbers


def test_a_word_that_nobody_knows_is_of_a_session_that_goes_on() -> None:
    session = session_of({"session_id": "s", "total_parts": 1, "status": "ASSEMBLING", "received_parts": [1]})
    assert (session.state, file_of(session).state) == (R.UNFINISHED, R.PROCESSING)


@pytest.mark.parametrize(
    "told, state",
    [
        ({"status": "PARTIAL", "total_files": 3, "stored_count": 2, "failed_count": 1}, R.STORED),
        ({"status": "failed", "total_files": 1, "failed_count": 1}, R.FAILED),
        ({"status": "cancelled", "total_files": 1, "cancelled_count": 1}, R.CANCELLED),
        ({"status": "complete", "total_files": 2, "stored_count": 1}, R.UNFINISHED),
    ],
)
def test_a_row_of_a_batch(told: dict[str, object], state: RemoteState) -> None:
    assert row_of({"batch_id": "b", **told}, "Photos").state is state


@pytest.mark.parametrize("total", [10**11, float("inf"), float("nan"), "many", [1]])
def test_a_number_of_parts_that_no_file_has_is_no_session(total: object) -> None:
    with pytest.raises(TransferError) as caught:
        session_of({"session_id": "s", "total_parts": total, "received_parts": ["1-99999999999"]})
    assert caught.value.failure.kind is FailureKind.NOT_A_SERVER
