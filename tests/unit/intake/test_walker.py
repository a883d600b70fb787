"""What intake takes, what it leaves out and says so, and how it hands it over."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from app.domain.batch import IntakeReport
from app.intake.rules import Rules
from app.intake.walker import Found, batch_name, walk
from tests.support.folders import as_nobody, deep_folder

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make files of one byte; a name with a slash at its end is a folder."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.write_bytes(b"x")
        return tmp_path

    return make


async def scan(*paths: str | Path, rules: Rules | None = None) -> tuple[list[Found], IntakeReport]:
    found: list[Found] = []
    report = await walk([str(path) for path in paths], rules or Rules(), found.extend)
    return found, report


def names(found: Sequence[Found]) -> list[str]:
    return [file.relative_path for file in found]


async def test_a_folder_alone_is_the_batch_itself_and_files_come_before_folders(tree: Tree) -> None:
    root = tree("Photos/b.jpg", "Photos/a/c.jpg", "Photos/z.jpg", "Photos/empty/")
    found, report = await scan(root / "Photos")
    assert names(found) == ["b.jpg", "z.jpg", "a/c.jpg"]
    assert (report.files, report.size_bytes, report.folders, report.empty_folders) == (3, 3, 3, 1)


async def test_a_found_file_is_as_the_system_describes_it(tree: Tree) -> None:
    path = tree("a.txt") / "a.txt"
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    found, _ = await scan(path)
    assert found == [Found(str(path), "a.txt", 1, 1_700_000_000_123_456_789)]


async def test_strange_names_are_taken_as_they_are(tree: Tree) -> None:
    strange = ["new\nline", "😀", "e" * 255, " space ", "semi;colon", "a%2Fb", "-rf"]
    found, _ = await scan(tree(*(f"d/{name}" for name in strange)) / "d")
    assert sorted(names(found)) == sorted(strange)


async def test_bytes_that_are_no_text_are_replaced_and_can_still_be_opened(tmp_path: Path) -> None:
    raw = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    Path(os.fsdecode(raw)).write_bytes(b"x")
    found, _ = await scan(tmp_path)
    assert [(file.relative_path, os.fsencode(file.source)) for file in found] == [("caf\ufffd", raw)]


async def test_links_below_are_reported_and_not_followed(tree: Tree) -> None:
    root = tree("d/a", "elsewhere/secret")
    (root / "d/to-folder").symlink_to(root / "elsewhere")
    (root / "d/to-file").symlink_to(root / "d/a")
    (root / "d/broken").symlink_to("nowhere")
    found, report = await scan(root / "d")
    assert (names(found), report.skipped_count) == (["a"], (("link", 3),))


async def test_a_dropped_link_stands_for_what_it_points_to(tree: Tree) -> None:
    root = tree("real/a", "b")
    (root / "Linked").symlink_to(root / "real")
    (root / "linked.txt").symlink_to(root / "b")
    found, report = await scan(root / "Linked", root / "linked.txt")
    assert [(file.relative_path, file.source) for file in found] == [
        ("Linked/a", str(root / "real/a")),
        ("linked.txt", str(root / "b")),
    ]
    assert report.skipped == ()


async def test_fifos_and_sockets_are_reported_and_never_opened(tree: Tree) -> None:
    root = tree("d/a")
    os.mkfifo(root / "d/fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root / "d/socket"))
        found, report = await scan(root / "d", root / "d/fifo", "/dev/zero")
    assert (names(found), report.skipped_count) == (["d/a"], (("special", 4),))


async def test_what_is_not_there_and_what_is_not_local_is_named(tree: Tree) -> None:
    root = tree("a")
    _, report = await scan(root / "gone", "mtp://phone/DCIM", root / "a")
    assert [(skipped.path, skipped.reason) for skipped in report.skipped] == [
        (str(root / "gone"), "missing"),
        ("mtp://phone/DCIM", "not_local"),
    ]


async def test_an_unreadable_folder_is_reported_and_the_rest_goes_on() -> None:
    with as_nobody() as root:
        (root / "closed").mkdir(mode=0)
        (root / "open.txt").touch()
        found, report = await scan(root)
    assert (names(found), report.skipped_count) == (["open.txt"], (("unreadable", 1),))


async def test_hidden_and_excluded_names_are_left_out_but_what_is_dropped_is_taken(tree: Tree) -> None:
    root = tree("d/.hidden/a", "d/.b", "d/THUMBS.DB", "d/._c", "d/d.txt", ".e")
    rules = Rules(include_hidden=False, exclude=("Thumbs.db", "._*"))
    found, report = await scan(root / "d", root / ".e", rules=rules)
    assert (names(found), report.skipped_count) == (["d/d.txt", ".e"], (("excluded", 2), ("hidden", 2)))


async def test_the_same_folder_twice_and_its_child_bring_each_file_once(tree: Tree) -> None:
    root = tree("d/a", "d/sub/b")
    found, _ = await scan(root / "d/sub", root / "d/a", root / "d", root / "d")
    assert names(found) == ["d/a", "d/sub/b"]


async def test_a_folder_that_came_with_its_parent_takes_no_name_away(tree: Tree) -> None:
    root = tree("d/d/a")
    found, report = await scan(root / "d", root / "d/d")
    assert (names(found), report.skipped_count) == (["d/d/a"], ())


async def test_a_child_that_its_parent_leaves_out_comes_by_itself(tree: Tree) -> None:
    root = tree("d/a", "d/.sub/b", "d/.c")
    found, _ = await scan(root / "d", root / "d/.sub", root / "d/.c", rules=Rules(include_hidden=False))
    assert sorted(names(found)) == [".c", ".sub/b", "d/a"]


async def test_two_dropped_files_of_one_name_are_both_taken(tree: Tree) -> None:
    root = tree("x/a.txt", "y/a.txt", "x/F/1", "y/F/1")
    found, report = await scan(root / "x/a.txt", root / "y/a.txt", root / "x/F", root / "y/F")
    assert names(found) == ["a.txt", "a (2).txt", "F/1", "F (2)/1"]
    assert (report.skipped_count, report.skipped) == ((("duplicate_name", 2),), ())


async def test_names_that_differ_in_their_accents_bytes_only_are_both_taken(tree: Tree) -> None:
    found, report = await scan(tree("d/e\u0301", "d/\u00e9", "d/e\u0301.d/x", "d/\u00e9.d/x") / "d")
    assert names(found) == ["\u00e9", "\u00e9 (2)", "\u00e9.d/x", "\u00e9.d (2)/x"]
    assert report.skipped_count == (("duplicate_name", 2),)


async def test_a_name_that_gets_too_long_as_text_is_cut(tmp_path: Path) -> None:
    Path(tmp_path, os.fsdecode(b"\xff" * 250 + b".txt")).touch()
    found, report = await scan(tmp_path)
    assert names(found) == ["\ufffd" * 83 + ".txt"]
    assert report.skipped_count == (("name_too_long", 1),)


async def test_two_hundred_folders_deep_with_long_names_beyond_the_longest_path(tmp_path: Path) -> None:
    name = "n" * 100
    with deep_folder(tmp_path, [name] * 200) as folder_fd:
        os.close(os.open("a.txt", os.O_CREAT | os.O_WRONLY, dir_fd=folder_fd))
        found, report = await scan(tmp_path)
    assert names(found) == ["/".join([*[name] * 200, "a.txt"])]
    assert (report.folders, report.skipped_count) == (201, ())


async def test_files_come_in_batches_and_the_thread_waits_for_a_slow_reader(tree: Tree) -> None:
    root = tree(*(f"d/{number:04}" for number in range(1050)))
    sizes: list[int] = []

    async def each(found: Sequence[Found]) -> None:
        await asyncio.sleep(0)
        sizes.append(len(found))

    await walk([str(root / "d")], Rules(), each, batch_size=100)
    assert (sum(sizes), max(sizes), sizes[0]) == (1050, 100, 1)


async def test_a_cancelled_walk_ends_its_thread(tree: Tree) -> None:
    root = tree(*(f"d/{number:04}" for number in range(300)))
    reached = asyncio.Event()

    async def each(_found: Sequence[Found]) -> None:
        reached.set()
        await asyncio.Event().wait()

    walking = asyncio.create_task(walk([str(root / "d")], Rules(), each, batch_size=10))
    await reached.wait()
    [thread] = [thread for thread in threading.enumerate() if thread.name == "uphaul-intake"]
    walking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await walking
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()


async def test_an_error_of_the_listener_ends_the_walk(tree: Tree) -> None:
    def each(_found: Sequence[Found]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await walk([str(tree("a"))], Rules(), each)


def test_a_batch_is_called_after_what_was_dropped(tree: Tree) -> None:
    root = tree("Photos/a", "Mails/b", "report.pdf", "notes.txt")
    photos, mails, report = (str(root / name) for name in ("Photos", "Mails", "report.pdf"))
    assert [
        batch_name([photos], 0),
        batch_name([photos + "/"], 0),
        batch_name([photos, mails], 0),
        batch_name([report, photos, mails], 0),
        batch_name(["/"], 0),
    ] == ["Photos", "Photos", "2 folders", "report.pdf and 2 more", "Disk"]
