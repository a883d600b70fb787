"""The about dialog: versions, updates, and each part with its whole licence."""

from datetime import UTC, datetime

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QListWidget, QPlainTextEdit, QPushButton
from pytestqt.qtbot import QtBot

from app import __version__
from app.licences import components
from app.update_file import Download, Newer, Newest, Outcome, Release, Unknown, Why
from ui.dialogs.about import AboutDialog
from ui.dialogs.parts import Mood
from ui.theme import Theme

RELEASE = Release(
    "9.0.0",
    datetime(2026, 12, 1, tzinfo=UTC),
    "Faster.",
    (Download("linux-deb", "https://a.example/u.deb", "ab" * 32, 40_000_000),),
)


@pytest.fixture
def dialog(qtbot: QtBot, theme: Theme) -> AboutDialog:
    dialog = AboutDialog(theme)
    qtbot.addWidget(dialog)
    dialog.open()
    return dialog


def button(dialog: AboutDialog, text: str) -> QPushButton:
    (found,) = [each for each in dialog.findChildren(QPushButton) if each.text() == text]
    return found


def reader(dialog: AboutDialog, name: str) -> QPlainTextEdit:
    (found,) = [each for each in dialog.findChildren(QPlainTextEdit) if each.accessibleName() == name]
    return found


def test_each_part_has_its_whole_licence(dialog: AboutDialog) -> None:
    parts = components()
    dialog.show_parts(parts)
    (names,) = dialog.findChildren(QListWidget)
    shown = []
    for row in range(names.count()):
        names.setCurrentRow(row)
        shown.append(reader(dialog, "Licence").toPlainText().split())
    assert shown == [part.text.split() for part in parts]


def test_the_first_one_shown_is_our_own(dialog: AboutDialog) -> None:
    dialog.show_parts(components())
    assert "MIT License" in reader(dialog, "Licence").toPlainText()
    assert any(__version__ in line for line in dialog.words)


def test_the_button_asks_and_waits(qtbot: QtBot, dialog: AboutDialog) -> None:
    with qtbot.waitSignal(dialog.check_wanted):
        qtbot.mouseClick(button(dialog, "Check for updates"), Qt.MouseButton.LeftButton)
    dialog.show_checking()
    assert (button(dialog, "Check for updates").isEnabled(), dialog.said.mood) == (False, Mood.BUSY)


@pytest.mark.parametrize(
    "outcome, mood, news",
    [
        (Newest(RELEASE), Mood.GOOD, False),
        (Newer(RELEASE), Mood.GOOD, True),
        (Unknown(Why.TAMPERED), Mood.BAD, False),
    ],
)
def test_what_was_found_is_said(dialog: AboutDialog, outcome: Outcome, mood: Mood, news: bool) -> None:
    dialog.show_checking()
    dialog.show_outcome(outcome)
    enabled = button(dialog, "Check for updates").isEnabled()
    assert (dialog.said.mood, reader(dialog, "What is new").isVisible(), enabled) == (mood, news, True)


def test_a_newer_version_has_notes_address_and_sum(dialog: AboutDialog) -> None:
    dialog.show_outcome(Newer(RELEASE))
    assert reader(dialog, "What is new").toPlainText().splitlines() == [
        "Faster.",
        "",
        "linux-deb, 40.0 MB: https://a.example/u.deb",
        f"SHA-256 {'ab' * 32}",
    ]


def test_it_can_be_copied_as_text(qtbot: QtBot, dialog: AboutDialog) -> None:
    dialog.show_parts(components())
    qtbot.mouseClick(button(dialog, "Copy as text"), Qt.MouseButton.LeftButton)
    lines = QApplication.clipboard().text().splitlines()
    assert (lines[0], any(line.startswith("httpx 0.28") for line in lines)) == (f"Uphaul {__version__}", True)
