"""The tray icon, also where there is no tray: what it draws, says and offers."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QMenu, QWidget
from pytestqt.qtbot import QtBot

from app.domain.events import Frame, Totals
from tests.ui.look.conftest import near, pixels
from ui.theme import Theme
from ui.tray import _ALARM, _FILL, TrayIcon, shown_percent, tooltip, tray_icon

BUSY = Totals(running=16, waiting=209, speed_bps=94e6, done_bytes=640, total_bytes=1000)


def frame(totals: Totals) -> Frame:
    return Frame((), (), (), (), totals)


@pytest.mark.parametrize(
    "totals,percent",
    [
        (Totals(), None),
        (Totals(done_bytes=10, total_bytes=10), None),
        (BUSY, 64),
        (Totals(running=1, done_bytes=679, total_bytes=1000), 64),
        (Totals(running=1, done_bytes=680, total_bytes=1000), 68),
        (Totals(paused=1, done_bytes=0, total_bytes=1000), 0),
        (Totals(running=1, done_bytes=1001, total_bytes=1000), 100),
    ],
)
def test_progress_moves_in_steps(totals: Totals, percent: int | None) -> None:
    assert shown_percent(totals) == percent


def image(percent: int | None, alarm: bool) -> QImage:
    return tray_icon(percent, alarm).pixmap(QSize(44, 44), 1.0).toImage()


def test_the_bar_grows_with_progress(qapp: QApplication) -> None:
    none, empty, some, more, full = (
        sum(near(colour, _FILL) for colour in pixels(image(percent, False)))
        for percent in (None, 0, 24, 64, 100)
    )
    assert none == empty == 0 < some < more < full


def test_a_failure_is_a_red_dot(qapp: QApplication) -> None:
    dots = [sum(near(colour, _ALARM) for colour in pixels(image(64, alarm))) for alarm in (False, True)]
    assert (dots[0], dots[1] > 100) == (0, True)


def test_the_tooltip_has_the_totals() -> None:
    assert tooltip(BUSY) == "Uphaul\n640 B of 1.0 kB, 94.0 MB/s\n16 running · 209 waiting"
    assert tooltip(Totals(failed=1)) == "Uphaul\nNothing to upload\n1 needs you"


@pytest.fixture
def tray(qtbot: QtBot, theme: Theme) -> Iterator[TrayIcon]:
    window = QWidget()
    qtbot.addWidget(window)
    yield TrayIcon(theme, window)
    window.close()


def menu_of(tray: TrayIcon) -> QMenu:
    menu = tray.parent().findChild(QMenu)
    assert isinstance(menu, QMenu)
    return menu


def offered(tray: TrayIcon) -> list[tuple[str, bool]]:
    menu = menu_of(tray)
    return [(a.text(), a.isEnabled()) for a in menu.actions() if a.isVisible() and not a.isSeparator()]


def test_without_a_tray_it_says_so_and_shows_nothing(tray: TrayIcon) -> None:
    tray.apply(frame(BUSY))
    assert (tray.available, tray.show_message("title", "body")) == (False, False)


@pytest.mark.parametrize(
    "totals,menu",
    [
        (Totals(), [("Pause all", False)]),
        (BUSY, [("Pause all", True)]),
        (Totals(paused=3), [("Resume all", True)]),
        (Totals(paused=3, running=1), [("Pause all", True), ("Resume all", True)]),
    ],
)
def test_the_menu_offers_what_can_be_done(
    tray: TrayIcon, totals: Totals, menu: list[tuple[str, bool]]
) -> None:
    tray.apply(frame(BUSY))
    tray.apply(frame(totals))
    assert offered(tray) == [("Show Uphaul", True), *menu, ("Quit", True)]


@pytest.mark.parametrize(
    "text,signal", [("Show Uphaul", "show_window"), ("Pause all", "pause_all"), ("Quit", "quit")]
)
def test_the_menu_tells(tray: TrayIcon, text: str, signal: str) -> None:
    tray.apply(frame(BUSY))
    (action,) = [action for action in menu_of(tray).actions() if action.text() == text]
    told: list[str] = []
    for each in ("show_window", "pause_all", "resume_all", "quit"):
        getattr(tray, each).connect(lambda each=each: told.append(each))
    action.trigger()
    assert told == [signal]
