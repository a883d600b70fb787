"""socket.io as a help: it makes us look sooner, and nothing waits for it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.domain.failure import TransferError
from app.remote.base import Sent
from app.remote.hubline import Pace
from tests.support.cell_segmentation_hub_sender import Courier, open_courier
from tests.support.cell_segmentation_hub_server import FakeHub
from tests.support.clock import TestClock, until

PHOTOS = {"a.png": b"one", "β.png": b"three"}
SLOW_TO_LOOK = Pace(settle_s=20.0, gave_up_s=20.0, look_again_s=20.0, refused_for_s=0.0, ear_delays_s=(0.02,))
"""What is found with it within a test was told by the socket."""


@pytest.fixture
async def listener(fake: FakeHub, clock: TestClock) -> AsyncIterator[Courier]:
    """An account that looks again only when it hears something."""
    async with open_courier(
        fake.url, fake.user, fake.password, fake.project, pace=SLOW_TO_LOOK, clock=clock
    ) as opened:
        yield opened


async def test_many_connections_share_one_socket(courier: Courier, fake: FakeHub) -> None:
    await courier.send(PHOTOS)
    await fake.connected()
    before, courier.server = courier.server, courier.connect()
    await before.aclose()
    await courier.send({"c.png": b"c"})
    assert (fake.sockets_opened, fake.handshakes) == (1, 1)


async def test_an_event_makes_us_look_at_once(listener: Courier, fake: FakeHub) -> None:
    begun_at = listener.account.now()
    fake.answers_504_but_stores()
    fake.holds_storing()
    with pytest.raises(TransferError):
        await listener.send(PHOTOS)
    await fake.connected()
    again = asyncio.create_task(listener.send(PHOTOS, begun_at))
    looks = fake.asked("GET", "/images")
    await until(lambda: fake.asked("GET", "/images") > looks)
    fake.holds_storing(False)
    sent = await asyncio.wait_for(again, 10)
    assert ([type(each) for each in sent], len(fake.images)) == ([Sent, Sent], 2)


async def test_without_a_socket_everything_works(courier: Courier, fake: FakeHub) -> None:
    """no_socket: WS_ALLOWED_ORIGINS is not set, each handshake is a 400"""
    fake.no_socket()
    begun_at = courier.account.now()
    fake.answers_504_but_stores()
    with pytest.raises(TransferError):
        await courier.send(PHOTOS)
    sent = await courier.send(PHOTOS, begun_at)
    await until(lambda: fake.handshakes > 0)
    assert ([type(each) for each in sent], len(fake.images), fake.sockets_opened) == ([Sent, Sent], 2, 0)


async def test_a_socket_that_falls_is_opened_anew(listener: Courier, fake: FakeHub) -> None:
    await listener.send(PHOTOS)
    await fake.connected()
    await fake.closes_sockets()
    await fake.connected(2)
    await fake.says_to_the_sockets("41")
    await fake.connected(3)
    assert fake.sockets_opened == 3


async def test_a_socket_that_is_not_let_in_tries_again_with_a_new_token(
    listener: Courier, fake: FakeHub
) -> None:
    await listener.send(PHOTOS)
    await fake.connected()
    fake.token_expires()
    await fake.closes_sockets()
    await until(lambda: fake.handshakes > 2)
    await listener.server.targets()  # a 401, and a refresh
    await fake.connected(2)


async def test_it_answers_pings_and_does_not_mind_nonsense(listener: Courier, fake: FakeHub) -> None:
    await listener.send(PHOTOS)
    await fake.connected()
    for packet in ("42", "42[", "42[1]", '42{"a":1}', "6", "x", "", '42["uploadProgress"]', "2"):
        await fake.says_to_the_sockets(packet)
    await until(lambda: "3" in fake.said)
    assert (fake.said, fake.sockets_opened) == (["3"], 1)


async def test_a_wrong_password_is_not_tried_by_the_socket(fake: FakeHub, clock: TestClock) -> None:
    async with open_courier(
        fake.url, fake.user, "wrong", fake.project, pace=SLOW_TO_LOOK, clock=clock
    ) as courier:
        with pytest.raises(TransferError):
            await courier.send(PHOTOS)
        for _ in range(10):
            await asyncio.sleep(0.02)
    assert (fake.refused_sign_ins, fake.handshakes) == (1, 0)
