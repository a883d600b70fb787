"""Projects, which a person chooses and makes, and videos, which go alone and take their time."""

from pathlib import Path

import pytest

from app.domain.failure import Failure, FailureKind
from app.domain.state import TransferState
from app.remote.base import Sent, Target
from app.remote.hubline import REAL
from tests.support.cell_segmentation_hub_sender import (
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
ARRIVED = (S.COMPLETED, "Arrived.")
GONE = (
    S.FAILED,
    "The server did not accept the file (403): the project is gone, or it is not yours. "
    "Change what it names, then retry.",
)


# Projects


async def test_all_projects_are_listed_page_by_page(courier: Courier, fake: FakeHub) -> None:
    made = [await courier.server.create_target(f"Plate {number}") for number in range(120)]
    assert await courier.server.targets() == [Target(fake.project, "Buňky"), *made]


async def test_a_project_is_made_and_takes_pictures(courier: Courier, fake: FakeHub) -> None:
    made = await courier.server.create_target("  Žlutý 細胞 " + 300 * "x")
    courier.target = made.id
    await courier.send({"a.png": b"a"})
    assert [(image.project, fake.projects[image.project][:10]) for image in fake.images] == [
        (made.id, "Žlutý 細胞 x")
    ]


async def test_what_the_server_calls_wrong_about_a_project_is_an_error(courier: Courier) -> None:
    with pytest.raises(Exception, match="refused") as caught:
        await courier.server.create_target("   ")
    failure = getattr(caught.value, "failure", None)
    assert failure == Failure(K.REFUSED, "it breaks one of the server's rules", 400)


@pytest.mark.parametrize("target", ["theirs", "not-a-project", "4d2f6a39-4f0e-4a0e-9a63-8d0f7c9d2c11"])
async def test_nothing_is_sent_into_a_project_that_is_not_ours(
    house: House, fake: FakeHub, tmp_path: Path, target: str
) -> None:
    batch = house.drop(
        make_pictures(tmp_path / "Photos", "a.png", "b.png"), target=getattr(fake, target, target)
    )
    await house.over(batch)
    assert (set(told(house, batch).values()), fake.received) == ({GONE}, [])


async def test_a_project_that_is_deleted_while_its_pictures_are_on_the_way(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    """The 403 comes after the whole body."""
    fake.holds_reading()
    photos = make_pictures(tmp_path / "Photos", "a.png", "b.png")
    batch = house.drop(photos, target=fake.project)
    await fake.begun()
    fake.deletes_the_project()
    fake.holds_reading(False)
    await house.over(batch)
    assert (set(told(house, batch).values()), len(fake.received)) == ({GONE}, 1)


async def test_one_project_that_is_gone_stops_no_other(house: House, fake: FakeHub, tmp_path: Path) -> None:
    photos = make_pictures(tmp_path / "Photos", "a.png")
    gone = house.drop(photos, name="gone", target=fake.theirs)
    good = house.drop(photos, name="good", target=fake.project)
    await house.over(gone)
    await house.over(good)
    assert (told(house, gone)["a.png"], told(house, good)["a.png"]) == (GONE, ARRIVED)


# Videos


async def test_pictures_go_together_and_each_video_alone(house: House, fake: FakeHub, tmp_path: Path) -> None:
    names = ("a.png", "b.mp4", "c.png", "β.nd2", "e.webm")
    batch = house.drop(make_pictures(tmp_path / "Photos", *names), target=fake.project)
    await house.over(batch)
    assert set(told(house, batch).values()) == {ARRIVED}
    assert (fake.asked("POST", "/images"), fake.asked("POST", "/videos")) == (1, 3)
    assert sorted(fake.stored()) == sorted(names)


async def test_a_large_tiff_can_only_be_a_stack(courier: Courier, fake: FakeHub) -> None:
    sent = await courier.send({"small.tif": b"x", "large.tif": bytes(20 * 2**20 + 1)})
    kinds = [each.remote_id.split("/")[1] for each in sent if isinstance(each, Sent)]
    assert (kinds, fake.asked("POST", "/videos")) == (["image", "video"], 1)


def test_there_are_hours_for_a_video() -> None:
    assert (REAL.answer_s, REAL.video_answer_s) == (300, 4 * 3600)


async def test_a_video_that_cannot_be_read_fails_alone(house: House, fake: FakeHub, tmp_path: Path) -> None:
    fake.cannot_store("b.mp4")
    batch = house.drop(make_pictures(tmp_path / "Photos", "a.png", "b.mp4", "c.mp4"), target=fake.project)
    await house.over(batch)
    why = "The server could not process it. Check the file, then retry to send it again."
    assert told(house, batch) == {"a.png": ARRIVED, "b.mp4": (S.FAILED, why), "c.mp4": ARRIVED}


@pytest.mark.parametrize("fault", ["hangs_up", "nginx_503", "rate_limited", "nginx_413"])
async def test_pictures_that_are_stored_do_not_go_again_because_a_video_failed(
    house: House, fake: FakeHub, tmp_path: Path, fault: str
) -> None:
    batch = house.drop(make_pictures(tmp_path / "Photos", "a.png", "b.png", "c.mp4"), target=fake.project)
    fake.fail_next("POST", f"/projects/{fake.project}/videos", fault)
    while batch.counts.unfinished or batch.scanning:
        await until(lambda: house.clock.sleepers > 0 or not (batch.counts.unfinished or batch.scanning))
        if house.clock.sleepers:
            await house.clock.advance(600)
    await house.over(batch)
    assert set(told(house, batch).values()) == {ARRIVED}
    assert (fake.asked("POST", "/images"), len(fake.images)) == (1, 5)


async def test_that_is_so_after_a_restart_of_the_program_too(
    fake: FakeHub, clock: TestClock, tmp_path: Path
) -> None:
    photos = make_pictures(tmp_path / "Photos", "a.png", "b.png", "c.mp4")
    fake.fail_next("POST", f"/projects/{fake.project}/videos", "rate_limited")
    async with open_hub_house(tmp_path / "home", fake.url, fake.user, fake.password, clock) as house:
        batch = house.drop(photos, target=fake.project)
        await house.reach(batch, S.WAITING)
    turn(clock, 3600)
    async with open_hub_house(tmp_path / "home", fake.url, fake.user, fake.password, clock) as house:
        await house.over(house.batch)
    assert sorted(fake.stored()) == ["a.png", "b.png", "c.mp4"]
    assert (fake.asked("POST", "/images"), len(fake.images)) == (1, 5)


async def test_a_lost_video_is_found_by_its_frames(courier: Courier, fake: FakeHub) -> None:
    """Its own row is in no list."""
    files = {"β.mp4": b"a film"}
    begun_at = courier.account.now()
    fake.hangs_up_after_storing()
    with pytest.raises(Exception, match="connection_lost"):
        await courier.send(files)
    found = await courier.server.find(outgoings(files, fake.project, begun_at))
    sent = await courier.send(files, begun_at)
    video = f"{fake.project}/video/{fake.images[0].id}"
    assert [each.remote_id for each in found.values()] == [video]
    assert [each.remote_id for each in sent if isinstance(each, Sent)] == [video]
    assert fake.asked("POST", "/videos") == 1
