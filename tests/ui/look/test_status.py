"""The status bar says how the servers stand and what goes on, and nothing about what does not."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from app.domain.events import Frame, Link, ServerView, Totals
from app.domain.failure import Failure, FailureKind
from tests.ui.look.conftest import Count
from ui.colours import DARK, LIGHT
from ui.theme import Theme
from ui.views.sparkline import SECONDS, Sparkline
from ui.views.status import StatusBar, link_sentence

NOW = 1_000_000.0
MB = 1e6


def server(
    name: str,
    link: Link,
    *,
    embedded: bool = False,
    retry_at: float | None = None,
    failure: Failure | None = None,
) -> ServerView:
    if link is Link.WAITING:
        failure = Failure(FailureKind.UNREACHABLE)
    return ServerView(name, name, "http://127.0.0.1", embedded, link, retry_at, failure)


REFUSED = Failure(FailureKind.SIGN_IN, http_status=401)


def frame(totals: Totals, *servers: ServerView) -> Frame:
    return Frame((), (), (), servers, totals)


def words(bar: StatusBar) -> list[str]:
    shown = [w for kind in (QLabel, QPushButton) for w in bar.findChildren(kind) if not w.isHidden()]
    return [w.text() for w in shown if w.text()]


@pytest.fixture
def bar(qtbot: QtBot, theme: Theme) -> StatusBar:
    bar = StatusBar(theme, clock=lambda: NOW)
    bar.resize(900, bar.height())
    qtbot.addWidget(bar)
    return bar


@pytest.mark.parametrize(
    "servers,sentence",
    [
        ((), "Starting…"),
        ((server("This computer", Link.READY),), "This computer is ready"),
        ((server("lab", Link.READY), server("office", Link.READY)), "Connected to 2 servers"),
        (
            (server("This computer", Link.READY), server("lab", Link.WAITING, retry_at=NOW + 40)),
            "Waiting for lab: trying again in 40 s",
        ),
        ((server("lab", Link.WAITING, retry_at=NOW - 1),), "Waiting for lab: trying again"),
        (
            (server("lab", Link.SIGN_IN, failure=REFUSED), server("office", Link.WAITING)),
            "lab asks you to sign in",
        ),
        ((server("lab", Link.SIGN_IN),), "Waiting for lab: trying again"),  # with the new password
        ((server("This computer", Link.UNKNOWN, embedded=True),), "This computer is ready"),
        ((server("lab", Link.UNKNOWN),), "Not connected to lab yet"),
    ],
)
def test_the_worst_link_gets_the_sentence(servers: tuple[ServerView, ...], sentence: str) -> None:
    assert link_sentence(servers, NOW)[1] == sentence


def test_at_rest_it_says_one_thing(bar: StatusBar) -> None:
    bar.apply(frame(Totals(), server("This computer", Link.READY)))
    assert words(bar) == ["This computer is ready"]


def test_at_work_it_counts(bar: StatusBar) -> None:
    bar.apply(
        frame(
            Totals(running=16, waiting=1209, failed=3, paused=2, speed_bps=94 * MB), server("lab", Link.READY)
        )
    )
    assert words(bar) == [
        "lab is ready",
        "94.0 MB/s",
        "16 running",
        "1,209 waiting",
        "2 paused",
        "3 need you",
    ]


def test_what_needs_somebody_can_be_clicked(qtbot: QtBot, bar: StatusBar) -> None:
    bar.apply(frame(Totals(failed=1)))
    (button,) = bar.findChildren(QPushButton)
    with qtbot.waitSignal(bar.show_failed):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert button.text() == "1 needs you"


def test_a_waiting_server_says_why_in_its_tooltip(bar: StatusBar) -> None:
    bar.apply(frame(Totals(), server("lab", Link.WAITING, retry_at=NOW + 9)))
    (label,) = [label for label in bar.findChildren(QLabel) if label.text().startswith("Waiting")]
    assert "cannot be reached" in label.toolTip()


def test_the_light_changes_with_link_and_theme(bar: StatusBar, theme: Theme, count_pixels: Count) -> None:
    bar.apply(frame(Totals(), server("lab", Link.READY)))
    ready = count_pixels(bar, LIGHT.done)
    theme.choose("dark")
    bar.apply(frame(Totals(), server("lab", Link.WAITING)))
    assert (ready > 20, count_pixels(bar, DARK.warning) > 20, count_pixels(bar, DARK.done)) == (True, True, 0)


def filled(sparkline: Sparkline) -> list[bool]:
    """Which columns, left to right, have any paint."""
    image = sparkline.grab().toImage()
    ground = image.pixelColor(0, 0)
    height = range(image.height())
    return [any(image.pixelColor(x, y) != ground for y in height) for x in range(image.width())]


def test_the_sparkline_grows_from_the_right_edge(qtbot: QtBot, theme: Theme) -> None:
    sparkline = Sparkline(theme)
    qtbot.addWidget(sparkline)
    sparkline.resize(sparkline.sizeHint())
    for _ in range(SECONDS // 2):
        sparkline.push(5 * MB)
    columns = filled(sparkline)
    half = len(columns) // 2
    assert (any(columns[: half - 2]), all(columns[half + 3 :])) == (False, True)


def test_the_fastest_second_is_the_highest_and_the_area_is_filled(
    qtbot: QtBot, theme: Theme, count_pixels
) -> None:
    slow, fast = Sparkline(theme), Sparkline(theme)
    for sparkline, first in ((slow, 100 * MB), (fast, 10 * MB)):
        qtbot.addWidget(sparkline)
        sparkline.resize(sparkline.sizeHint())
        sparkline.push(first)
        for _ in range(SECONDS - 1):
            sparkline.push(10 * MB)
    area = theme.colours.accent
    tint = area.fromRgbF(
        *(0.2 * a + 0.8 * b for a, b in zip(area.getRgbF()[:3], LIGHT.window.getRgbF()[:3], strict=True))
    )
    assert count_pixels(fast, tint) > 5 * count_pixels(slow, tint) > 0


def test_at_rest_the_sparkline_has_no_timer_and_hides(qtbot: QtBot, theme: Theme) -> None:
    sparkline = Sparkline(theme)
    qtbot.addWidget(sparkline)
    sparkline.set_speed(5 * MB)
    busy = (sparkline.isHidden(), sparkline.ticking)
    sparkline.set_speed(0)
    for _ in range(SECONDS + 1):
        sparkline.tick()
    assert (busy, (sparkline.isHidden(), sparkline.ticking)) == ((False, True), (True, False))
