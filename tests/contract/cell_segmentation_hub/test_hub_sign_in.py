"""Cookies of 15 minutes, a refresh that works once, a session that is forgotten, and servers from before the cookies."""

import asyncio
from pathlib import Path

import pytest

from app.domain.failure import FailureKind, TransferError
from app.domain.state import TransferState
from app.remote.base import Sent
from tests.support.cell_segmentation_hub_sender import (
    Courier,
    make_pictures,
    open_hub_house,
    told,
    turn,
)
from tests.support.cell_segmentation_hub_server import FakeHub
from tests.support.clock import TestClock
from tests.support.engine_house import House

S, K = TransferState, FailureKind


async def everybody_asks(courier: Courier, connections: int = 20) -> None:
    """Ask over many connections at once."""
    servers = [courier.connect() for _ in range(connections)]
    try:
        await asyncio.gather(*(server.targets() for server in servers))
    finally:
        for server in servers:
            await server.aclose()


async def test_many_connections_sign_in_once(courier: Courier, fake: FakeHub) -> None:
    await everybody_asks(courier)
    assert (fake.sign_ins, fake.refreshes) == (1, 0)


async def test_many_connections_refresh_once_after_a_401(courier: Courier, fake: FakeHub) -> None:
    """refresh_is_single_use"""
    await everybody_asks(courier)
    fake.token_expires()
    await everybody_asks(courier)
    assert (fake.refreshes, fake.refused_refreshes, fake.sign_ins) == (1, 0, 1)


async def test_a_token_is_refreshed_before_its_end_so_that_nobody_sees_a_401(
    courier: Courier, fake: FakeHub, clock: TestClock
) -> None:
    for _ in range(4):
        await everybody_asks(courier, 5)
        turn(clock, 850)
    assert (fake.refreshes, fake.refused_refreshes, fake.sign_ins) == (3, 0, 1)


async def test_a_forgotten_session_is_a_new_sign_in(courier: Courier, fake: FakeHub) -> None:
    """forgets_the_session"""
    await everybody_asks(courier)
    fake.forgets_the_session()
    sent = await courier.send({"a.png": b"a"})
    assert (isinstance(sent[0], Sent), fake.refused_refreshes, fake.sign_ins) == (True, 1, 2)


async def test_a_refresh_whose_answer_was_lost_is_a_new_sign_in(courier: Courier, fake: FakeHub) -> None:
    await everybody_asks(courier, 1)
    fake.token_expires()
    fake.fail_next("POST", "/auth/refresh-token", "loses_the_answer")
    with pytest.raises(TransferError) as caught:
        await courier.server.targets()
    await courier.server.targets()
    assert (caught.value.failure.kind, fake.refreshes, fake.sign_ins) == (K.CONNECTION_LOST, 1, 2)


async def test_servers_before_the_cookies_get_a_bearer_token(courier: Courier, fake: FakeHub) -> None:
    """before_cookies"""
    fake.before_cookies()
    await courier.send({"a.png": b"a"})
    await fake.connected()
    fake.token_expires()
    await everybody_asks(courier)
    assert (list(fake.stored()), fake.sign_ins, fake.refreshes, fake.refused_refreshes) == (
        ["a.png"],
        1,
        1,
        0,
    )


async def test_a_wrong_password_is_tried_once_for_everybody(
    fake: FakeHub, clock: TestClock, tmp_path: Path
) -> None:
    photos = make_pictures(tmp_path / "Photos", *(f"{number}.png" for number in range(500)), size_bytes=10)
    async with open_hub_house(tmp_path / "home", fake.url, fake.user, "wrong", clock) as house:
        batch = house.drop(photos, target=fake.project)
        await house.reach(batch, S.WAITING, 500)
        words = set(told(house, batch).values())
    assert words == {(S.WAITING, "The user name or the password is wrong. Check both, then sign in again.")}
    assert (fake.refused_sign_ins, fake.received) == (1, [])


async def test_a_401_in_the_middle_of_a_body_costs_one_repetition(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    fake.refuses_the_token_in_mid_body()
    photos = make_pictures(tmp_path / "Photos", "a.png", "b.png", size_bytes=9_000_000)
    batch = house.drop(photos, target=fake.project)
    await house.reach(batch, S.WAITING, 2)
    words = set(told(house, batch).values())
    await house.clock.advance(1)
    await house.over(batch)
    assert words == {
        (
            S.WAITING,
            "The server and Uphaul did not agree on how the file stands (401): the sign-in had run out; "
            "there is a new one. Trying again in 1 s.",
        )
    }
    assert (house.states(batch), len(fake.images)) == (dict.fromkeys(("a.png", "b.png"), S.COMPLETED), 2)
    assert (fake.refreshes, fake.sign_ins) == (1, 1)


async def test_too_many_requests_are_waited_for_as_long_as_the_server_says(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    fake.fail_next("POST", "/projects", "rate_limited")
    batch = house.drop(make_pictures(tmp_path / "Photos", "a.png"), target=fake.project)
    await house.reach(batch, S.WAITING)
    words = told(house, batch)["a.png"][1]
    await house.clock.advance(7)
    await house.over(batch)
    assert (words, house.states(batch)) == (
        "The server is busy (429). Trying again in 7 s.",
        {"a.png": S.COMPLETED},
    )
