"""A request whose answer nobody heard: the project is listed before anything goes again, and no picture is there twice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.failure import FailureKind, TransferError
from app.domain.state import TransferState
from app.remote.account import Account, Endpoint, ForgetfulNotes
from app.remote.base import Sent
from tests.support.cell_segmentation_hub_sender import (
    PATIENT,
    QUICK,
    Courier,
    make_pictures,
    open_hub_house,
    outgoings,
    told,
    turn,
)
from tests.support.cell_segmentation_hub_server import FakeHub
from tests.support.clock import TestClock, until
from tests.support.engine_house import House

S, K = TransferState, FailureKind
PHOTOS = {"a.png": b"one", "β.png": b"three", "細.png": b"fifteen"}
LOST = "The connection was lost: the server closed the connection. Trying again in 1 s."
BUSY = "The server is busy (504). Trying again in 1 s."
BROKEN = "The server had a problem of its own (500). Trying again in 1 s."


async def lost(courier: Courier, fake: FakeHub, files: dict[str, bytes]) -> float:
    """Send a parcel whose answer is lost after it was stored; return when it began."""
    begun_at = courier.account.now()
    fake.hangs_up_after_storing()
    with pytest.raises(TransferError):
        await courier.send(files)
    return begun_at


async def lost_on_the_way(courier: Courier, fake: FakeHub, files: dict[str, bytes]) -> float:
    """Send a parcel of which nothing arrives; return when it began."""
    begun_at = courier.account.now()
    fake.fail_next("POST", "/projects", "hangs_up")
    with pytest.raises(TransferError):
        await courier.send(files)
    return begun_at


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (FakeHub.hangs_up_after_storing, LOST),
        (FakeHub.answers_504_but_stores, BUSY),
        (FakeHub.answers_500_after_storing, BROKEN),
    ],
)
async def test_what_was_stored_is_found_and_not_sent_again(
    house: House, fake: FakeHub, tmp_path: Path, fault: Callable[[FakeHub], None], words: str
) -> None:
    """answers_504_but_stores, and its brothers"""
    fault(fake)
    batch = house.drop(make_pictures(tmp_path / "Photos", *PHOTOS), target=fake.project)
    await house.reach(batch, S.WAITING, 3)
    seen = set(told(house, batch).values())
    await fake.has(3)
    await house.clock.advance(1)
    await house.over(batch)
    assert (seen, set(house.states(batch).values())) == ({(S.WAITING, words)}, {S.COMPLETED})
    assert (len(fake.images), fake.asked("POST", "/images")) == (3, 1)


@pytest.mark.parametrize("pace", [PATIENT])
async def test_what_is_still_being_stored_is_waited_for(house: House, fake: FakeHub, tmp_path: Path) -> None:
    fake.answers_504_but_stores()
    fake.holds_storing()
    batch = house.drop(make_pictures(tmp_path / "Photos", *PHOTOS), target=fake.project)
    await house.reach(batch, S.WAITING, 3)
    looks = fake.asked("GET", "/images")
    await house.clock.advance(1)
    await until(lambda: fake.asked("GET", "/images") > looks)
    fake.holds_storing(False)
    await house.over(batch)
    assert (len(fake.images), fake.asked("POST", "/images")) == (3, 1)


async def test_what_never_arrived_is_sent_again(house: House, fake: FakeHub, tmp_path: Path) -> None:
    fake.fail_next("POST", "/projects", "nginx_503")
    batch = house.drop(make_pictures(tmp_path / "Photos", *PHOTOS), target=fake.project)
    await house.reach(batch, S.WAITING, 3)
    await house.clock.advance(1)
    await house.over(batch)
    assert (len(fake.images), set(house.states(batch).values())) == (3, {S.COMPLETED})


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
async def test_clocks_that_differ_hide_nothing(
    courier: Courier, fake: FakeHub, clock: TestClock, seconds: float
) -> None:
    fake.clock_is_off(seconds)
    fake.has_image("a.png", PHOTOS["a.png"], age_s=60)
    begun_at = await lost(courier, fake, PHOTOS)
    turn(clock, 100)
    sent = await courier.send(PHOTOS, begun_at)
    mine = [f"{fake.project}/image/{image.id}" for image in fake.images[1:]]
    assert [each.remote_id for each in sent if isinstance(each, Sent)] == mine


async def test_an_older_picture_of_that_name_and_size_is_not_mistaken_for_it(
    courier: Courier, fake: FakeHub, clock: TestClock
) -> None:
    fake.has_image("a.png", PHOTOS["a.png"], age_s=60)
    begun_at = await lost_on_the_way(courier, fake, PHOTOS)
    turn(clock, 3)
    await courier.send(PHOTOS, begun_at)
    assert sorted(image.name for image in fake.images) == sorted(["a.png", *PHOTOS])


async def test_the_twin_that_arrived_is_not_taken_for_the_one_that_did_not(
    courier: Courier, fake: FakeHub, clock: TestClock
) -> None:
    """Two folders have a picture of one name and size; one was stored while the other was on its way."""
    begun_at = await lost_on_the_way(courier, fake, {"2/a.png": b"two"})
    await courier.send({"1/a.png": b"one"})
    turn(clock, 3)
    await courier.send({"2/a.png": b"two"}, begun_at)
    assert [image.content for image in fake.images] == [b"one", b"two"]


async def test_twins_are_told_apart_after_a_restart_of_the_program(fake: FakeHub, clock: TestClock) -> None:
    notes = ForgetfulNotes()
    endpoint = Endpoint(fake.url, user=fake.user, password=fake.password)
    account = Account(endpoint, notes, clock.now, read_timeout_s=20)
    before = Courier(account, fake.project, QUICK)
    begun_at = await lost_on_the_way(before, fake, {"2/a.png": b"two"})
    # That request ended before its last byte, as far as one knows; the next one does not.
    await lost(before, fake, {"1/a.png": b"one"})
    await before.send({"1/a.png": b"one"}, begun_at)
    await before.aclose()
    turn(clock, 3600)
    after = Courier(account, fake.project, QUICK)
    await after.send({"2/a.png": b"two"}, begun_at)
    await after.aclose()
    assert [image.content for image in fake.images] == [b"one", b"two"]


async def test_twins_that_were_lost_together_are_both_found(courier: Courier, fake: FakeHub) -> None:
    twins = {"1/a.png": b"one", "2/a.png": b"two"}
    begun_at = await lost(courier, fake, twins)
    sent = await courier.send(twins, begun_at)
    assert (len({each.remote_id for each in sent if isinstance(each, Sent)}), len(fake.images)) == (2, 2)


async def test_it_is_found_behind_hundreds_of_newer_pictures(
    courier: Courier, fake: FakeHub, clock: TestClock
) -> None:
    begun_at = await lost(courier, fake, PHOTOS)
    turn(clock, 60)
    for number in range(250):
        fake.has_image(f"other {number}.png", b"x")
    await courier.send(PHOTOS, begun_at)
    assert (len(fake.images), fake.asked("POST", "/images")) == (253, 1)


async def test_it_is_found_after_a_restart_of_the_program_while_the_server_stores_it(
    fake: FakeHub, clock: TestClock, tmp_path: Path
) -> None:
    fake.stores_after_abort()
    fake.holds_storing()
    photos = make_pictures(tmp_path / "Photos", *PHOTOS)
    async with open_hub_house(tmp_path / "home", fake.url, fake.user, fake.password, clock) as house:
        batch = house.drop(photos, target=fake.project)
        await fake.arrived()
    fake.no_fault()
    turn(clock, 5)
    async with open_hub_house(
        tmp_path / "home", fake.url, fake.user, fake.password, clock, pace=PATIENT
    ) as house:
        batch = house.batch
        await until(lambda: fake.asked("GET", "/images") > 1)
        fake.holds_storing(False)
        await house.over(batch)
        assert set(house.states(batch).values()) == {S.COMPLETED}
    assert (len(fake.images), fake.asked("POST", "/images")) == (3, 1)


async def test_a_picture_in_doubt_for_long_is_left_alone_and_told(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    """A video: its frames are taken out in the request, which may take many minutes."""
    fake.answers_504_but_stores()
    fake.holds_storing()
    batch = house.drop(make_pictures(tmp_path / "Photos", "a.mp4"), target=fake.project)
    await house.reach(batch, S.WAITING)
    await house.clock.advance(1)
    await until(lambda: "may still be storing" in told(house, batch)["a.mp4"][1])
    words = told(house, batch)["a.mp4"]
    fake.holds_storing(False)
    await fake.has(3)
    await house.clock.advance(600)
    await house.over(batch)
    assert words == (
        S.WAITING,
        "The server and Uphaul did not agree on how the file stands: the server may still be storing what was "
        "sent before. Trying again in 9 min 59 s.",
    )
    assert (house.states(batch), fake.asked("POST", "/videos")) == ({"a.mp4": S.COMPLETED}, 1)


async def test_find_knows_nothing_of_files_that_never_began(courier: Courier, fake: FakeHub) -> None:
    fake.has_image("a.png", PHOTOS["a.png"])
    assert await courier.server.find(outgoings(PHOTOS, fake.project)) == {}


async def test_a_project_that_is_deleted_meanwhile_holds_nothing_of_ours(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    fake.answers_504_but_stores()
    batch = house.drop(make_pictures(tmp_path / "Photos", *PHOTOS), target=fake.project)
    await house.reach(batch, S.WAITING, 3)
    await fake.has(3)
    fake.deletes_the_project()
    await house.clock.advance(3)
    await house.over(batch)
    assert set(told(house, batch).values()) == {
        (
            S.FAILED,
            "The server did not accept the file (403): the project is gone, or it is not yours. "
            "Change what it names, then retry.",
        )
    }
