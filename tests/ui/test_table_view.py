"""The tables as views: a selection that follows its rows, columns that are remembered, keys, text to copy."""

import pytest
from PySide6.QtCore import QEvent, QModelIndex, QObject, QSettings, Qt
from PySide6.QtGui import QImage, QPaintEvent
from PySide6.QtWidgets import QAbstractItemView, QApplication
from pytestqt.qtbot import QtBot

from app.domain.state import TransferState
from app.domain.transfer import TransferView
from tests.support.views import NOW, frame, moved, transfer
from ui.models.file_table import FileTable, StateGroup
from ui.models.row_table import Index
from ui.theme import Theme
from ui.views.table import TableView, table_text

S = TransferState
ASCENDING, DESCENDING = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


@pytest.fixture
def table(qtbot: QtBot, theme: Theme) -> TableView[TransferView]:
    """Ten files of growing size on the screen."""
    return show(qtbot, theme, 10)


def show(
    qtbot: QtBot, theme: Theme, count: int, model_type: type[FileTable] = FileTable
) -> TableView[TransferView]:
    model = model_type(lambda: NOW)
    model.expect("b1")
    model.show(
        "b1", [transfer(n, size_bytes=n, folder="even" if n % 2 == 0 else "odd") for n in range(count)]
    )
    view: TableView[TransferView] = TableView(model, theme, "Files")
    model.setParent(view)
    view.resize(900, 400)
    qtbot.addWidget(view)
    view.show()
    return view


def files(view: TableView[TransferView]) -> FileTable:
    assert isinstance(view.rows, FileTable)
    return view.rows


def size_column(view: TableView[TransferView]) -> int:
    return [column.key for column in view.rows.columns].index("size")


def test_the_selection_follows_its_rows(table: TableView[TransferView]) -> None:
    """Rows change places under it, and nobody is told that something else is selected."""
    table.select_ids(["t1", "t2", "t7"], "t7")
    told: list[int] = []
    table.selection_changed.connect(lambda: told.append(1))
    table.sortByColumn(size_column(table), DESCENDING)
    assert (set(table.selected_ids()), table.current_id(), told) == ({"t1", "t2", "t7"}, "t7", [])


def test_a_row_that_the_filter_hides_is_no_longer_selected(table: TableView[TransferView]) -> None:
    table.select_ids(["t1", "t2"], "t2")
    told: list[int] = []
    table.selection_changed.connect(lambda: told.append(1))
    files(table).filter_by("even", StateGroup.ALL)
    assert (table.selected_ids(), len(told)) == (["t2"], 1)


def test_everything_selected_survives_a_sort(qtbot: QtBot, theme: Theme) -> None:
    table = show(qtbot, theme, 100_000)
    table.selectAll()
    table.sortByColumn(size_column(table), DESCENDING)
    assert len(table.selected_ids()) == 100_000


class Asked(FileTable):
    """Counts how often the view asks how many rows there are, as it does before it asks for a cell."""

    times = 0

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own signature
        """Count, and answer."""
        self.times += 1
        return super().rowCount(parent)


def test_a_header_is_painted_without_a_look_at_every_selected_row(qtbot: QtBot, theme: Theme) -> None:
    table = show(qtbot, theme, 2_000, Asked)
    table.selectAll()
    before = table.rows.times
    table.columns.grab()
    assert table.rows.times - before < 200


def test_every_other_row_of_many_survives_a_sort(qtbot: QtBot, theme: Theme) -> None:
    """The worst for a selection of ranges: none of them touch."""
    table = show(qtbot, theme, 4_000)
    chosen = [f"t{n}" for n in range(0, 4_000, 2)]
    table.select_ids(chosen)
    table.sortByColumn(0, DESCENDING)
    assert table.selected_ids() == chosen[::-1]


def test_the_view_stays_where_it_is_when_rows_move(qtbot: QtBot, theme: Theme) -> None:
    table = show(qtbot, theme, 1_000)
    table.verticalScrollBar().setValue(3_000)
    table.sortByColumn(size_column(table), DESCENDING)
    assert table.verticalScrollBar().value() == 3_000


def test_a_tick_puts_rows_in_their_place(table: TableView[TransferView]) -> None:
    progress = [column.key for column in table.rows.columns].index("progress")
    table.sortByColumn(progress, DESCENDING)
    files(table).take(frame(transfers=[moved(transfer(9, size_bytes=9), S.UPLOADING, 5)]))
    table.tick()
    assert table.rows.row_at(0).id == "t9"


def test_the_columns_are_remembered(qtbot: QtBot, theme: Theme, store: QSettings) -> None:
    first, second = show(qtbot, theme, 1), show(qtbot, theme, 1)
    header = first.columns
    header.moveSection(header.visualIndex(size_column(first)), 0)
    header.resizeSection(size_column(first), 133)
    header.setSectionHidden(5, True)
    first.sortByColumn(size_column(first), DESCENDING)
    first.remember(store, "files")
    second.recall(store, "files")
    again = second.columns
    assert (
        [again.logicalIndex(place) for place in range(again.count())],
        again.sectionSize(size_column(second)),
        again.isSectionHidden(5),
        (again.sortIndicatorSection(), again.sortIndicatorOrder()),
    ) == (
        [header.logicalIndex(place) for place in range(header.count())],
        133,
        True,
        (size_column(first), DESCENDING),
    )


@pytest.mark.parametrize(
    "written",
    ["", "{", "[]", "null", '{"order": 5}', '{"widths": {"name": "wide"}}', '{"order": ["gone", "size"]}'],
)
def test_damaged_memory_is_no_trouble(qtbot: QtBot, theme: Theme, store: QSettings, written: str) -> None:
    store.setValue("files", written)
    table = show(qtbot, theme, 1)
    table.recall(store, "files")
    assert sorted(table.columns.logicalIndex(place) for place in range(table.columns.count())) == list(
        range(7)
    )


def test_columns_can_be_chosen(table: TableView[TransferView]) -> None:
    """The first column stays: a table without it would name nothing."""
    from PySide6.QtWidgets import QMenu

    menu = QMenu(table)
    table.columns.fill_menu(menu)
    ticks = {action.text(): action for action in menu.actions() if action.isCheckable()}
    ticks["Folder"].setChecked(False)
    titles = [column.title for column in table.visible_columns()]
    assert ("Folder" in titles, ticks["Name"].isEnabled()) == (False, False)


def test_rows_are_copied_as_they_stand(table: TableView[TransferView]) -> None:
    header = table.columns
    for hidden in (1, 3, 4, 5, 6):
        header.setSectionHidden(hidden, True)
    header.moveSection(header.visualIndex(size_column(table)), 0)
    table.select_ids(["t1", "t2"])
    text = table_text(table.visible_columns(), table.selected_rows(), NOW)
    assert text == "Size\tName\n1 B\tfile 000001.bin\n2 B\tfile 000002.bin\n"


def test_a_name_cannot_break_the_copied_lines(table: TableView[TransferView]) -> None:
    row = transfer(0, name="two\nlines\tand  blanks.txt")
    assert table_text([table.rows.columns[0]], [row], NOW) == "Name\ntwo lines and  blanks.txt\n"


def test_home_and_end_go_to_the_first_and_last_row(qtbot: QtBot, table: TableView[TransferView]) -> None:
    table.select_ids(["t4"], "t4")
    qtbot.keyClick(table, Qt.Key.Key_End)
    end = table.current_id()
    qtbot.keyClick(table, Qt.Key.Key_Home)
    assert (end, table.current_id()) == ("t9", "t0")


def test_typing_finds_a_name(qtbot: QtBot, table: TableView[TransferView]) -> None:
    files(table).take(frame(transfers=[transfer(20, name="Zebra.txt")]))
    table.select_ids(["t4"], "t4")
    qtbot.keyClicks(table, "ze")
    assert table.current_id() == "t20"


def test_tab_leaves_the_table(table: TableView[TransferView]) -> None:
    """A person with a keyboard is not caught in 700,000 cells."""
    assert (table.tabKeyNavigation(), table.selectionBehavior()) == (
        False,
        QAbstractItemView.SelectionBehavior.SelectRows,
    )


def painted(view: TableView[TransferView]) -> QImage:
    return view.viewport().grab().toImage()


def test_progress_is_painted_in_the_colour_of_its_state(table: TableView[TransferView], theme: Theme) -> None:
    """The bar of each state, looked at in the middle of its filled half."""
    states = {S.UPLOADING: "accent", S.COMPLETED: "done", S.FAILED: "failed", S.PAUSED: "rest"}
    rows = [moved(transfer(n, size_bytes=1000), state, 1000) for n, state in enumerate(states)]
    files(table).take(frame(transfers=rows))
    image, ratio = painted(table), table.devicePixelRatioF()
    column = [each.key for each in table.rows.columns].index("progress")
    seen = []
    for n in range(len(states)):
        cell = table.visualRect(table.rows.index(n, column))
        x, y = cell.left() + 60, cell.center().y() + 1
        seen.append(image.pixelColor(round(x * ratio), round(y * ratio)).name())
    assert seen == [getattr(theme.colours, name).name() for name in states.values()]


def test_the_bar_grows_from_the_right_where_people_read_so(
    qtbot: QtBot, table: TableView[TransferView], theme: Theme
) -> None:
    table.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    files(table).take(frame(transfers=[moved(transfer(0, size_bytes=1000), S.UPLOADING, 500)]))
    image, ratio = painted(table), table.devicePixelRatioF()
    column = [each.key for each in table.rows.columns].index("progress")
    cell = table.visualRect(table.rows.index(0, column))
    y = round((cell.center().y() + 1) * ratio)
    near, far = (image.pixelColor(round(x * ratio), y).name() for x in (cell.right() - 30, cell.left() + 70))
    assert (near, far) == (theme.colours.accent.name(), theme.colours.track.name())


def test_an_empty_table_says_why(qtbot: QtBot, theme: Theme) -> None:
    table = show(qtbot, theme, 0)
    plain = painted(table)
    table.hint = "No file of this batch fits the filter."
    assert painted(table) != plain


def test_the_keyboard_s_row_is_framed(qtbot: QtBot, table: TableView[TransferView], theme: Theme) -> None:
    """After Ctrl+Down nothing but the frame says where the keyboard is."""
    with qtbot.waitActive(table):
        table.activateWindow()
    table.setFocus()
    table.select_ids(["t0"], "t0")
    qtbot.keyClick(table, Qt.Key.Key_Down, Qt.KeyboardModifier.ControlModifier)
    image, ratio = painted(table), table.devicePixelRatioF()
    tops = [table.visualRect(table.rows.index(row, 1)) for row in (0, 1)]
    seen = [
        image.pixelColor(round(rect.center().x() * ratio), round(rect.top() * ratio)).name() for rect in tops
    ]
    assert seen == [theme.colours.selection.name(), theme.colours.accent.name()]


class Painted(QObject):
    """Hears which parts of a widget are really painted."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.widths: list[int] = []

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QPaintEvent):
            self.widths.append(event.region().boundingRect().width())
        return False


def test_the_frame_is_painted_whole_after_a_key_that_moves_nothing(
    qtbot: QtBot, table: TableView[TransferView]
) -> None:
    heard = Painted(table)
    with qtbot.waitActive(table):
        table.activateWindow()
    table.setFocus()
    table.select_ids(["t0"], "t0")
    QApplication.processEvents()
    table.viewport().installEventFilter(heard)
    qtbot.keyClick(table, Qt.Key.Key_F12)
    qtbot.waitUntil(lambda: bool(heard.widths))
    assert max(heard.widths) == table.viewport().width()
