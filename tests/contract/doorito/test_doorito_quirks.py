"""The adapter before a Doorito that is built as its PEPs say: what they leave open, and what may go wrong, one by one."""

import asyncio
from pathlib import Path

import pytest

from app.accounts.notes import FileNotes
from app.domain.failure import CancelledElsewhereError, FailureKind, RemoteGoneError, TransferError
from app.remote.base import Abilities, CancelAnswer, RemoteBatch, RemoteFile, RemoteState, Sent
from app.remote.dooritofields import file_of, row_of, session_of
from tests.support.clock import until
from tests.support.doorito_sender import Courier, open_courier
from tests.support.doorito_server import FakeDoorito
from tests.support.sender import MIB, Parcel, make_parcel

K, R = FailureKind, RemoteState


async def failure(courier: Courier, parcel: Parcel) -> tuple[FailureKind, int | None]:
    with pytest.raises(TransferError) as caught:
        await courier.send(parcel)
    return caught.value.failure.kind, caught.value.failure.http_status


async def begun(fake: FakeDoorito, courier: Courier, parcel: Parcel, parts: int) -> None:
    """Leave a session behind that has its first *parts*, as an attempt does that was cut."""
    gates = [fake.holds_part(number) for number in range(parts + 1, parts + 6)]
    attempt = asyncio.create_task(courier.send(parcel))
    await until(lambda: len(fake.parts_put) >= parts)
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    for gate in gates:
        gate.set()
    await until(lambda: fake.parts_under_way == 0)
    fake.session.parts = {n: part for n, part in fake.session.parts.items() if n <= parts}
    fake.lets_all_parts_through()
    fake.parts_put.clear()
    fake.part_bytes = 0


# Sign in, and what there is


async def test_a_server_without_cancels_says_so_when_it_is_greeted(courier: Courier) -> None:
    """has_no_cancel"""
    assert await courier.server.greet() == Abilities(resume=True, checksum=True, lists_batches=True)


async def test_a_greeting_leaves_nothing_there(fake: FakeDoorito, courier: Courier) -> None:
    await courier.server.greet()
    assert (fake.sessions, fake.batches) == ({}, {})


async def test_a_wrong_token_is_a_sign_in(fake: FakeDoorito, courier: Courier, tmp_path: Path) -> None:
    fake.revokes_token()
    with pytest.raises(TransferError) as caught:
        await courier.server.greet()
    assert caught.value.failure.kind is K.SIGN_IN
    assert await failure(courier, make_parcel(tmp_path, 10)) == (K.SIGN_IN, 401)


async def test_a_server_without_sessions_is_none_of_these(courier: Courier, fake: FakeDoorito) -> None:
    for _ in range(2):
        fake.fail_next("POST", "/uploads/sessions", "page_not_found")
    with pytest.raises(TransferError) as caught:
        await courier.server.greet()
    assert caught.value.failure.kind is K.NOT_A_SERVER


# Bytes


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 25_003])
async def test_a_file_arrives_whole(fake: FakeDoorito, courier: Courier, tmp_path: Path, size: int) -> None:
    parcel = make_parcel(tmp_path, size)
    sent = await courier.send(parcel)
    assert (sent, parcel.told[-1]) == (Sent(fake.session.id, "", parcel.sha256), (size, size))
    assert (fake.stored(), fake.part_bytes) == ({"a.bin": parcel.sha256}, size)


@pytest.mark.parametrize("statuses", [(200,), (201,), (204,), (200, 201, 204)])
async def test_a_part_that_arrived_is_answered_by_any_code(
    fake: FakeDoorito, courier: Courier, tmp_path: Path, statuses: tuple[int, ...]
) -> None:
    fake.answers_parts_with(*statuses)
    parcel = make_parcel(tmp_path, 5500)
    await courier.send(parcel)
    assert fake.stored() == {"a.bin": parcel.sha256}


async def test_three_parts_are_under_way_and_end_in_any_order(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    gates = [fake.holds_part(number) for number in (1, 2, 3)]
    parcel = make_parcel(tmp_path, 6000)
    attempt = asyncio.create_task(courier.send(parcel))
    await until(lambda: fake.parts_under_way == 3 and fake.part_bytes == 3000)
    gates[2].set()
    gates[1].set()
    await until(lambda: len(fake.parts_put) == 5)
    gates[0].set()
    await attempt
    assert (set(fake.parts_put[:2]) <= {2, 3, 4}, fake.parts_put[-1], fake.most_at_once) == (True, 1, 3)
    assert fake.stored() == {"a.bin": parcel.sha256}


async def test_a_file_never_holds_more_than_sixteen_mebibytes(tmp_path: Path) -> None:
    """Of parts of 7 MiB two are under way at once."""
    async with FakeDoorito(7 * MIB) as fake, open_courier(fake.url, fake.token) as courier:
        gates = [fake.holds_part(number) for number in (1, 2)]
        attempt = asyncio.create_task(courier.send(make_parcel(tmp_path, 30 * MIB)))
        await until(lambda: fake.part_bytes == 14 * MIB)
        for gate in gates:
            gate.set()
        await attempt
    assert (fake.most_at_once, fake.part_bytes) == (2, 30 * MIB)


async def test_a_large_chunk_streams(tmp_path: Path) -> None:
    """64 MiB a part: it goes out alone, as it is read."""
    async with FakeDoorito(64 * MIB) as fake, open_courier(fake.url, fake.token) as courier:
        parcel = make_parcel(tmp_path, 70 * MIB)
        arrived_when_told: list[int] = []
        parcel.act_once_sent(8 * MIB, lambda: arrived_when_told.append(fake.part_bytes))
        await courier.send(parcel)
    assert (fake.stored(), fake.most_at_once) == ({"a.bin": parcel.sha256}, 1)
    assert 0 < arrived_when_told[0] < 64 * MIB


async def test_names_go_as_they_are(fake: FakeDoorito, courier: Courier, tmp_path: Path) -> None:
    names = ["Łódź & 日本 😀.txt", 'a"b<c>.txt', "plain.txt"]
    for name in names:
        await courier.send(make_parcel(tmp_path, 5, f"folder/{name}"))
    assert list(fake.stored()) == names


async def test_too_large_is_told_before_a_byte(fake: FakeDoorito, courier: Courier, tmp_path: Path) -> None:
    fake.takes_at_most(1000)
    assert await failure(courier, make_parcel(tmp_path, 1001)) == (K.TOO_LARGE, 413)
    assert fake.part_bytes == 0


# Resume


@pytest.mark.parametrize("how", ["list", "texts", "mixed", "pairs", "comma", "brackets"])
async def test_only_what_is_missing_goes_over_the_wire(
    fake: FakeDoorito, courier: Courier, tmp_path: Path, how: str
) -> None:
    """formats_ranges: parts 1 to 4, 6 and 10 are there; the status names no length of a part."""
    fake.formats_ranges(how)
    parcel = make_parcel(tmp_path, 11_500)
    await begun(fake, courier, parcel, 4)
    content = parcel.path.read_bytes()
    fake.session.parts = {n: content[(n - 1) * 1000 : n * 1000] for n in (1, 2, 3, 4, 6, 10)}
    await courier.send(parcel)
    assert (sorted(fake.parts_put), fake.part_bytes) == ([5, 7, 8, 9, 11, 12], 5500)
    assert (fake.stored(), len(fake.sessions)) == ({"a.bin": parcel.sha256}, 1)


async def test_a_status_that_tells_no_part_costs_bytes_and_nothing_else(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    """forgets_in_status: a part sent again is a success without effect."""
    fake.forgets_in_status()
    parcel = make_parcel(tmp_path, 3000)
    await begun(fake, courier, parcel, 2)
    await courier.send(parcel)
    assert (fake.part_bytes, fake.stored()) == (3000, {"a.bin": parcel.sha256})


async def test_everything_is_there_but_the_end(fake: FakeDoorito, courier: Courier, tmp_path: Path) -> None:
    parcel = make_parcel(tmp_path, 3000)
    fake.fail_next("POST", "/uploads/sessions/", "server_error")
    assert await failure(courier, parcel) == (K.SERVER_ERROR, 500)
    fake.part_bytes = 0
    await courier.send(parcel)
    assert (fake.part_bytes, fake.stored()) == (0, {"a.bin": parcel.sha256})


async def test_a_lost_answer_to_the_creation_makes_no_second_session(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    """loses_the_answer: the same key again is the same session."""
    fake.fail_next("POST", "/uploads/sessions", "loses_the_answer")
    parcel = make_parcel(tmp_path, 3000)
    assert await failure(courier, parcel) == (K.CONNECTION_LOST, None)
    lost = parcel.remote_id
    await courier.send(parcel)
    assert (lost, len(fake.sessions), fake.stored()) == (None, 1, {"a.bin": parcel.sha256})


async def test_a_lost_answer_to_a_part_is_asked_after(
    fake: FakeDoorito, courier: Courier, tmp_path: Path
) -> None:
    fake.fail_next("PUT", "/uploads/sessions", "loses_the_answer")
    parcel = make_parcel(tmp_path, 1000)
    assert await failure(courier, parcel) == (K.CONNECTION_LOST, None)
    fake.part_bytes = 0
    await courier.send(parcel)
    assert (fake.part_bytes, fake.stored()) == (0, {"a.bin": parcel.sha256})


@pytest.mark.parametrize("fault", ["hangs_up", "bad_gateway", "rate_limited", "maintenance", "server_error"])
async def test_a_part_that_fails_is_sent_by_the_next_try(
    fake: FakeDoorito, courier: Courier, tmp_path: Path, fault: str
) -> None:
    parcel = make_parcel(tmp_path, 5000)
    fake.fail_next("PUT", "/uploads/sessions", fault)
    kind, _ = await failure(courier, parcel)
    await courier.send(parcel)
    assert kind in (K.CONNECTION_LOST, K.BUSY, K.SERVER_ERROR)
    assert (len(fake.sessions), fake.stored()) == (1, {"a.bin": parcel.sha256})


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
