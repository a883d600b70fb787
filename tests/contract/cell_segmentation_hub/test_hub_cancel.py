"""A server without a cancel: the request is cut, the project is read back, and what a person is told is what is there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.batch import Batch
from app.domain.state import CancelEnding, TransferState
from app.engine.engine import Limits
from app.engine.verdicts import LATE_AFTER_S
from app.remote.base import ParcelLimits, RemoteState
from tests.support.cell_segmentation_hub_sender import (
    PATIENT,
    Courier,
    make_pictures,
    open_hub_house,
    told,
)
from tests.support.cell_segmentation_hub_server import FakeHub
from tests.support.clock import TestClock, until
from tests.support.engine_house import House

S, E = TransferState, CancelEnding
MIB = 2**20
NOTHING = (S.CANCELLED, "Cancelled here only: this server has no cancel. Nothing had been stored.")
NOTHING_SENT = (S.CANCELLED, "Cancelled before anything was sent.")
STAYS = (S.COMPLETED, "It had finished before the cancel took effect, and stays on the server.")
ROLLED_BACK = (S.CANCELLED, "Cancelled. It had been stored all the same, and was deleted again.")
ARRIVED = (S.COMPLETED, "Arrived.")
patient = pytest.mark.parametrize("pace", [PATIENT])
PHOTOS = ("a.png", "β.png", "c.png")


def roll_back(house: House) -> None:
    house.engine.set_limits(Limits(roll_back=True))


async def over(house: House, batch: Batch) -> None:
    """Let the cancel come to its end: late arrivals are looked for once more by the test's clock."""
    await until(lambda: house.clock.sleepers > 0 or batch.counts.unfinished == 0)
    while batch.counts.unfinished:
        if house.clock.sleepers:
            await house.clock.advance(LATE_AFTER_S)
        await until(lambda: house.clock.sleepers > 0 or batch.counts.unfinished == 0)


async def stuck(house: House, fake: FakeHub, folder: Path, *names: str) -> Batch:
    """Send pictures that get stuck on the way, more than the buffers hold."""
    fake.holds_reading()
    batch = house.drop(make_pictures(folder, *names, size_bytes=12 * MIB), target=fake.project)
    await fake.begun()
    await until(lambda: batch.done_bytes > MIB)
    return batch


async def all_sent(house: House, fake: FakeHub, folder: Path, *names: str) -> Batch:
    """Send pictures whose bytes have all arrived, and that wait for being stored."""
    batch = house.drop(make_pictures(folder, *names), target=fake.project)
    await fake.arrived()
    await house.reach(batch, S.PROCESSING, len(names))
    return batch


# Before


async def test_before_anything_was_sent_nobody_is_asked(
    fake: FakeHub, clock: TestClock, tmp_path: Path
) -> None:
    fake.holds_storing()
    names = [f"{number}.png" for number in range(8)]
    parcel = ParcelLimits(1, MIB)
    async with open_hub_house(
        tmp_path / "home", fake.url, fake.user, fake.password, clock, parcel=parcel
    ) as house:
        batch = house.drop(make_pictures(tmp_path / "Photos", *names), target=fake.project)
        await fake.arrived(6)
        asked = len(fake.requests)
        rows = house.rows(batch)
        house.engine.cancel(batch, [rows["6.png"], rows["7.png"]])
        await until(lambda: batch.counts.files[S.CANCELLED] == 2)
        assert (len(fake.requests), told(house, batch)["7.png"]) == (asked, NOTHING_SENT)
        fake.holds_storing(False)
        await house.over(batch)
    assert sorted(fake.stored()) == names[:6]


# During


async def test_during_the_bytes_nothing_is_stored_and_that_is_told(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    batch = await stuck(house, fake, tmp_path / "Photos", *PHOTOS)
    house.engine.cancel(batch)
    await over(house, batch)
    fake.holds_reading(False)
    assert (set(told(house, batch).values()), fake.images) == ({NOTHING}, [])


async def test_an_older_picture_of_that_name_and_size_is_neither_told_nor_deleted(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    roll_back(house)
    photos = make_pictures(tmp_path / "Photos", "a.png", size_bytes=12 * MIB)
    fake.has_image("a.png", (photos / "a.png").read_bytes(), age_s=7 * 24 * 3600)
    batch = await stuck(house, fake, photos, "a.png")
    house.engine.cancel(batch)
    await over(house, batch)
    assert (told(house, batch), len(fake.images)) == ({"a.png": NOTHING}, 1)


async def test_one_file_of_a_request_is_cancelled_and_the_others_go_on(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    batch = await stuck(house, fake, tmp_path / "Photos", *PHOTOS)
    house.engine.cancel(batch, [house.rows(batch)["a.png"]])
    await until(lambda: fake.asked("POST", "/images") == 2)
    fake.holds_reading(False)
    await over(house, batch)
    assert told(house, batch) == {"a.png": NOTHING, "β.png": ARRIVED, "c.png": ARRIVED}
    assert sorted(image.name for image in fake.images) == ["c.png", "β.png"]


# After the last byte


@pytest.mark.parametrize(
    ("chooses", "ending", "left"), [(lambda _house: None, STAYS, 3), (roll_back, ROLLED_BACK, 0)]
)
@patient
async def test_after_the_last_byte_the_server_stores_all_the_same(
    house: House, fake: FakeHub, tmp_path: Path, chooses: Callable[[House], None], ending: object, left: int
) -> None:
    """stores_after_abort"""
    chooses(house)
    fake.stores_after_abort()
    batch = await all_sent(house, fake, tmp_path / "Photos", *PHOTOS)
    house.engine.cancel(batch)
    await over(house, batch)
    assert (set(told(house, batch).values()), len(fake.images)) == ({ending}, left)


@patient
async def test_what_is_stored_slowly_is_waited_for_as_long_as_more_comes(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    roll_back(house)
    fake.stores_after_abort()
    fake.takes_s_a_picture(0.05)
    names = [f"{number}.png" for number in range(5)]
    batch = await all_sent(house, fake, tmp_path / "Photos", *names)
    house.engine.cancel(batch)
    await over(house, batch)
    assert (set(told(house, batch).values()), fake.images) == ({ROLLED_BACK}, [])


async def test_what_nginx_had_and_the_server_never_got_is_not_there(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    fake.nginx_keeps_what_is_aborted()
    batch = await all_sent(house, fake, tmp_path / "Photos", *PHOTOS)
    house.engine.cancel(batch)
    await over(house, batch)
    assert (set(told(house, batch).values()), fake.images) == ({NOTHING}, [])


@patient
async def test_one_file_after_the_last_byte_and_the_others_are_not_there_twice(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    roll_back(house)
    fake.stores_after_abort()
    batch = await all_sent(house, fake, tmp_path / "Photos", *PHOTOS)
    house.engine.cancel(batch, [house.rows(batch)["a.png"]])
    await over(house, batch)
    assert told(house, batch) == {"a.png": ROLLED_BACK, "β.png": ARRIVED, "c.png": ARRIVED}
    assert (sorted(image.name for image in fake.images), fake.asked("POST", "/images")) == (
        ["c.png", "β.png"],
        1,
    )


async def test_a_cancel_after_the_end_changes_nothing(house: House, fake: FakeHub, tmp_path: Path) -> None:
    batch = house.drop(make_pictures(tmp_path / "Photos", *PHOTOS), target=fake.project)
    await house.over(batch)
    house.engine.cancel(batch)
    await house.over(batch)
    assert (set(told(house, batch).values()), len(fake.images)) == ({ARRIVED}, 3)


# Twice, much, and with trouble


@patient
async def test_twice_is_once(house: House, fake: FakeHub, tmp_path: Path) -> None:
    fake.stores_after_abort()
    batch = await all_sent(house, fake, tmp_path / "Photos", *PHOTOS)
    house.engine.cancel(batch, [house.rows(batch)["a.png"]])
    house.engine.cancel(batch)
    house.engine.cancel(batch)
    await over(house, batch)
    assert (set(told(house, batch).values()), len(fake.images)) == ({STAYS}, 3)


@patient
async def test_a_batch_of_many_requests_in_every_stage(house: House, fake: FakeHub, tmp_path: Path) -> None:
    roll_back(house)
    names = [f"{number:03}.png" for number in range(900)]
    fake.holds_storing()
    batch = house.drop(make_pictures(tmp_path / "Photos", *names, size_bytes=20), target=fake.project)
    await fake.arrived(6)
    house.engine.cancel(batch)
    await until(lambda: fake.asked("GET", "/images") > 12)
    fake.holds_storing(False)
    await over(house, batch)
    words = list(told(house, batch).values())
    assert (words.count(ROLLED_BACK), words.count(NOTHING_SENT), fake.images) == (600, 300, [])
    assert fake.asked("DELETE", "/images/batch") == 6


@patient
async def test_a_server_that_is_away_is_asked_until_it_answers(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    fake.stores_after_abort()
    batch = await all_sent(house, fake, tmp_path / "Photos", *PHOTOS)
    for _ in range(6):
        fake.fail_next("GET", "/projects", "nginx_503")
    house.engine.cancel(batch)
    await until(lambda: batch.ending is E.CLEANUP_PENDING)
    pending = set(told(house, batch).values())
    for _ in range(20):
        await fake.has(3)
        if batch.ending is not E.CLEANUP_PENDING:
            break
        await house.clock.advance(60)
        await until(lambda: house.clock.sleepers > 0 or batch.ending is not E.CLEANUP_PENDING)
    assert pending == {
        (
            S.CANCELLED,
            "Cancelled here. The server has not answered yet; it is asked again until it does.",
        )
    }
    assert set(told(house, batch).values()) == {STAYS}


async def test_a_project_that_is_gone_holds_nothing(house: House, fake: FakeHub, tmp_path: Path) -> None:
    fake.nginx_keeps_what_is_aborted()
    batch = await all_sent(house, fake, tmp_path / "Photos", *PHOTOS)
    fake.deletes_the_project()
    house.engine.cancel(batch)
    await over(house, batch)
    assert set(told(house, batch).values()) == {NOTHING}


async def test_a_video_that_the_server_takes_apart_goes_on_and_is_told_so(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    fake.holds_storing()
    batch = await all_sent(house, fake, tmp_path / "Photos", "a.mp4")
    house.engine.cancel(batch)
    await over(house, batch)
    words = told(house, batch)["a.mp4"]
    fake.holds_storing(False)
    await fake.has(3)
    (row,) = house.rows(batch).values()
    async with house.engine._connections.borrow("profile") as server:
        seen = await server.look(row.remote_id or "")
    assert words == (
        S.CANCELLED,
        "The server answered 404 (this server has no cancel for uploads) and goes on with it. "
        "Delete it there if it should go.",
    )
    assert seen.state is RemoteState.STORED


async def test_what_was_stored_can_be_deleted_and_twice_is_no_error(courier: Courier, fake: FakeHub) -> None:
    sent = await courier.send({f"{number}.png": b"x" for number in range(100)})
    more = await courier.send({f"more {number}.png": b"x" for number in range(50)})
    ids = [getattr(each, "remote_id", "") for each in (*sent, *more)]
    await courier.server.delete_files(ids)
    await courier.server.delete_files(ids[:1])
    assert (fake.images, fake.asked("DELETE", "/images/batch")) == ([], 3)


async def test_there_is_no_endpoint_for_it(courier: Courier, fake: FakeHub) -> None:
    abilities = await courier.server.greet()
    upload = f"{fake.project}/upload/2c6f1a39-4f0e-4a0e-9a63-8d0f7c9d2c11"
    answer = await courier.server.cancel_batch(upload)
    assert (abilities.cancel_file, abilities.cancel_batch, abilities.delete_file) == (False, False, True)
    assert (answer.http_status, answer.message) == (404, "this server has no cancel for uploads")
    assert (await courier.server.look(upload)).state is RemoteState.UNKNOWN
