"""The notice bar says one thing at a time, waits for its reader, and can be worked with the keyboard."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QEnterEvent
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from ui.theme import Theme
from ui.views.notice import NoticeBar


@pytest.fixture
def bar(qtbot: QtBot, theme: Theme) -> Iterator[NoticeBar]:
    window = QWidget()
    layout = QVBoxLayout(window)
    layout.addWidget(QLineEdit(window))
    bar = NoticeBar(theme, window)
    layout.addWidget(bar)
    qtbot.addWidget(window)
    window.show()
    yield bar
    window.close()


def test_it_is_not_there_until_there_is_something_to_say(bar: NoticeBar) -> None:
    assert (bar.isHidden(), bar.text) == (True, "")


def test_notices_come_one_after_the_other_and_each_once(bar: NoticeBar) -> None:
    seen = []
    for text in ("one", "two", "one", "two", "three"):
        bar.say(text)
    while bar.text:
        seen.append(bar.text)
        bar.dismiss()
    assert (seen, bar.isHidden()) == (["one", "two", "three"], True)


def test_it_leaves_by_itself_and_the_next_one_follows(qtbot: QtBot, bar: NoticeBar) -> None:
    bar.say("short", seconds=0.02)
    bar.say("long", seconds=60)
    qtbot.waitUntil(lambda: bar.text == "long")
    assert not bar.isHidden()


def test_the_action_is_done_once_and_the_notice_is_gone(qtbot: QtBot, bar: NoticeBar) -> None:
    done = []
    bar.say("Cancelled.", "Undo", lambda: done.append(bar.text))
    (button,) = [button for button in bar.findChildren(QPushButton) if button.text() == "Undo"]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert (done, bar.isHidden()) == ([""], True)


def test_an_action_may_say_something_itself(qtbot: QtBot, bar: NoticeBar) -> None:
    bar.say("Cancelled.", "Undo", lambda: bar.say("Taken back."))
    qtbot.mouseClick(bar.findChildren(QPushButton)[0], Qt.MouseButton.LeftButton)
    assert bar.text == "Taken back."


def test_an_offer_that_lapses_does_not_wait_and_what_else_can_be_done_comes_back(bar: NoticeBar) -> None:
    bar.say("Done.")
    bar.say("Stopped.", "Show", lambda: None)
    bar.dismiss()
    seen = []
    for text in ("Cancelling 1 file.", "Cancelling 1 file.", "Cancelling 2 files."):
        bar.say(text, "Undo", lambda: None, at_once=True)
        seen.append(bar.text)
    bar.dismiss()
    expected = ["Cancelling 1 file.", "Cancelling 1 file.", "Cancelling 2 files.", "Stopped."]
    assert [*seen, bar.text] == expected


def test_time_stands_still_while_somebody_points_at_it(qtbot: QtBot, bar: NoticeBar) -> None:
    bar.say("read me", seconds=0.05)
    point = QPointF(5, 5)
    QApplication.sendEvent(bar, QEnterEvent(point, point, point))
    held = bar.counting
    QApplication.sendEvent(bar, QEvent(QEvent.Type.Leave))
    qtbot.waitUntil(bar.isHidden)
    assert held is False


def test_escape_closes_it_and_the_focus_does_not_get_lost(qtbot: QtBot, bar: NoticeBar) -> None:
    bar.say("Cancelled.", "Undo", lambda: None)
    bar.window().activateWindow()
    bar.findChildren(QPushButton)[0].setFocus()
    held = bar.counting
    qtbot.keyClick(bar.findChildren(QPushButton)[0], Qt.Key.Key_Escape)
    assert (held, bar.isHidden(), isinstance(QApplication.focusWidget(), QLineEdit)) == (False, True, True)
