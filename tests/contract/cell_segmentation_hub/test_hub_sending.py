"""What becomes of pictures: names in every script, limits known before, one bad file among many, what was not stored."""

import hashlib
import unicodedata
from pathlib import Path

import pytest

from app.domain.failure import Failure, FailureKind, TransferError
from app.domain.state import BatchState, TransferState
from app.remote.base import ParcelItem, Sent
from tests.support.cell_segmentation_hub_sender import Courier, make_pictures, outgoings, told
from tests.support.cell_segmentation_hub_server import FakeHub
from tests.support.engine_house import House
from tests.support.vuemantics_sender import MemoryFeed

S, K = TransferState, FailureKind
ARRIVED = (S.COMPLETED, "Arrived.")
NAMES = (
    "Łódź.png",
    "αβγ.png",
    "клетка.png",
    "細胞.png",
    'it\'s 100 %; "x".png',
    "a+b&c=d.png",
    "Z\u0308elle.png",
)


def refused(why: str) -> tuple[TransferState, str]:
    return S.FAILED, f"The server did not accept the file{why}. Change what it names, then retry."


async def test_a_folder_arrives_in_one_request(house: House, fake: FakeHub, tmp_path: Path) -> None:
    photos = make_pictures(tmp_path / "Photos", "a.png", "b.jpg", "c.TIF", "d.bmp", "e.webp", "f.gif")
    batch = house.drop(photos, target=fake.project)
    await house.over(batch)
    assert set(told(house, batch).values()) == {ARRIVED}
    assert fake.stored() == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in photos.iterdir()}
    assert (fake.asked("POST", "/images"), house.view(batch).state) == (1, BatchState.COMPLETED)


async def test_names_in_every_script_arrive_whole(courier: Courier, fake: FakeHub) -> None:
    """breaks_names_without_star"""
    sent = await courier.send({name: name.encode() for name in NAMES})
    assert sorted(fake.stored()) == sorted(unicodedata.normalize("NFC", name) for name in NAMES)
    assert {each.answer for each in sent if isinstance(each, Sent)} == {""}


async def test_a_backslash_does_not_cut_a_name(courier: Courier, fake: FakeHub) -> None:
    """The server's parser keeps what is behind the last one: the rest, and what a lost answer is found by, would be gone."""
    (sent,) = await courier.send({"9\\3 cells.png": b"x"})
    assert isinstance(sent, Sent)
    assert (list(fake.stored()), sent.answer) == (["9_3 cells.png"], "stored as 9_3 cells.png")


async def test_a_name_that_the_server_breaks_all_the_same_is_told(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    fake.breaks_all_names()
    batch = house.drop(make_pictures(tmp_path / "Photos", "αβγ.png", "z.png"), target=fake.project)
    await house.over(batch)
    assert told(house, batch) == {"αβγ.png": (S.COMPLETED, "Arrived, stored as ___.png."), "z.png": ARRIVED}


async def test_what_the_server_would_refuse_is_not_sent(house: House, fake: FakeHub, tmp_path: Path) -> None:
    photos = make_pictures(tmp_path / "Photos", "good.png", "notes.txt", "README")
    (photos / "empty.png").touch()
    with (photos / "large.png").open("wb") as large:
        large.truncate(20 * 2**20 + 1)
    batch = house.drop(photos, target=fake.project)
    await house.over(batch)
    takes = ": this server takes pictures and videos, "
    assert told(house, batch) == {
        "good.png": ARRIVED,
        "notes.txt": refused(f"{takes}no “.txt”"),
        "README": refused(f"{takes}and knows them by the ending of their names"),
        "empty.png": refused(": the file is empty"),
        "large.png": (
            S.FAILED,
            "Too large for this server (limit 21.0 MB). Send a smaller file, or ask who runs the server for more.",
        ),
    }
    assert (list(fake.stored()), fake.asked("POST", "/images")) == (["good.png"], 1)


async def test_without_a_project_nothing_is_sent(house: House, fake: FakeHub, tmp_path: Path) -> None:
    batch = house.drop(make_pictures(tmp_path / "Photos", "a.png"))
    await house.over(batch)
    why = ": no project is chosen: this server keeps files in projects"
    assert (told(house, batch), fake.received) == ({"a.png": refused(why)}, [])


async def test_three_hundred_pictures_go_a_hundred_at_a_time(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    names = [f"{number}.png" for number in range(300)]
    batch = house.drop(make_pictures(tmp_path / "Photos", *names, size_bytes=50), target=fake.project)
    await house.over(batch)
    assert (len(fake.stored()), fake.asked("POST", "/images")) == (300, 3)


async def test_a_server_that_takes_fewer_files_a_request_gets_fewer(courier: Courier, fake: FakeHub) -> None:
    """LIMIT_FILE_COUNT: 20 a request; after that nobody tries with more again."""
    fake.takes_so_many(20)
    first = await courier.send({f"{number}.png": b"x" * (number + 1) for number in range(100)})
    asked = fake.asked("POST", "/images")
    second = await courier.send({f"again {number}.png": b"x" for number in range(26)})
    assert all(isinstance(each, Sent) for each in [*first, *second])
    assert (len(fake.images), asked, fake.asked("POST", "/images") - asked) == (126, 11, 2)
    assert [image.name for image in fake.images[:100]] == [f"{number}.png" for number in range(100)]


async def test_one_file_that_the_server_refuses_takes_no_other_with_it(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    """refuses_whole_request_for_one_file"""
    fake.refuses_whole_request_for_one_file("image/webp")
    names = [f"{number}.png" for number in range(9)]
    batch = house.drop(make_pictures(tmp_path / "Photos", *names, "new.webp"), target=fake.project)
    await house.over(batch)
    assert told(house, batch) == {
        **dict.fromkeys(names, ARRIVED),
        "new.webp": refused(" (400): it breaks one of the server's rules"),
    }
    assert sorted(image.name for image in fake.images) == names


@pytest.mark.parametrize("failing", [("b.png",), ("a.png", "b.png", "c.png")])
async def test_what_the_server_calls_failed_and_has_stored_is_not_sent_again(
    house: House, fake: FakeHub, tmp_path: Path, failing: tuple[str, ...]
) -> None:
    """calls_failed_what_it_has_stored: halves of the request would be there seven times in the end."""
    fake.calls_failed_what_it_has_stored(*failing)
    names = ("a.png", "b.png", "c.png")
    batch = house.drop(make_pictures(tmp_path / "Photos", *names), target=fake.project)
    await house.over(batch)
    assert told(house, batch) == dict.fromkeys(names, ARRIVED)
    assert ([image.name for image in fake.images], fake.asked("POST", "/images")) == ([*names], 1)


@pytest.mark.parametrize("fault", ["", "lists_success_as_failed", "says_no_failed_count"])
async def test_what_is_listed_as_stored_counts_and_nothing_else(
    house: House, fake: FakeHub, tmp_path: Path, fault: str
) -> None:
    """lists_success_as_failed, and partial success with a 200"""
    if fault:
        getattr(fake, fault)()
    fake.cannot_store("broken.png", "ß.png")
    names = ("Łódź.png", "broken.png", "a.png", "β.png", "ß.png", "z.png")
    batch = house.drop(make_pictures(tmp_path / "Photos", *names), target=fake.project)
    await house.over(batch)
    lost = refused(": the server could not store it")
    assert told(house, batch) == {
        name: lost if name in ("broken.png", "ß.png") else ARRIVED for name in names
    }


async def test_twins_in_one_request_are_told_apart_by_their_order(courier: Courier, fake: FakeHub) -> None:
    fake.cannot_store("b.png")
    sent = await courier.send({"1/a.png": b"1", "2/a.png": b"22", "1/b.png": b"3", "3/a.png": b"4"})
    ids = [each.remote_id.rpartition("/")[2] if isinstance(each, Sent) else "" for each in sent]
    by_id = {image.id: image.content for image in fake.images}
    assert [by_id.get(each) for each in ids] == [b"1", b"22", None, b"4"]


async def test_a_folder_of_which_nothing_can_be_stored_fails_with_the_reason(
    house: House, fake: FakeHub, tmp_path: Path
) -> None:
    fake.cannot_store("a.png", "b.png")
    batch = house.drop(make_pictures(tmp_path / "Photos", "a.png", "b.png"), target=fake.project)
    await house.over(batch)
    assert set(told(house, batch).values()) == {refused(" (400): the server could not store it")}


async def test_a_file_that_vanishes_while_it_is_sent_takes_no_other_with_it(
    courier: Courier, fake: FakeHub
) -> None:
    class Broken(MemoryFeed):
        async def block(self) -> bytes:
            raise TransferError(failure)

    failure = Failure(K.FILE_GONE)
    files = {"a.png": b"a", "b.png": b"b", "c.png": b"c"}
    items = [
        ParcelItem(
            each, Broken(b"") if each.relative_path == "b.png" else MemoryFeed(files[each.relative_path])
        )
        for each in outgoings(files, fake.project)
    ]
    results = await courier.server.send_parcel(items)
    assert (results[1], sorted(fake.stored())) == (failure, ["a.png", "c.png"])
    assert [type(each) for each in results] == [Sent, Failure, Sent]
