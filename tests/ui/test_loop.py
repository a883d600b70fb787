"""The loop under the window: timers are released, long waits do not overflow, tasks and dialogs are held."""

import asyncio
import gc

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QDialog, QMessageBox, QWidget
from pytestqt.qtbot import QtBot

from ui.loop import LONGEST_S, Collector, Loop, Tasks, ask


def running() -> Loop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    return loop


async def test_a_cancelled_timer_is_released_at_once() -> None:
    """What httpx does a thousand times a second: a timeout scope that ends early."""
    loop = running()
    before = loop.live_timers
    for _ in range(500):
        async with asyncio.timeout(30):
            await asyncio.sleep(0)
    assert loop.live_timers == before


async def test_a_wait_longer_than_qt_can_count_is_taken() -> None:
    loop = running()
    before = loop.live_timers
    handle = loop.call_later(400 * 24 * 3600, print)
    taken = loop.live_timers
    handle.cancel()
    assert (taken - before, loop.live_timers - before, handle.when() - loop.time() > LONGEST_S) == (
        1,
        0,
        True,
    )


async def test_calls_keep_their_order() -> None:
    done: list[str] = []
    loop = running()
    loop.call_later(0.02, done.append, "later")
    loop.call_soon(done.append, "first")
    loop.call_soon(done.append, "second")
    loop.call_later(0.01, done.append, "sooner")
    loop.call_later(-1, done.append, "overdue")
    await asyncio.sleep(0.05)
    assert done == ["first", "second", "overdue", "sooner", "later"]


async def test_a_timer_is_never_early() -> None:
    loop = running()
    due = loop.time() + 0.03
    await asyncio.sleep(0.03)
    assert loop.time() >= due


async def test_a_coroutine_is_no_callback() -> None:
    with pytest.raises(TypeError):
        running().call_soon(asyncio.sleep)


async def test_cancelling_after_the_run_is_harmless() -> None:
    loop = running()
    handle = loop.call_later(0, int)
    await asyncio.sleep(0.01)
    handle.cancel()
    assert handle.cancelled()


async def test_spawned_work_is_held_until_it_ends() -> None:
    """Nobody but Tasks knows of the coroutine, and the garbage collector runs in between."""
    done: list[int] = []
    tasks = Tasks(lambda error: None)

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.append(1)

    tasks.spawn(work())
    gc.collect()
    await asyncio.sleep(0.03)
    assert done == [1]


@pytest.mark.expects_log
async def test_work_that_breaks_is_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[BaseException] = []
    tasks = Tasks(told.append)

    async def work() -> None:
        raise ValueError("a defect")

    tasks.spawn(work())
    await asyncio.sleep(0.01)
    assert [(str(error), len(caplog.records)) for error in told] == [("a defect", 1)]


async def test_closing_cancels_what_still_runs() -> None:
    ended: list[str] = []
    tasks = Tasks(lambda error: ended.append("told"))

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cleaned up")

    tasks.spawn(work())
    await asyncio.sleep(0)
    await tasks.close()
    assert ended == ["cleaned up"]


async def test_asking_leaves_the_other_tasks_alive(qtbot: QtBot) -> None:
    """A dialog with a loop of its own would stop them for ever."""
    parent = QWidget()
    qtbot.addWidget(parent)
    box = QMessageBox(parent)
    box.addButton("Yes", QMessageBox.ButtonRole.AcceptRole)
    beats: list[int] = []

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.005)
            beats.append(1)
            if len(beats) == 5:
                box.done(QDialog.DialogCode.Accepted)

    tasks = Tasks(lambda error: None)
    tasks.spawn(beat())
    answer = await ask(box)
    await tasks.close()
    assert (answer, len(beats) >= 5) == (QDialog.DialogCode.Accepted, True)


async def test_a_question_can_be_cancelled(qtbot: QtBot) -> None:
    """The program quits while a dialog is open: the dialog goes with the task."""
    parent = QWidget()
    qtbot.addWidget(parent)
    dialog = QDialog(parent)
    gone: list[int] = []
    dialog.destroyed.connect(lambda: gone.append(1))
    task = asyncio.ensure_future(ask(dialog))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert gone == [1]


async def test_garbage_is_collected_on_the_gui_thread() -> None:
    """Cycles made anywhere wait for the collector's own timer; Python's automatic collection is off meanwhile."""
    import threading

    where: list[str] = []

    class Knot:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            where.append(threading.current_thread().name)

    def make() -> None:
        for _ in range(3000):
            Knot()

    owner = QTimer()
    collector = Collector(owner)
    try:
        await asyncio.to_thread(make)
        early = len(where)
        collector.collect()
    finally:
        collector.stop()
    assert (early, set(where), gc.isenabled()) == (0, {threading.main_thread().name}, True)
