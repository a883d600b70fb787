"""The window fed with frames: pages, selection, filters, drops, closing. No engine: what it wants, it says by signals."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, QSettings, Qt, QUrl
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from app.domain.state import BatchState, TransferState
from tests.support.views import EMBEDDED, LAB, NOW, batch, frame, moved, transfer
from ui.actions import Do
from ui.drop import Taken
from ui.models.file_table import StateGroup
from ui.selection import Table
from ui.theme import Theme
from ui.views.main_window import MainWindow

S, B = TransferState, BatchState


@pytest.fixture
def open_window(qtbot: QtBot, theme: Theme, store: QSettings) -> Callable[[], MainWindow]:
    """Opens windows that share their memory."""

    def build() -> MainWindow:
        window = MainWindow(theme, store, lambda: NOW)
        qtbot.addWidget(window)
        window.show()
        return window

    return build


@pytest.fixture
def window(open_window: Callable[[], MainWindow]) -> MainWindow:
    """A new window, before the first frame."""
    return open_window()


def two_batches(window: MainWindow) -> None:
    window.apply(
        frame(
            [
                batch("b1", B.UPLOADING, {S.UPLOADING: 1, S.QUEUED: 2, S.FAILED: 1}),
                batch("b2", B.COMPLETED, {S.COMPLETED: 1}, name="Scans"),
            ]
        )
    )
    window.show_transfers("b1", [transfer(0, S.UPLOADING), transfer(1), transfer(2), transfer(3, S.FAILED)])


def shown(window: MainWindow) -> list[str]:
    return [row.id for row in window.files.model.shown()]


def test_it_begins_empty_and_inviting(window: MainWindow) -> None:
    window.apply(frame())
    assert (window.stack.currentWidget(), window.empty.isVisible()) == (window.empty, True)


def test_what_it_says_while_empty_is_seen_whole_in_wide_letters_too(window: MainWindow) -> None:
    window.apply(frame())
    sentence = next(label for label in window.empty.findChildren(QLabel) if "They go to" in label.text())
    font = sentence.font()
    font.setLetterSpacing(font.SpacingType.PercentageSpacing, 150)
    sentence.setFont(font)
    window.grab()  # lays out
    lines = sentence.heightForWidth(sentence.width()) / sentence.fontMetrics().lineSpacing()
    assert (sentence.height() >= sentence.heightForWidth(sentence.width()), lines > 1.5) == (True, True)


def test_the_first_batch_is_shown_without_being_asked(window: MainWindow) -> None:
    wanted: list[str | None] = []
    window.batch_shown.connect(wanted.append)
    two_batches(window)
    assert (window.stack.currentWidget(), wanted, window.files.bar.name.text()) == (
        window.splitter,
        ["b1"],
        "Holiday",
    )


def test_choosing_another_batch_asks_for_its_rows(window: MainWindow) -> None:
    two_batches(window)
    wanted: list[str | None] = []
    window.batch_shown.connect(wanted.append)
    window.batch_view.select_ids(["b2"], "b2")
    assert (wanted, shown(window), window.files.bar.buttons[StateGroup.UPLOADED].text()) == (
        ["b2"],
        [],
        "Uploaded 1",
    )


def test_an_answer_for_a_former_choice_is_dropped(window: MainWindow) -> None:
    two_batches(window)
    window.batch_view.select_ids(["b2"], "b2")
    window.show_transfers("b1", [transfer(0)])
    assert shown(window) == []


def test_a_new_batch_is_selected_when_its_frame_comes(window: MainWindow) -> None:
    two_batches(window)
    window.select_batch("b9")
    window.apply(frame([batch("b9", name="New")]))
    assert (window.batch_view.selected_ids(), window.shown_batch and window.shown_batch.name) == (
        ["b9"],
        "New",
    )


def test_when_the_shown_batch_leaves_another_takes_its_place(window: MainWindow) -> None:
    two_batches(window)
    window.apply(frame(removed=["b1"]))
    assert window.batch_view.selected_ids() == ["b2"]


def test_when_all_have_left_it_is_empty_again(window: MainWindow) -> None:
    two_batches(window)
    window.apply(frame(removed=["b1", "b2"]))
    assert (window.stack.currentWidget(), window.shown_batch) == (window.empty, None)


def test_the_state_buttons_filter(qtbot: QtBot, window: MainWindow) -> None:
    two_batches(window)
    qtbot.mouseClick(window.files.bar.buttons[StateGroup.FAILED], Qt.MouseButton.LeftButton)
    failed = shown(window)
    window.top.filter.setText("000001")
    neither = (shown(window), window.files.table.hint)
    qtbot.mouseClick(window.files.bar.buttons[StateGroup.ALL], Qt.MouseButton.LeftButton)
    assert (failed, neither, shown(window)) == (
        ["t3"],
        ([], "No file of this batch fits the filter."),
        ["t1"],
    )


def test_cancelling_shows_in_the_next_frame(window: MainWindow) -> None:
    two_batches(window)
    window.apply(frame(transfers=[moved(transfer(0), S.CANCELLING)]))
    state = [column.key for column in window.files.model.columns].index("state")
    assert window.files.model.index(0, state).data().startswith("Cancelling")


def test_actions_follow_the_selection_and_the_frames(window: MainWindow) -> None:
    two_batches(window)
    before = window.actions_[Do.CANCEL_FILE].isEnabled()
    window.files.table.select_ids(["t0"], "t0")
    selected = window.actions_[Do.CANCEL_FILE].isEnabled()
    window.apply(frame(transfers=[transfer(0, S.COMPLETED)]))
    assert (before, selected, window.actions_[Do.CANCEL_FILE].isEnabled()) == (False, True, False)


def test_the_table_that_was_used_last_says_what_pause_means(qtbot: QtBot, window: MainWindow) -> None:
    two_batches(window)
    window.files.table.select_ids(["t0"], "t0")
    with qtbot.waitActive(window):
        window.activateWindow()
    window.files.table.setFocus()
    on_files = window.selection()
    window.batch_view.setFocus()
    assert (on_files.on_files, window.selection().table) == (True, Table.BATCHES)


def test_the_server_that_drops_go_to_is_remembered(open_window: Callable[[], MainWindow]) -> None:
    first = open_window()
    first.apply(frame(servers=[EMBEDDED, LAB]))
    entries = first.top.server.menu().actions()
    entries[1].trigger()
    second = open_window()
    second.apply(frame(servers=[EMBEDDED, LAB]))
    assert ([entry.text() for entry in entries], second.top.server_id, second.top.server_name) == (
        ["This computer", "lab", "", "Ser&vers…", "Add a s&erver…"],
        "lab",
        "lab",
    )


def test_a_server_that_is_gone_gives_way_to_the_first(window: MainWindow, store: QSettings) -> None:
    store.setValue("server", "gone")
    window.apply(frame(servers=[EMBEDDED, LAB]))
    assert window.top.server_id == "embedded"


def test_size_and_columns_are_there_again(open_window: Callable[[], MainWindow]) -> None:
    first = open_window()
    first.resize(733, 555)
    first.files.table.columns.resizeSection(0, 277)
    first.close()
    second = open_window()
    assert (second.width(), second.height(), second.files.table.columns.sectionSize(0)) == (733, 555, 277)


def test_closing_is_decided_elsewhere(window: MainWindow) -> None:
    wishes: list[int] = []
    window.close_wanted.connect(lambda: wishes.append(1))
    event = QCloseEvent()
    window.closeEvent(event)
    assert (event.isAccepted(), wishes) == (False, [1])


# Drag and drop: real events, as Qt makes them


def mime(*addresses: str, text: str = "") -> QMimeData:
    data = QMimeData()
    if addresses:
        data.setUrls([QUrl(address) for address in addresses])
    if text:
        data.setText(text)
    return data


LEFT, NO_KEYS = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
MOVE_OR_COPY = Qt.DropAction.MoveAction | Qt.DropAction.CopyAction


def enter(window: MainWindow, data: QMimeData) -> QDragEnterEvent:
    event = QDragEnterEvent(QPoint(200, 200), MOVE_OR_COPY, data, LEFT, NO_KEYS)
    event.setDropAction(Qt.DropAction.MoveAction)
    QApplication.sendEvent(window, event)
    return event


def drop(window: MainWindow, data: QMimeData) -> QDropEvent:
    event = QDropEvent(QPointF(200, 200), MOVE_OR_COPY, data, LEFT, NO_KEYS)
    event.setDropAction(Qt.DropAction.MoveAction)
    QApplication.sendEvent(window, event)
    return event


def test_a_drop_is_taken_as_a_copy(window: MainWindow) -> None:
    """A move would let the file manager delete the originals, so the answer is Copy whatever was proposed."""
    taken: list[Taken] = []
    window.dropped.connect(taken.append)
    data = mime("file:///tmp/a%20b", "mtp://phone/DCIM")
    entering = enter(window, data)
    overlay = window.overlay.isVisible()
    event = drop(window, data)
    assert (
        (entering.isAccepted(), entering.dropAction(), overlay),
        (event.isAccepted(), event.dropAction()),
        taken,
    ) == (
        (True, Qt.DropAction.CopyAction, True),
        (True, Qt.DropAction.CopyAction),
        [Taken(("/tmp/a b",), ("mtp://phone/DCIM",))],
    )


def test_moving_over_the_window_stays_welcome(window: MainWindow) -> None:
    data = mime("file:///tmp/a")
    enter(window, data)
    event = QDragMoveEvent(QPoint(300, 300), MOVE_OR_COPY, data, LEFT, NO_KEYS)
    QApplication.sendEvent(window, event)
    assert (event.isAccepted(), event.dropAction()) == (True, Qt.DropAction.CopyAction)


def test_plain_text_is_not_welcome(window: MainWindow) -> None:
    taken: list[Taken] = []
    window.dropped.connect(taken.append)
    data = mime(text="just words")
    assert (enter(window, data).isAccepted(), drop(window, data).isAccepted(), taken) == (False, False, [])


def test_no_child_takes_a_drop_for_itself(window: MainWindow) -> None:
    """Anywhere in the window means over the tables and the filter field, too."""
    own = [
        child.objectName() or type(child).__name__
        for child in window.findChildren(QWidget)
        if child.acceptDrops() and child.isVisible()
    ]
    assert own == []


def test_every_control_has_a_name(window: MainWindow) -> None:
    """What a screen reader says of it: its own name, or the text on it."""
    two_batches(window)
    controls = [
        child
        for child in window.findChildren(QWidget)
        if isinstance(child, QAbstractButton | QLineEdit | QComboBox) and child.isVisibleTo(window)
    ]
    mute = [
        child.objectName() or type(child).__name__
        for child in controls
        if not child.accessibleName() and not getattr(child, "text", str)()
    ]
    assert (len(controls) > 10, mute) == (True, [])
