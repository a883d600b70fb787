"""A POST whose answer nobody heard: what arrived is found, and nothing is sent twice."""

import pytest

from app.domain.failure import FailureKind, TransferError
from app.remote.account import ForgetfulNotes
from app.remote.base import RemoteState
from app.remote.vuemantics_reading import Pace
from tests.support.vuemantics_sender import Clock, Courier, ids, open_courier, outgoings
from tests.support.vuemantics_server import FakeVuemantics

K = FailureKind
PHOTOS = {"a/x.jpg": b"one", "b/x.jpg": b"two", "c.png": b"three"}


async def lost(courier: Courier, fake: FakeVuemantics) -> None:
    fake.fail_next("POST", "/v1/uploads/bulk", "loses_the_answer")
    with pytest.raises(TransferError) as caught:
        await courier.send(PHOTOS)
    assert caught.value.failure.kind is K.CONNECTION_LOST


async def test_what_arrived_is_found_and_not_sent_again(
    courier: Courier, fake: FakeVuemantics, clock: Clock
) -> None:
    begun_at = clock.now
    await lost(courier, fake)
    clock.now += 60
    seen = await courier.over(ids(await courier.send(PHOTOS, begun_at)))
    assert [file.state for file in seen] == [RemoteState.STORED] * 3
    assert (len(fake.files), fake.requests.count("POST /v1/uploads/bulk")) == (3, 1)


async def test_each_file_is_found_as_itself(courier: Courier, fake: FakeVuemantics, clock: Clock) -> None:
    begun_at = clock.now
    await lost(courier, fake)
    found = await courier.server.find(outgoings(PHOTOS, begun_at))
    contents = {f"{file.batch_id}/{file.id}": file.content for file in fake.files}
    assert {key: contents[file.remote_id] for key, file in found.items()} == {
        f"key of {path}": content for path, content in PHOTOS.items()
    }


async def test_what_did_not_arrive_is_sent(courier: Courier, fake: FakeVuemantics, clock: Clock) -> None:
    begun_at = clock.now
    fake.fail_next("POST", "/v1/uploads/bulk", "hangs_up")
    with pytest.raises(TransferError):
        await courier.send(PHOTOS)
    assert len(ids(await courier.send(PHOTOS, begun_at))) == 3
    assert len(fake.files) == 3


async def test_it_is_found_after_a_restart_of_the_program(fake: FakeVuemantics, clock: Clock) -> None:
    notes, begun_at = ForgetfulNotes(), clock.now
    async with open_courier(fake.url, fake.user, fake.password, now=clock, notes=notes) as courier:
        await lost(courier, fake)
    clock.now += 3 * 24 * 3600
    async with open_courier(fake.url, fake.user, fake.password, now=clock, notes=notes) as courier:
        sent = await courier.send(PHOTOS, begun_at)
    assert (len(ids(sent)), len(fake.files)) == (3, 3)


async def test_it_is_found_without_notes_by_the_time_of_the_batch(
    courier: Courier, fake: FakeVuemantics, clock: Clock
) -> None:
    begun_at = clock.now
    await lost(courier, fake)
    courier.account.notes.write({})
    assert len(await courier.server.find(outgoings(PHOTOS, begun_at))) == 3


async def test_the_same_files_of_an_earlier_upload_are_not_taken_for_these(
    courier: Courier, fake: FakeVuemantics, clock: Clock
) -> None:
    async with open_courier(fake.url, fake.user, fake.password, now=clock) as other:
        await other.send(PHOTOS)  # by another program, a moment before
    begun_at = clock.now
    fake.fail_next("POST", "/v1/uploads/bulk", "hangs_up")
    with pytest.raises(TransferError):
        await courier.send(PHOTOS)
    found = await courier.server.find(outgoings(PHOTOS, begun_at))
    await courier.send(PHOTOS)  # a parcel of ours, whose answer we heard
    assert (found, await courier.server.find(outgoings(PHOTOS, begun_at))) == ({}, {})


async def test_a_500_after_the_files_were_stored_is_found_too(
    courier: Courier, fake: FakeVuemantics, clock: Clock
) -> None:
    fake.queue_is_down()
    begun_at = clock.now
    with pytest.raises(TransferError) as caught:
        await courier.send(PHOTOS)
    sent = await courier.send(PHOTOS, begun_at)
    (file, *_) = await courier.server.look_many(ids(sent))
    assert (caught.value.failure.kind, len(fake.files), file.stage) == (
        K.SERVER_ERROR,
        3,
        "waits for the server's worker",
    )


async def test_a_broken_row_hides_no_file(courier: Courier, fake: FakeVuemantics, clock: Clock) -> None:
    begun_at = clock.now
    await lost(courier, fake)
    fake.has_a_broken_row()
    assert len(await courier.server.find(outgoings(PHOTOS, begun_at))) == 3


async def test_while_the_server_still_stores_it_is_asked_again_later(
    courier: Courier, fake: FakeVuemantics, clock: Clock
) -> None:
    fake.stays_pending_for_ever()
    fake.stores_slowly(files=1)
    begun_at = clock.now
    await lost(courier, fake)
    with pytest.raises(TransferError) as caught:
        await courier.send(PHOTOS, begun_at)
    fake.stores_the_rest()
    sent = await courier.send(PHOTOS, begun_at)
    failure = caught.value.failure
    assert (failure.kind, failure.detail, failure.retry_after_s, len(ids(sent)), len(fake.files)) == (
        K.BUSY,
        "the server is still storing what was sent before",
        *(5.0, 3, 3),
    )


async def test_a_batch_that_never_fills_is_taken_as_it_is(fake: FakeVuemantics, clock: Clock) -> None:
    fake.stays_pending_for_ever()
    fake.stores_slowly(files=1)
    begun_at, pace = clock.now, Pace(poll_s=0.03, settle_s=0.0)
    async with open_courier(fake.url, fake.user, fake.password, now=clock, pace=pace) as courier:
        await lost(courier, fake)
        found = await courier.server.find(outgoings(PHOTOS, begun_at))
    assert list(found) == ["key of a/x.jpg"]


async def test_two_files_of_one_name_in_two_lost_posts_are_two(
    courier: Courier, fake: FakeVuemantics, clock: Clock
) -> None:
    begun_at, files = clock.now, {"a/x.jpg": b"one", "b/x.jpg": b"two"}
    for path, content in files.items():
        fake.fail_next("POST", "/v1/uploads/bulk", "loses_the_answer")
        with pytest.raises(TransferError):
            await courier.send({path: content})
    found = await courier.server.find(outgoings(files, begun_at))
    assert len({file.remote_id for file in found.values()}) == 2


async def test_a_hundred_and_fifty_files_are_found_page_by_page(
    courier: Courier, fake: FakeVuemantics, clock: Clock
) -> None:
    files = {f"{number}.jpg": b"x" * (number + 1) for number in range(150)}
    begun_at = clock.now
    fake.fail_next("POST", "/v1/uploads/bulk", "loses_the_answer")
    with pytest.raises(TransferError):
        await courier.send(files)
    sent = await courier.send(files, begun_at)
    contents = {f"{file.batch_id}/{file.id}": file.content for file in fake.files}
    assert [contents[each] for each in ids(sent)] == list(files.values())
