"""The engine thread behind the window: it starts, answers, pushes and pulls, and ends; with the real manager."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PySide6.QtCore import QThread

from app.domain.events import Frame, IntakeEnded
from app.journal.journal import JournalError
from app.places import Places
from app.settings import Settings
from tests.ui.waiting import eventually
from ui.bridge import Bridge


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A home of its own."""
    return Places(tmp_path / "home", tmp_path / "home")


@pytest.fixture
async def bridge(places: Places) -> AsyncIterator[Bridge]:
    """A bridge whose engine runs."""
    bridge = Bridge(places, Settings())
    await bridge.start()
    yield bridge
    assert await bridge.stop()


def engines() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "uphaul-engine"]


async def test_it_starts_and_ends(places: Places) -> None:
    bridge = Bridge(places, Settings())
    await bridge.start()
    during = engines()
    ended = await bridge.stop()
    assert (during, ended, engines()) == (["uphaul-engine"], True, [])


async def test_stopping_in_the_middle_of_the_start_ends_it(places: Places) -> None:
    """A person closes the window at once."""
    bridge = Bridge(places, Settings())
    starting = asyncio.ensure_future(bridge.start())
    await asyncio.sleep(0)
    ended = await bridge.stop()
    await starting
    assert (ended, engines(), bridge._timer.isActive()) == (True, [], False)


async def test_stopping_what_was_never_started_is_harmless(places: Places) -> None:
    assert await Bridge(places, Settings()).stop()


async def test_what_keeps_the_engine_from_starting_is_raised(places: Places) -> None:
    """The journal cannot be opened: a folder lies in its place."""
    places.journal_path.mkdir(parents=True)
    bridge = Bridge(places, Settings())
    with pytest.raises(JournalError):
        await bridge.start()
    assert (await bridge.stop(), engines()) == (True, [])


async def test_commands_run_over_there_and_their_answers_come_back(bridge: Bridge) -> None:
    async def where() -> str:
        return threading.current_thread().name

    assert await bridge.call(lambda manager: where()) == "uphaul-engine"


async def test_what_goes_wrong_over_there_is_raised_here(bridge: Bridge) -> None:
    async def fail() -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await bridge.call(lambda manager: fail())


async def test_after_the_end_a_command_is_refused(places: Places) -> None:
    bridge = Bridge(places, Settings())
    await bridge.start()
    await bridge.stop()
    with pytest.raises(RuntimeError, match="not running"):
        await bridge.call(lambda manager: manager.batches())


async def test_a_command_that_comes_too_early_waits(places: Places) -> None:
    """A person drops a folder while the window has just appeared."""
    bridge = Bridge(places, Settings())
    early = asyncio.ensure_future(bridge.call(lambda manager: manager.batches()))
    await asyncio.sleep(0)
    await bridge.start()
    batches = await early
    await bridge.stop()
    assert list(batches) == []


async def test_frames_come_by_themselves_in_the_gui_thread(bridge: Bridge) -> None:
    frames: list[tuple[Frame, bool]] = []
    bridge.frame.connect(lambda frame: frames.append((frame, QThread.isMainThread())))
    await eventually(lambda: len(frames) >= 3)
    assert {(type(frame), main) for frame, main in frames} == {(Frame, True)}


async def test_news_arrive_in_the_gui_thread(bridge: Bridge, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("1")
    news: list[tuple[type, bool]] = []
    bridge.news.connect(lambda event: news.append((type(event), QThread.isMainThread())))
    await bridge.call(lambda manager: manager.add([str(tmp_path / "one.txt")], "embedded"))
    await eventually(lambda: (IntakeEnded, True) in news)
    assert all(main for _kind, main in news)


async def test_only_the_watched_batch_sends_rows(bridge: Bridge, tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(name)
    rows: set[str] = set()
    bridge.frame.connect(lambda frame: rows.update(row.name for row in frame.transfers))
    await bridge.call(lambda manager: manager.add([str(tmp_path / "one.txt")], "embedded"))
    watched = await bridge.call(lambda manager: manager.add([str(tmp_path / "two.txt")], "embedded"))
    bridge.watch(watched)
    await bridge.call(lambda manager: manager.wait_idle([watched]))
    await eventually(lambda: "two.txt" in rows)
    assert rows == {"two.txt"}
