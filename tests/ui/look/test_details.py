"""The details panel shows everything of one file, survives updates, and slides away."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLabel, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app.domain.failure import Failure, FailureKind
from app.domain.state import TransferState
from app.domain.transfer import TimelineEntry, TransferDetails, TransferView
from app.words import what_happened
from tests.ui.look.conftest import Count
from ui.colours import LIGHT
from ui.theme import Theme
from ui.views.details import WIDTH, DetailsPanel
from ui.views.timeline import MOST_SHOWN
from ui.views.value import Value

NOW = 1_000_000.0
SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
LONG = "/home/ada/" + "very-long-folder-name/" * 12 + "clip 0007.mov"


def details(
    state: TransferState = TransferState.FAILED, source: str = LONG, steps: int = 2, sha: str | None = SHA
) -> TransferDetails:
    failure = (
        Failure(FailureKind.TOO_LARGE, limit_bytes=2_000_000_000) if state is TransferState.FAILED else None
    )
    view = TransferView(
        "a" * 32,
        "b",
        0,
        "clip 0007.mov",
        "day 3",
        2_100_000_000,
        0,
        state,
        0.0,
        failure,
        None,
        "too large",
        sha,
        None,
    )
    timeline = tuple(TimelineEntry(NOW - 600 + i, TransferState.QUEUED, f"step {i}") for i in range(steps))
    return TransferDetails(view, source, "day 3/clip 0007.mov", "remote-1", 3, timeline)


@pytest.fixture
def panel(qtbot: QtBot, theme: Theme) -> Iterator[DetailsPanel]:
    window = QWidget()
    window.resize(800, 700)
    row = QHBoxLayout(window)
    row.addStretch(1)
    panel = DetailsPanel(theme, window, clock=lambda: NOW)
    row.addWidget(panel)
    qtbot.addWidget(window)
    window.show()
    yield panel
    window.close()


def values(panel: DetailsPanel) -> dict[str, str]:
    return {v.accessibleName(): v.toPlainText() for v in panel.findChildren(Value) if not v.isHidden()}


def test_it_tells_everything_of_a_file(qtbot: QtBot, panel: DetailsPanel) -> None:
    panel.show_details(details())
    qtbot.waitUntil(lambda: panel.width() == WIDTH)
    assert values(panel) == {
        "What happened": what_happened(details().view, NOW),
        "File name": "clip 0007.mov",
        "Where it is here": LONG,
        "Name on the server": "day 3/clip 0007.mov",
        "Size": "2.1 GB (2,100,000,000 bytes)",
        "SHA-256": SHA,
        "Server's id": "remote-1",
        "Server's answer": "too large",
        "Tries": "3",
    }


def test_what_is_not_known_is_not_shown(panel: DetailsPanel) -> None:
    panel.show_details(details(TransferState.QUEUED, sha=None))
    assert "SHA-256" not in values(panel)


def test_a_long_path_wraps_inside_the_panel(qtbot: QtBot, panel: DetailsPanel) -> None:
    panel.show_details(details())
    qtbot.waitUntil(lambda: panel.width() == WIDTH)
    (path,) = [value for value in panel.findChildren(Value) if value.toPlainText() == LONG]
    lines = path.height() // path.fontMetrics().lineSpacing()
    assert (lines >= 4, path.document().idealWidth() <= path.width()) == (True, True)


def test_the_checksum_is_copied(qtbot: QtBot, panel: DetailsPanel) -> None:
    panel.show_details(details())
    (button,) = [b for b in panel.findChildren(QToolButton) if "SHA" in b.toolTip()]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert QApplication.clipboard().text() == SHA


def test_an_update_of_the_same_file_keeps_the_selection(panel: DetailsPanel) -> None:
    panel.show_details(details())
    (sha,) = [value for value in panel.findChildren(Value) if value.toPlainText() == SHA]
    sha.selectAll()
    panel.show_details(details(steps=3))
    assert sha.textCursor().selectedText() == SHA


def test_the_timeline_has_each_step_and_not_endlessly_many(panel: DetailsPanel) -> None:
    def steps() -> list[str]:
        return [
            label.text()
            for label in panel.findChildren(QLabel)
            if "step" in label.text() and not label.isHidden()
        ]

    panel.show_details(details(steps=2))
    few = steps()
    panel.show_details(details(steps=MOST_SHOWN + 40))
    many = steps()
    assert (few, len(many), many[0], many[-1]) == (
        ["step 0", "step 1"],
        MOST_SHOWN + 1,
        "40 earlier steps",
        "step 99",
    )


def test_bytes_that_are_no_text_do_not_hurt(panel: DetailsPanel) -> None:
    panel.show_details(details(source="/tmp/bad\udcff.bin"))
    assert values(panel)["Where it is here"] == "/tmp/bad\ufffd.bin"


def test_it_closes_and_tells(qtbot: QtBot, panel: DetailsPanel) -> None:
    panel.show_details(details())
    qtbot.waitUntil(lambda: panel.width() == WIDTH)
    (close,) = [b for b in panel.findChildren(QToolButton) if "Close" in b.toolTip()]
    with qtbot.waitSignal(panel.closed):
        qtbot.mouseClick(close, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(panel.isHidden)
    assert panel.shown_id is None


def test_a_failure_is_red_and_has_a_word(panel: DetailsPanel, qtbot: QtBot, count_pixels: Count) -> None:
    panel.show_details(details())
    qtbot.waitUntil(lambda: panel.width() == WIDTH)
    word = [label.text() for label in panel.findChildren(QLabel) if label.text() == "Failed"]
    red = count_pixels(panel, LIGHT.failed)
    panel.show_details(details(TransferState.UPLOADING))
    assert (word, red > 5, count_pixels(panel, LIGHT.failed)) == (["Failed"], True, 0)
