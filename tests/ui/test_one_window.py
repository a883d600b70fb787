"""One window: what a second start hands over, what it does when nobody takes it, and what survives kills and races.

Locks, files and processes are real; the other starts are `python -m ui` or threads with a lock of their own.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import QObject

from app.places import Places
from tests.support.waiting import eventually as until
from tests.ui.running import Running, digests, folder
from tests.ui.waiting import eventually
from ui.actions import Do
from ui.loop import Tasks
from ui.one_window import STALE_S, Letter, NotTakenError, OneWindow, Role
from ui.opened import HandedOver

ODD_NAMES = (
    b"caf\xe9",
    "\N{GRINNING FACE} ü".encode(),
    b"two\nlines",
    b'quo"te',
    b"\xed\xa0\xbd",
    b"x" * 255,
)


def uphaul(home: Path, *arguments: bytes | Path) -> "subprocess.Popen[str]":
    """Start `uphaul` as a file manager does."""
    return subprocess.Popen(
        [sys.executable, "-m", "ui", *arguments],
        env=os.environ | {"UPHAUL_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


async def ended(run: Running, start: "subprocess.Popen[str]") -> tuple[int, str]:
    """Return exit code and words of another start, while our window goes on working."""
    await run.until(lambda: start.poll() is not None, "the second start has ended")
    return start.returncode, start.communicate()[0]


class Start:
    """A start in a thread, with a lock of its own; ``result`` is its role, or what it says."""

    def __init__(self, home: Path, letter: Letter, patience_s: float = 20.0) -> None:
        self.one_window = OneWindow(home, patience_s)
        self._letter = letter
        self.result: Role | str | None = None
        self._thread = threading.Thread(target=self._enter)
        self._thread.start()

    def _enter(self) -> None:
        try:
            self.result = self.one_window.enter(self._letter)
        except NotTakenError as error:
            self.result = str(error)

    def ended(self) -> Role | str | None:
        self._thread.join(30)
        self.one_window.leave()
        return self.result


@contextmanager
def window(home: Path) -> Iterator[OneWindow]:
    """A start that is the window, and reads only when it is told to."""
    one_window = OneWindow(home)
    assert one_window.enter(Letter()) is Role.WINDOW
    yield one_window
    one_window.leave()


def waiting(home: Path) -> Path:
    """Return the letter that a start has just sent."""
    return until(lambda: list(home.glob("*.letter")), bool)[0]


def stand_still(home: Path) -> None:
    """Keep the window from looking until a letter is there, and its next look is overdue."""
    waiting(home)
    time.sleep(0.2)


def left_in(home: Path) -> list[str]:
    return [path.name for path in home.iterdir() if path.name != "lock"]


async def test_a_second_start_hands_its_folder_to_the_open_window(
    run: Running, places: Places, tmp_path: Path
) -> None:
    source = folder(tmp_path / "Holiday", 3, 1000)
    run.window.hide()
    code, said = await ended(run, uphaul(places.data_dir, source))
    await run.until(lambda: run.batches("state") == ["Done"], "it is uploaded")
    arrived = digests(places.server_data_dir / "files" / "Holiday")
    assert (code, said, run.window.isVisible(), arrived) == (0, "", True, digests(source))


async def test_without_paths_the_window_only_comes_to_the_front(run: Running, places: Places) -> None:
    run.window.hide()
    code, said = await ended(run, uphaul(places.data_dir, b"uphaul:whatever"))
    assert (code, said, run.window.isVisible(), run.batches("name")) == (0, "", True, [])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
async def test_files_with_any_names_come_as_one_batch_a_start(
    run: Running, places: Places, tmp_path: Path
) -> None:
    """A file manager that starts us for several files at the same moment; names are bytes there."""
    paths = [os.fsencode(tmp_path) + b"/" + name for name in ODD_NAMES]
    for path in paths:
        Path(os.fsdecode(path)).write_bytes(path)
    starts = [uphaul(places.data_dir, *paths), uphaul(places.data_dir, *paths[:1])]
    codes = [await ended(run, start) for start in starts]
    await run.until(lambda: run.batches("state") == ["Done", "Done"], "both are uploaded")
    assert (codes, sorted(run.batches("files"))) == ([(0, "")] * 2, ["1 / 1", "6 / 6"])


async def test_a_start_while_the_window_closes_opens_its_own(run: Running, places: Places) -> None:
    """It waits until the engine of the other has ended, so that there are never two at work."""
    start = Start(places.window_dir, Letter(("/a",)))
    stand_still(places.window_dir)
    run.use(Do.QUIT)
    await asyncio.wait_for(run.ended, 20)
    assert (start.ended(), left_in(places.window_dir)) == (Role.WINDOW, [])


async def test_what_was_taken_is_added_before_the_window_ends(tmp_path: Path) -> None:
    """The sender was told that it is taken, and will not come again."""
    added: list[str] = []
    asked = asyncio.Event()

    async def add(paths: object) -> None:
        asked.set()
        await asyncio.sleep(0.05)
        added.append(str(paths))

    parent = QObject()
    with window(tmp_path) as one_window:
        handed_over = HandedOver(one_window, add, Tasks(lambda error: None), lambda: None, parent)
        start = Start(tmp_path, Letter(("/a",)))
        await asyncio.wait_for(asked.wait(), 20)
        handed_over.stop()
        await handed_over.settle()
        settled = list(added)
        late = Start(tmp_path, Letter(("/late",)))
        await eventually(lambda: bool(left_in(tmp_path)))
        await asyncio.sleep(0.3)  # three looks, if it still looked
    assert (start.ended(), settled, late.ended()) == (Role.SENDER, ["('/a',)"], Role.WINDOW)


@pytest.mark.parametrize("paths", [(), ("/a",), tuple(os.fsdecode(b"/" + name) for name in ODD_NAMES)])
def test_what_is_sent_is_what_arrives(paths: tuple[str, ...], tmp_path: Path) -> None:
    with window(tmp_path) as one_window:
        sent = Letter(paths, "token-1", hidden=not paths)
        start = Start(tmp_path, sent)
        waiting(tmp_path)
        arrived = one_window.letters()
        assert (arrived, start.ended(), left_in(tmp_path)) == ([sent], Role.SENDER, [])


RACER = """
import json, sys, time
from pathlib import Path
from ui.one_window import Letter, OneWindow, Role
home, number, others = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
one_window, heard = OneWindow(home), []
role = one_window.enter(Letter(("/" + number,)))
while role is Role.WINDOW and len(heard) < others:
    heard += [path for letter in one_window.letters() for path in letter.paths]
    time.sleep(0.01)
print(json.dumps([role.value, [*heard, "/" + number]]))
"""


def race(home: Path, starts: int, others: int) -> list[tuple[str, list[str]]]:
    """Start so many processes at once; return the role of each and what it came to know, the windows first."""
    command = [sys.executable, "-c", RACER, str(home)]
    running = [
        subprocess.Popen([*command, str(n), str(others)], stdout=subprocess.PIPE) for n in range(starts)
    ]
    said = [json.loads(process.communicate(timeout=50)[0]) for process in running]
    return sorted(((role, sorted(paths)) for role, paths in said), reverse=True)


def test_of_starts_at_the_same_moment_one_is_the_window_and_hears_all(tmp_path: Path) -> None:
    ended = race(tmp_path / "window", 5, others=4)
    assert (ended[0], [role for role, _ in ended]) == (
        ("window", ["/0", "/1", "/2", "/3", "/4"]),
        ["window"] + ["sender"] * 4,
    )


def test_windows_that_close_at_once_leave_nobody_behind(tmp_path: Path) -> None:
    """None of them reads what the others send: each is the window in its turn."""
    assert [role for role, _ in race(tmp_path / "window", 4, others=0)] == ["window"] * 4


HOLDER = """
import sys, time
from pathlib import Path
from ui.one_window import Letter, OneWindow
one_window = OneWindow(Path(sys.argv[1]))
print(one_window.enter(Letter()).value, flush=True)
time.sleep(60)
"""


def test_a_killed_window_is_in_nobodys_way(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout
        was = holder.stdout.readline()
        held = Start(tmp_path, Letter(), patience_s=0.1).ended()
        holder.kill()
    after = Start(tmp_path, Letter(), patience_s=0.1).ended()
    assert (was, type(held), after) == ("window\n", str, Role.WINDOW)


@pytest.mark.parametrize(
    "paths, undone", [(("/a",), "nothing was added"), ((), "it could not be brought to the front")]
)
def test_a_window_that_hangs_is_told_of_and_gets_nothing_later(
    paths: tuple[str, ...], undone: str, tmp_path: Path
) -> None:
    with window(tmp_path) as one_window:
        said = Start(tmp_path, Letter(paths), patience_s=0.2).ended()
        assert (f"has not answered for 0 seconds, so {undone}." in str(said), one_window.letters()) == (
            True,
            [],
        )


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes among its files")
def test_what_is_taken_back_while_the_window_reads_it_is_not_taken(tmp_path: Path) -> None:
    """The letter is a pipe, so that the window is held in the middle of reading."""
    pipe = tmp_path / "1.letter"
    with window(tmp_path) as one_window:
        os.mkfifo(pipe)

        def take_back() -> None:
            with pipe.open("wb") as file:
                file.write(Letter(("/a",)).encode())
                pipe.unlink()

        sender = threading.Thread(target=take_back)
        sender.start()
        heard = one_window.letters()
        sender.join()
    assert heard == []


INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test in the background inherits another
from ui.__main__ import main
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C is no signal there")
def test_ctrl_c_takes_it_back(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path)
    with window(places.window_dir) as one_window:
        command = [sys.executable, "-c", INTERRUPTIBLE, str(tmp_path)]
        start = subprocess.Popen(
            command,
            env=os.environ | {"UPHAUL_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        waiting(places.window_dir)
        start.send_signal(signal.SIGINT)
        said = start.communicate(timeout=30)[0]
        assert (start.returncode, said, one_window.letters()) == (130, b"", [])


def test_exactly_one_of_window_and_sender_has_it(tmp_path: Path) -> None:
    """A sender without patience takes its letter back at the very moment when the window reads it."""
    with window(tmp_path) as one_window:
        ends = []
        for number in range(60):
            start = Start(tmp_path, Letter((f"/{number}",)), patience_s=0.0)
            heard: list[Letter] = []
            while start.result is None:
                heard += one_window.letters()
            ends.append((start.ended() is Role.SENDER, len(heard)))
    assert set(ends) <= {(True, 1), (False, 0)}


@pytest.mark.expects_log
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00",
        b"[]",
        b"{}",
        b'{"paths": "L2E=", "activation_token": "", "hidden": false}',
        b'{"paths": {"L2E=": 1}, "activation_token": "", "hidden": false}',
        b'{"paths": [7], "activation_token": "", "hidden": false}',
        b'{"paths": ["?"], "activation_token": "", "hidden": false}',
        b'{"paths": ["cmVsYXRpdmU="], "activation_token": "", "hidden": false}',
        b'{"paths": ["L2EAYg=="], "activation_token": "", "hidden": false}',
        b'{"paths": ["L2E="], "activation_token": 1, "hidden": false}',
        b'{"paths": ["L2E="], "activation_token": "", "hidden": 1}',
        b"[" * 200_000,
    ],
)
def test_what_is_malformed_is_refused_and_logged_once(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with window(tmp_path) as one_window:
        (tmp_path / "1.letter").write_bytes(content)
        heard = [one_window.letters(), one_window.letters()]
    assert (heard, left_in(tmp_path), len(caplog.records)) == ([[], []], ["1.refused"], 1)


@pytest.mark.expects_log
def test_a_refused_start_says_so(tmp_path: Path) -> None:
    """A window of another version may not understand us: the start ends with 1 and a sentence."""
    places = Places(tmp_path, tmp_path)
    with window(places.window_dir) as one_window:
        start = uphaul(tmp_path, tmp_path)
        letter = waiting(places.window_dir)
        letter.with_name("other").write_text("{}")
        letter.with_name("other").replace(letter)
        one_window.letters()
        said = start.communicate(timeout=30)[0]
    assert (start.returncode, said, left_in(places.window_dir)) == (
        1,
        "uphaul: The Uphaul window that is open did not understand this start, so nothing was added. "
        "If Uphaul has just been updated, quit that window and try again.\n",
        [],
    )


@pytest.mark.expects_log
def test_a_letter_of_a_killed_start_is_not_uploaded_another_day(tmp_path: Path) -> None:
    """Whether it was left before this window, or before the computer slept for a night."""
    old = Letter(("/a",)).encode()
    (tmp_path / "1.letter").write_bytes(old)
    os.utime(tmp_path / "1.letter", (0, 0))
    with window(tmp_path) as one_window:
        swept = left_in(tmp_path)
        (tmp_path / "2.letter").write_bytes(old)
        before = (tmp_path / "2.letter").stat().st_mtime - STALE_S - 5
        os.utime(tmp_path / "2.letter", (before, before))
        assert (swept, one_window.letters(), left_in(tmp_path)) == ([], [], ["2.refused"])


def shared(home: Path) -> None:
    home.mkdir()
    home.chmod(0o777)
    (home / "1.letter").write_bytes(Letter(("/a",)).encode())


@pytest.mark.expects_log
@pytest.mark.skipif(sys.platform == "win32", reason="no modes there")
@pytest.mark.parametrize("make", [Path.touch, shared])
def test_where_others_could_meddle_each_start_is_its_own_window(
    make: Callable[[Path], object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path / "window")
    one_window = OneWindow(tmp_path / "window")
    assert (one_window.enter(Letter(("/a",))), one_window.letters(), len(caplog.records)) == (
        Role.WINDOW,
        [],
        1,
    )
