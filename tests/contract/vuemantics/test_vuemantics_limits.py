"""Five bulk POSTs an hour, kept by our own clock; what nginx and the application say in its place."""

import asyncio

import pytest

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.account import ForgetfulNotes
from app.remote.base import ParcelItem, RemoteState
from tests.support.vuemantics_sender import Clock, Courier, MemoryFeed, ids, open_courier, outgoings
from tests.support.vuemantics_server import FakeVuemantics

K = FailureKind
HOUR_S = 3600.0


async def failure_of(courier: Courier, name: str = "new.jpg") -> Failure:
    with pytest.raises(TransferError) as caught:
        await courier.send({name: b"new"})
    return caught.value.failure


async def send_five(courier: Courier, clock: Clock, every_s: float = 60.0) -> None:
    for number in range(5):
        await courier.send({f"{number}.jpg": b"x"})
        clock.now += every_s


async def test_the_sixth_post_of_an_hour_waits_before_a_byte_is_sent(
    courier: Courier, fake: FakeVuemantics, clock: Clock
) -> None:
    await send_five(courier, clock)
    asked = len(fake.requests)
    failure = await failure_of(courier)
    assert (failure, fake.requests[asked:]) == (
        Failure(K.BUSY, "the server takes 5 uploads an hour", retry_after_s=HOUR_S - 300 + 1),
        [],
    )
    clock.now += failure.retry_after_s or 0.0
    assert len(await courier.send({"new.jpg": b"new"})) == 1


async def test_the_hour_is_kept_across_restarts(fake: FakeVuemantics, clock: Clock) -> None:
    notes = ForgetfulNotes()  # stands for the file: what is written down outlives the line
    async with open_courier(fake.url, fake.user, fake.password, now=clock, notes=notes) as courier:
        await send_five(courier, clock)
    async with open_courier(fake.url, fake.user, fake.password, now=clock, notes=notes) as courier:
        failure = await failure_of(courier)
    assert (failure.kind, failure.http_status, fake.requests.count("POST /v1/uploads/bulk")) == (
        K.BUSY,
        None,
        5,
    )


async def test_a_clock_that_was_set_back_waits_an_hour_at_most(courier: Courier, clock: Clock) -> None:
    await send_five(courier, clock)
    clock.now -= 30 * 24 * HOUR_S
    failure = await failure_of(courier)
    assert failure.retry_after_s == HOUR_S + 1


async def test_somebody_elses_posts_of_the_same_account_are_learnt_from_the_text(
    courier: Courier, fake: FakeVuemantics, clock: Clock
) -> None:
    fake.used_up()
    refused = await failure_of(courier)
    asked = len(fake.requests)
    again = await failure_of(courier)
    assert (refused, again.retry_after_s, fake.requests[asked:]) == (
        Failure(K.BUSY, "the server takes 5 uploads an hour", 429, HOUR_S / 6 + 1),
        HOUR_S / 6 + 1,
        [],
    )
    clock.now += HOUR_S
    assert len(await courier.send({"new.jpg": b"new"})) == 1


async def test_with_posts_of_our_own_in_the_window_its_end_is_known(
    courier: Courier, fake: FakeVuemantics, clock: Clock
) -> None:
    await courier.send({"1.jpg": b"x"})
    clock.now += 600
    fake.used_up()
    assert (await failure_of(courier)).retry_after_s == HOUR_S - 600 + 1


@pytest.mark.parametrize("fault", ["nginx_420", "nginx_429"])
async def test_a_page_of_nginx_about_its_own_limit_is_a_short_wait(
    courier: Courier, fake: FakeVuemantics, fault: str
) -> None:
    fake.fail_next("POST", "/v1/uploads/bulk", fault)
    failure = await failure_of(courier)
    sent = await courier.send({"new.jpg": b"new"})
    assert (failure.kind, failure.http_status, failure.retry_after_s, len(sent)) == (
        K.BUSY,
        int(fault[-3:]),
        None,
        1,
    )


@pytest.mark.parametrize(
    "fault, kind, status, detail",
    [
        ("nginx_502", K.BUSY, 502, "502 Bad Gateway"),
        ("nginx_504", K.BUSY, 504, "504 Gateway Timeout"),
        ("forbidden", K.FORBIDDEN, 403, "Not you."),
        ("internal_error", K.SERVER_ERROR, 500, "Internal Server Error"),
        ("moved", K.NOT_A_SERVER, 301, "301 Moved Permanently"),
        ("page_not_found", K.NOT_A_SERVER, 404, "404 Not Found"),
        ("hangs_up", K.CONNECTION_LOST, None, "the server closed the connection"),
    ],
)
async def test_other_answers_have_their_kind(
    courier: Courier, fake: FakeVuemantics, fault: str, kind: FailureKind, status: int | None, detail: str
) -> None:
    fake.fail_next("POST", "/v1/uploads/bulk", fault)
    failure = await failure_of(courier)
    assert (failure.kind, failure.http_status, failure.detail) == (kind, status, detail)
    assert len(await courier.send({"new.jpg": b"new"})) == 1


async def test_a_post_that_was_broken_off_is_not_counted(courier: Courier, fake: FakeVuemantics) -> None:
    content = b"x" * 5_000_000
    feed = _StoppingFeed(content)
    (outgoing,) = outgoings({"1.jpg": content})
    task = asyncio.create_task(courier.server.send_parcel([ParcelItem(outgoing, feed)]))
    await feed.stopped.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (courier.account.notes.read()["posts"], fake.stored()) == ([], {})


async def test_a_file_that_cannot_be_read_breaks_the_post_off(courier: Courier, fake: FakeVuemantics) -> None:
    files = {"1.jpg": b"one", "2.jpg": b"two"}
    items = [ParcelItem(each, _GoneFeed(files[each.relative_path])) for each in outgoings(files)]
    with pytest.raises(TransferError) as caught:
        await courier.server.send_parcel(items)
    assert (caught.value.failure.kind, courier.account.notes.read()["posts"], fake.stored()) == (
        K.FILE_GONE,
        [],
        {},
    )


async def test_polling_too_often_shows_what_is_known(courier: Courier, fake: FakeVuemantics) -> None:
    fake.worker.hold()
    fake.keeps_sockets_out()
    remote_ids = ids(await courier.send({"1.jpg": b"x"}))
    await courier.server.look_many(remote_ids)
    fake.polled_too_often()
    await courier.server.news(0.1)
    (file,) = await courier.server.look_many(remote_ids)
    assert file.state is RemoteState.PROCESSING


class _StoppingFeed(MemoryFeed):
    """Gives its first block, then waits for ever."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.stopped = asyncio.Event()

    async def block(self) -> bytes:
        if self.told:
            self.stopped.set()
            await asyncio.Event().wait()
        return await super().block()


class _GoneFeed(MemoryFeed):
    """The second file is gone."""

    async def block(self) -> bytes:
        if self._content == b"two":
            raise TransferError(Failure(K.FILE_GONE, "No such file or directory"))
        return await super().block()
