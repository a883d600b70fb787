"""The dialogs: what goes in comes out, what is changed is what comes out, and nothing blocks."""

from dataclasses import fields, replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
)
from pytestqt.qtbot import QtBot

from app.domain.batch import IntakeReport, SkippedPath
from app.settings import Settings
from app.settings import Theme as ThemeChoice
from ui.dialogs.report import ReportDialog
from ui.dialogs.settings import SettingsDialog
from ui.theme import Theme

ODD = Settings(
    uploads_at_once=3,
    resume_on_start=False,
    undo_cancel_s=7,
    include_hidden=False,
    exclude=("*.tmp", "with, comma", "with space"),
    speed_limit_bps=1_234_567,
    notify=False,
    close_to_tray=False,
    theme=ThemeChoice.DARK,
    stall_s=15,
    check_for_updates=True,
    update_url="https://updates.example.org/u.json",
    update_key="RWQf6LRCGA9i53ml",
)


def opened(qtbot: QtBot, theme: Theme, settings: Settings, at_sign_in: bool | None = False) -> SettingsDialog:
    dialog = SettingsDialog(settings, theme, at_sign_in)
    qtbot.addWidget(dialog)
    dialog.open()
    return dialog


@pytest.mark.parametrize("settings", [Settings(), ODD], ids=["defaults", "odd"])
def test_settings_that_are_not_touched_come_back_equal(
    qtbot: QtBot, theme: Theme, settings: Settings
) -> None:
    assert opened(qtbot, theme, settings).settings == settings


def test_every_setting_can_be_changed(qtbot: QtBot, theme: Theme) -> None:
    dialog = opened(qtbot, theme, Settings())
    for box in dialog.findChildren(QCheckBox):
        box.toggle()
    for spin in dialog.findChildren(QSpinBox):
        spin.setValue(spin.value() + 5)
    dialog.findChildren(QPlainTextEdit)[0].setPlainText("*.bak\n\n  *.bak \n~*")
    for line in dialog.findChildren(QLineEdit):
        if line.accessibleName() in ("Address", "Public key"):
            line.setText(f"  {line.accessibleName()}\u2028")
    look = dialog.findChildren(QComboBox)[0]
    look.setCurrentIndex(look.findText("Dark"))
    got = dialog.settings
    old = Settings(11, False, 5, False, ("*.bak", "~*"), 5000, False, False, ThemeChoice.DARK, 65, True)
    assert got == replace(old, check_for_updates=True, update_url="Address", update_key="Public key")
    assert all(getattr(got, each.name) != getattr(Settings(), each.name) for each in fields(Settings))


def test_the_appearance_is_shown_at_once_and_taken_back(qtbot: QtBot, theme: Theme) -> None:
    dialog = opened(qtbot, theme, Settings(theme=ThemeChoice.LIGHT))
    look = dialog.findChildren(QComboBox)[0]
    look.setCurrentIndex(look.findText("Dark"))
    previewed = theme.dark
    dialog.reject()
    assert (previewed, theme.dark) == (True, False)


def test_defaults_are_filled_in_but_not_saved(qtbot: QtBot, theme: Theme) -> None:
    dialog = opened(qtbot, theme, ODD)
    box = dialog.findChildren(QDialogButtonBox)[0]
    qtbot.mouseClick(box.button(QDialogButtonBox.StandardButton.RestoreDefaults), Qt.MouseButton.LeftButton)
    assert (dialog.isVisible(), dialog.settings) == (True, Settings())


@pytest.mark.parametrize("at_sign_in", [True, False, None])
def test_what_the_system_does_at_sign_in_is_shown_and_only_a_person_changes_it(
    qtbot: QtBot, theme: Theme, at_sign_in: bool | None
) -> None:
    dialog = opened(qtbot, theme, Settings(), at_sign_in)
    (box,) = (each for each in dialog.findChildren(QCheckBox) if "sign in" in each.text())
    before = dialog.at_sign_in, box.isVisible()
    box.toggle()
    changed = None if at_sign_in is None else not at_sign_in
    assert (*before, dialog.at_sign_in) == (at_sign_in, at_sign_in is not None, changed)


def test_save_accepts(qtbot: QtBot, theme: Theme) -> None:
    dialog = opened(qtbot, theme, replace(ODD, theme=ThemeChoice.LIGHT))
    box = dialog.findChildren(QDialogButtonBox)[0]
    with qtbot.waitSignal(dialog.accepted):
        qtbot.mouseClick(box.button(QDialogButtonBox.StandardButton.Save), Qt.MouseButton.LeftButton)
    assert (dialog.isVisible(), dialog.settings) == (False, replace(ODD, theme=ThemeChoice.LIGHT))


def test_no_sentence_is_cut(qtbot: QtBot, theme: Theme) -> None:
    from PySide6.QtWidgets import QLabel

    dialog = opened(qtbot, theme, Settings())
    cut = [label.text() for label in dialog.findChildren(QLabel) if label.width() < label.sizeHint().width()]
    assert cut == []


REPORT = IntakeReport(
    files=637,
    size_bytes=8_100_000_000,
    folders=12,
    empty_folders=2,
    skipped_count=(("unreadable", 1), ("link", 1002)),
    skipped=(SkippedPath("/home/ada/locked\udcff", "unreadable"), SkippedPath("/home/ada/link", "link")),
)


def test_the_report_names_what_was_not_taken_and_can_be_copied(qtbot: QtBot, theme: Theme) -> None:
    dialog = ReportDialog(REPORT, "Holiday 2026", theme)
    qtbot.addWidget(dialog)
    dialog.open()
    (copy,) = [button for button in dialog.findChildren(QPushButton) if button.text() == "Copy as text"]
    qtbot.mouseClick(copy, Qt.MouseButton.LeftButton)
    lines = QApplication.clipboard().text().splitlines()
    assert [lines[0], lines[4], lines[7], lines[8]] == [
        "Holiday 2026",
        "  /home/ada/locked\ufffd",
        "  /home/ada/link",
        "  and 1,001 more",
    ]


def test_a_report_without_losses_has_no_empty_list(qtbot: QtBot, theme: Theme) -> None:
    from PySide6.QtWidgets import QTreeWidget

    dialog = ReportDialog(IntakeReport(files=1, size_bytes=3), "notes.txt", theme)
    qtbot.addWidget(dialog)
    dialog.open()
    assert dialog.findChildren(QTreeWidget)[0].isHidden()
