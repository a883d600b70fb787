"""The one WebSocket of an account: how it closes, goes deaf, comes back, and what is lost meanwhile."""

import asyncio

import pytest

from app.remote.base import RemoteState
from app.remote.push import Told
from app.remote.vuemantics_reading import Pace
from tests.support.vuemantics_sender import Clock, Courier, ids, open_courier
from tests.support.vuemantics_server import FakeVuemantics

PHOTOS = {"1.jpg": b"one", "2.jpg": b"two"}
NEVER_POLLS = Pace(poll_s=1000.0, silence_s=0.2, delays_s=(0.02,))
"""What is learnt with it was said by the socket, or read because a socket was opened anew."""


async def following(courier: Courier, fake: FakeVuemantics) -> list[str]:
    """Send the photos to a worker that stands still, and follow them by a socket."""
    fake.worker.hold()
    remote_ids = ids(await courier.send(PHOTOS))
    await courier.server.look_many(remote_ids)
    await fake.connected()
    return remote_ids


async def test_many_connections_share_one_socket(courier: Courier, fake: FakeVuemantics) -> None:
    remote_ids = await following(courier, fake)
    other = courier.line.connect()
    await asyncio.gather(other.news(0.05), courier.server.news(0.05))
    await other.look_many(remote_ids)
    await other.aclose()
    assert fake.sockets_opened == 1


async def test_files_are_subscribed_to_once_and_nothing_else_is_said(
    courier: Courier, fake: FakeVuemantics
) -> None:
    remote_ids = await following(courier, fake)
    await courier.server.look_many(remote_ids)
    await fake.heard(2)
    assert fake.said == [
        {"action": "subscribe_upload", "upload_id": remote_id.rpartition("/")[2]} for remote_id in remote_ids
    ]


@pytest.mark.parametrize("code", [1000, 1012, 4001, 4002, 4003, 4004])
async def test_a_closed_socket_is_opened_again_and_the_batch_is_read(
    fake: FakeVuemantics, clock: Clock, code: int
) -> None:
    async with open_courier(fake.url, fake.user, fake.password, now=clock, pace=NEVER_POLLS) as courier:
        remote_ids = await following(courier, fake)
        fake.keeps_sockets_out()
        await fake.closes_sockets(code)
        fake.worker.go()
        await fake.done(2)  # all its messages were for nobody
        fake.keeps_sockets_out(False)
        states = {file.state for file in await courier.over(remote_ids)}
    assert states == {RemoteState.STORED}


async def test_a_deaf_socket_is_left(fake: FakeVuemantics, clock: Clock) -> None:
    async with open_courier(fake.url, fake.user, fake.password, now=clock, pace=NEVER_POLLS) as courier:
        remote_ids = await following(courier, fake)
        fake.socket_goes_deaf()
        fake.worker.go()
        states = {file.state for file in await courier.over(remote_ids)}
    assert states == {RemoteState.STORED}
    assert fake.sockets_opened >= 2


async def test_a_token_that_expired_is_renewed_for_the_next_socket(
    courier: Courier, fake: FakeVuemantics
) -> None:
    remote_ids = await following(courier, fake)
    before = fake.requests.count("POST /v1/auth/token/refresh")
    fake.token_expires()
    await fake.closes_sockets(1012)
    await fake.connected(3)  # one that was refused with 4003 lies between
    fake.worker.go()
    await courier.over(remote_ids)
    assert (before, fake.requests.count("POST /v1/auth/token/refresh")) == (0, 1)


async def test_a_restarted_server_is_followed_on(courier: Courier, fake: FakeVuemantics) -> None:
    remote_ids = await following(courier, fake)
    await fake.restart()
    fake.worker.go()
    assert {file.state for file in await courier.over(remote_ids)} == {RemoteState.STORED}


async def test_the_socket_closes_with_the_line(fake: FakeVuemantics, clock: Clock) -> None:
    async with open_courier(fake.url, fake.user, fake.password, now=clock) as courier:
        await following(courier, fake)
    await fake.alone()
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "push"] == []


def test_words_on_files_of_a_batch_that_is_not_known_yet_are_kept() -> None:
    told = Told()
    payload = {"batch_id": "b", "upload_id": "u", "progress_percentage": 40, "status": "processing"}
    assert (told.take({"action": "file_progress", "payload": payload}), told.of("u").share) == ("b", 0.4)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"action": "ping"},
        {"action": "of_a_later_version", "payload": {"batch_id": "b"}},
        {"action": "file_progress"},
        {"action": "file_progress", "payload": []},
        {"action": "upload_progress", "payload": None},
    ],
)
def test_words_that_mean_nothing_are_no_news(message: dict[str, object]) -> None:
    assert Told().take(message) is None


@pytest.mark.parametrize(
    "percent, share", [(150.0, 1.0), (-3, 0.0), ("40", None), (None, None), (True, None)]
)
def test_shares_stay_between_nothing_and_all(percent: object, share: float | None) -> None:
    told = Told()
    told.take({"action": "file_progress", "payload": {"upload_id": "u", "progress_percentage": percent}})
    assert told.of("u").share == share
