"""A cancel that answers 500, or 204 and does nothing: the batch is read back, and what it says is told in plain words."""

import pytest

from app.domain.failure import FailureKind, TransferError
from app.remote.base import CancelAnswer, RemoteState
from tests.support.vuemantics_sender import Clock, Courier, ids, open_courier
from tests.support.vuemantics_server import FakeVuemantics

K = FailureKind
PHOTOS = {f"{number}.jpg": b"x" * (number + 1) for number in range(3)}


async def held(courier: Courier, fake: FakeVuemantics) -> list[str]:
    """Send the photos to a worker that stands still."""
    fake.worker.hold()
    remote_ids = ids(await courier.send(PHOTOS))
    await fake.begun()
    return remote_ids


async def cancel(courier: Courier, remote_ids: list[str]) -> tuple[CancelAnswer, list[RemoteState]]:
    """Cancel the batch of these files, and read them back."""
    (batch_id,) = courier.server.batches_of(remote_ids)
    answer = await courier.server.cancel_batch(batch_id)
    return answer, [file.state for file in await courier.server.look_many(remote_ids)]


async def test_the_cancel_of_the_original_answers_500_and_does_nothing(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.cancel_answers_500()
    answer, states = await cancel(courier, await held(courier, fake))
    assert answer == CancelAnswer(500, "its cancel is broken")
    assert states == [RemoteState.PROCESSING] * 3


async def test_a_cancel_that_says_yes_and_goes_on_is_told_as_such(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.cancel_answers_204_but_goes_on()
    remote_ids = await held(courier, fake)
    answer, states = await cancel(courier, remote_ids)
    fake.worker.go()
    end = await courier.over(remote_ids)
    assert answer == CancelAnswer(204, "it said yes and did nothing")
    assert (states, [file.state for file in end]) == (
        [RemoteState.PROCESSING] * 3,
        [RemoteState.STORED] * 3,
    )


async def test_a_cancel_that_works_is_believed_because_the_batch_says_so(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.cancel_works()
    answer, states = await cancel(courier, await held(courier, fake))
    assert answer == CancelAnswer(
        204, "the batch is cancelled; files that had arrived stay there until they are deleted"
    )
    assert states == [RemoteState.CANCELLED] * 3


@pytest.mark.parametrize(
    "status, said",
    [
        (404, "it has no such cancel"),
        (409, "Batch is already completed"),
        (422, "Batch is already completed"),
    ],
)
async def test_other_answers_are_answers_too(
    courier: Courier, fake: FakeVuemantics, status: int, said: str
) -> None:
    fake.cancel_answers(status)
    answer, states = await cancel(courier, await held(courier, fake))
    assert (answer, states) == (CancelAnswer(status, said), [RemoteState.PROCESSING] * 3)


async def test_a_cancel_after_the_end_says_so(courier: Courier, fake: FakeVuemantics) -> None:
    remote_ids = ids(await courier.send(PHOTOS))
    await courier.over(remote_ids)
    answer, states = await cancel(courier, remote_ids)
    assert answer == CancelAnswer(500, "the batch was over already")
    assert states == [RemoteState.STORED] * 3


async def test_two_cancels_in_a_row_meet_no_dead_connection(courier: Courier, fake: FakeVuemantics) -> None:
    # After a 500 the original hangs up without saying so; what follows at once must not fail for that.
    (batch_id,) = courier.server.batches_of(await held(courier, fake))
    answers = [await courier.server.cancel_batch(batch_id) for _ in range(5)]
    assert [answer.http_status for answer in answers] == [500] * 5


async def test_the_cancel_of_an_unknown_batch(courier: Courier) -> None:
    answer = await courier.server.cancel_batch("2c6f1a39-4f0e-4a0e-9a63-8d0f7c9d2c11")
    assert answer == CancelAnswer(500, "it does not know this batch")


@pytest.mark.parametrize(
    "fault, kind", [("nginx_502", K.BUSY), ("nginx_420", K.BUSY), ("hangs_up", K.CONNECTION_LOST)]
)
async def test_what_is_no_answer_of_the_server_is_tried_again_later(
    courier: Courier, fake: FakeVuemantics, fault: str, kind: FailureKind
) -> None:
    remote_ids = await held(courier, fake)
    fake.fail_next("POST", "/v1/uploads/batches/", fault)
    with pytest.raises(TransferError) as caught:
        await cancel(courier, remote_ids)
    assert caught.value.failure.kind is kind


async def test_a_file_is_cancelled_alone_only_where_it_is_its_batch(
    courier: Courier, fake: FakeVuemantics
) -> None:
    fake.cancel_works()
    fake.worker.hold()
    single, several = ids(await courier.send({"a.jpg": b"a"})), ids(await courier.send(PHOTOS))
    answers = [await courier.server.cancel_file(remote_id) for remote_id in (single[0], several[0])]
    seen = await courier.server.look_many([single[0], several[0]])
    assert [answer.http_status for answer in answers] == [204, 405]
    assert answers[1].message == "this server cancels whole batches alone; this one has 3 files"
    assert [file.state for file in seen] == [RemoteState.CANCELLED, RemoteState.PROCESSING]


async def test_deleting_what_waits_is_the_act_that_stops_it(courier: Courier, fake: FakeVuemantics) -> None:
    remote_ids = await held(courier, fake)
    await courier.server.delete_files(remote_ids[1:])
    fake.worker.go()
    end = await courier.over(remote_ids)
    assert (list(fake.stored()), [file.state for file in end]) == (
        ["0.jpg"],
        [RemoteState.STORED, RemoteState.UNKNOWN, RemoteState.UNKNOWN],
    )


async def test_deleting_goes_by_the_hundred_and_twice_is_no_error(
    courier: Courier, fake: FakeVuemantics
) -> None:
    remote_ids = ids(await courier.send({f"{number}.jpg": b"x" for number in range(150)}))
    await courier.server.delete_files(remote_ids)
    await courier.server.delete_files(remote_ids[:1])
    assert (fake.requests.count("POST /v1/uploads/bulk/delete"), fake.stored()) == (3, {})


# The server's own list


async def test_the_list_has_the_batches_of_other_programs_too(
    courier: Courier, fake: FakeVuemantics, clock: Clock
) -> None:
    async with open_courier(fake.url, fake.user, fake.password, now=clock) as other:
        await other.over(ids(await other.send(PHOTOS)))
    fake.worker.hold()
    (mine,) = courier.server.batches_of(ids(await courier.send({"1.jpg": b"x"})))
    rows = await courier.server.list_batches()
    assert [(row.state, row.total_files, row.done_files, row.share, row.created) for row in rows] == [
        (RemoteState.PROCESSING, 1, 0, 0.0, "2027-01-15T08:00:00"),
        (RemoteState.STORED, 3, 3, 1.0, "2027-01-15T08:00:00"),
    ]
    assert (rows[0].remote_id, rows[0].name) == (mine, f"Batch {mine[:8]}")


async def test_the_list_is_read_page_by_page(courier: Courier, fake: FakeVuemantics) -> None:
    fake.has_batches(230)
    rows = await courier.server.list_batches()
    assert (
        len(rows),
        len({row.remote_id for row in rows}),
        fake.requests.count("GET /v1/uploads/batches"),
    ) == (
        *(230, 230),
        3,
    )


async def test_a_list_asked_for_too_often_is_busy(courier: Courier, fake: FakeVuemantics) -> None:
    for _ in range(30):
        await courier.server.list_batches()
    with pytest.raises(TransferError) as caught:
        await courier.server.list_batches()
    failure = caught.value.failure
    assert (failure.kind, failure.detail, failure.http_status, failure.retry_after_s) == (
        K.BUSY,
        "the server takes 30 requests a minute",
        429,
        15.0,
    )
