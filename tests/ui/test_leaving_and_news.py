"""What closing means, and what is told of the engine's events; window and bridge are real, the engine is not needed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QFileDialog, QListView, QTreeView
from pytestqt.qtbot import QtBot

from app.autostart import DesktopEntry
from app.domain.batch import IntakeReport
from app.domain.events import BatchEnded, CancelEnded, EngineNotice, IntakeEnded
from app.domain.failure import Failure, FailureKind, TransferError
from app.domain.state import BatchState, CancelEnding, TransferState
from app.places import Places
from app.settings import Settings, SettingsError
from tests.support.views import NOW, batch, frame, transfer
from tests.ui.waiting import eventually
from ui.bridge import Bridge
from ui.choose import choose_folders, folder_dialog
from ui.commands import Commands
from ui.leaving import Leaving
from ui.loop import Tasks
from ui.models.file_table import StateGroup
from ui.news import News, trouble_text
from ui.notify import Notifier
from ui.theme import Theme
from ui.tray import TrayIcon
from ui.views.main_window import MainWindow

S, B = TransferState, BatchState


class VisibleTray(TrayIcon):
    """A tray as on a desktop that has one; what it was asked to show is in ``messages``."""

    there = True

    def __init__(self, theme: Theme, parent: MainWindow) -> None:
        self.messages: list[tuple[str, str]] = []
        super().__init__(theme, parent)

    @property
    def available(self) -> bool:
        return self.there

    def show_message(self, title: str, body: str) -> bool:
        self.messages.append((title, body))
        return True


class House:
    """The window and what decides about it, without an engine."""

    def __init__(self, theme: Theme, store: QSettings, home: Path) -> None:
        self.window = MainWindow(theme, store, lambda: NOW)
        self.tray = VisibleTray(theme, self.window)
        self.tasks = Tasks(lambda error: None)
        self.bridge = Bridge(Places(home, home), Settings(), self.window)
        self.autostart = DesktopEntry(home / "autostart" / "uphaul.desktop", ("uphaul",), "uphaul")
        self.commands = Commands(self.window, self.bridge, self.tasks, theme, Settings(), self.autostart)
        self.notifier = Notifier(self.tray, self.window)
        self.quits: list[int] = []
        self.leaving = Leaving(
            self.window,
            self.commands,
            self.tasks,
            self.tray,
            self.notifier,
            store,
            lambda: self.quits.append(1),
        )
        self.news = News(
            self.window, self.bridge, self.commands, self.tasks, self.notifier, self.leaving.show_window
        )
        self.window.show()

    def busy(self) -> None:
        """Let a batch be on its way."""
        self.window.apply(frame([batch("b1", B.UPLOADING, {S.UPLOADING: 1})]))


@pytest.fixture
async def house(
    theme: Theme, store: QSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """A house on a desktop with a tray and without a notification service."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "disabled:")
    house = House(theme, store, tmp_path)
    yield house
    await house.tasks.close()
    house.commands.close()
    house.window.hide()
    house.window.deleteLater()


async def test_with_a_tray_it_goes_on_there_and_says_so_once(house: House) -> None:
    house.busy()
    house.window.close()
    hidden = not house.window.isVisible()
    house.leaving.show_window()
    house.window.close()
    assert (hidden, house.window.isVisible(), house.quits, len(house.tray.messages)) == (True, False, [], 1)


async def test_when_the_tray_goes_the_window_comes_back(house: House) -> None:
    house.busy()
    house.window.close()
    house.tray.there = False
    house.leaving._watch.timeout.emit()
    assert house.window.isVisible()


@pytest.mark.parametrize("there", [True, False])
async def test_begun_without_its_window_it_shows_it_if_no_tray_comes(
    house: House, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """A hidden program without a tray could not be reached."""
    monkeypatch.setattr("ui.leaving.PANEL_MS", 1)
    house.window.hide()
    house.tray.there = there
    house.leaving.wait_in_tray()
    await eventually(house.leaving._watch.isActive if there else house.window.isVisible)
    assert (house.window.isVisible(), house.leaving._watch.isActive()) == (not there, there)


async def test_with_nothing_to_do_closing_quits(house: House) -> None:
    house.window.apply(frame([batch("b1", B.COMPLETED, {S.COMPLETED: 1})]))
    house.window.close()
    house.window.close()
    assert (house.quits, house.window.windowTitle()) == ([1], "Uphaul – finishing…")


async def test_the_tray_is_not_used_if_the_person_does_not_want_it(house: House) -> None:
    house.commands.settings = replace(house.commands.settings, close_to_tray=False)
    house.busy()
    house.window.close()
    await asyncio.sleep(0.01)
    assert (house.window.isVisible(), house.window.isActiveWindow(), house.quits) == (True, False, [])


async def test_a_batch_that_ends_is_one_notification(house: House) -> None:
    house.news.tell(BatchEnded(batch("b1", B.COMPLETED, {S.COMPLETED: 3})))
    assert [title for title, _body in house.tray.messages] == ["Holiday is uploaded"]


async def test_no_notification_for_a_person_who_wants_none(house: House) -> None:
    house.commands.settings = replace(house.commands.settings, notify=False)
    house.news.tell(BatchEnded(batch("b1", B.COMPLETED, {S.COMPLETED: 3})))
    assert house.tray.messages == []


async def test_show_brings_the_window_with_what_failed(house: House) -> None:
    ended = batch("b2", B.PARTIAL, {S.COMPLETED: 1, S.FAILED: 1})
    house.window.apply(frame([batch("b1", B.COMPLETED), ended]))
    house.window.hide()
    house.news.tell(BatchEnded(ended))
    house.tray.message_clicked.emit()
    house.window.show_transfers(
        "b2", [transfer(0, S.COMPLETED, batch_id="b2"), transfer(1, S.FAILED, batch_id="b2")]
    )
    assert (
        house.window.isVisible(),
        house.window.batch_view.selected_ids(),
        house.window.files.bar.group,
        [row.id for row in house.window.files.model.shown()],
    ) == (True, ["b2"], StateGroup.FAILED, ["t1"])


@pytest.mark.parametrize(
    ("counts", "offers_to_delete"),
    [
        (((CancelEnding.CANCELLED, 12),), False),
        (((CancelEnding.CANCELLED, 12), (CancelEnding.FINISHED_FIRST, 3)), True),
    ],
)
async def test_the_ending_of_a_cancel_is_said(
    house: House, counts: tuple[tuple[str, int], ...], offers_to_delete: bool
) -> None:
    house.news.tell(CancelEnded("b1", "Holiday", whole_batch=True, counts=counts))
    notices = house.window.notices
    assert (notices.text.startswith("Cancelled"), "Delete" in notices._action.text()) == (
        True,
        offers_to_delete,
    )


@pytest.mark.parametrize(
    ("skipped", "said"),
    [
        ((), ""),
        ((("link", 1),), "1 file of “Holiday” was not taken."),
        ((("link", 9), ("special", 3)), "12 files of “Holiday” were not taken."),
    ],
)
async def test_what_was_not_taken_is_said(
    house: House, skipped: tuple[tuple[str, int], ...], said: str
) -> None:
    house.news.tell(IntakeEnded(batch("b1", report=IntakeReport(files=1, skipped_count=skipped))))
    assert house.window.notices.text == said


async def test_the_engine_s_own_sentences_are_passed_on(house: House) -> None:
    house.news.tell(EngineNotice("Another Uphaul is working on Holiday."))
    assert house.window.notices.text == "Another Uphaul is working on Holiday."


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SettingsError("The settings could not be written."), "The settings could not be written."),
        (ValueError("list index"), "Something went wrong inside Uphaul"),
    ],
)
def test_trouble_in_words(error: Exception, words: str) -> None:
    assert trouble_text(error).startswith(words)


def test_a_failure_of_the_server_is_in_words() -> None:
    text = trouble_text(TransferError(Failure(FailureKind.BUSY, "server says: go away", http_status=503)))
    assert (text[:1].isupper(), "go away" in text or "busy" in text) == (True, True)


async def test_several_folders_can_be_chosen_at_once(house: House, tmp_path: Path) -> None:
    """In Qt's own dialog, by what its list has selected."""
    for name in ("one", "two", "three"):
        (tmp_path / "pick" / name).mkdir(parents=True)

    def dialogs() -> list[QFileDialog]:
        return house.window.findChildren(QFileDialog)

    choosing = asyncio.ensure_future(choose_folders(house.window))
    await eventually(lambda: bool(dialogs()))
    dialog = dialogs()[0]
    dialog.setDirectory(str(tmp_path / "pick"))
    view = dialog.findChild(QListView, "listView")
    await eventually(lambda: view.model().rowCount(view.rootIndex()) == 3)
    view.selectAll()
    dialog.accept()
    assert sorted(Path(path).name for path in await choosing) == ["one", "three", "two"]


def test_both_views_of_the_folder_dialog_take_several(qtbot: QtBot) -> None:
    from PySide6.QtWidgets import QAbstractItemView, QWidget

    parent = QWidget()
    qtbot.addWidget(parent)
    dialog = folder_dialog(parent)
    views = [dialog.findChild(QListView, "listView"), dialog.findChild(QTreeView, "treeView")]
    assert {view.selectionMode() for view in views} == {QAbstractItemView.SelectionMode.ExtendedSelection}
