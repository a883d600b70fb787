"""The base of both tables: rows of one height, a selection that follows its rows, columns that are remembered."""

import time
from typing import Any, Generic, TypeVar

from PySide6.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QRect,
    QSettings,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractItemView, QApplication, QTableView, QWidget

from ui.delegates.row import ROW_HEIGHT, RowDelegate
from ui.models.row_table import Row, RowTable, merge_ranges
from ui.theme import Theme, motion_reduced
from ui.views.header import ColumnHeader

R = TypeVar("R", bound=Row)

SETTLE_MS = 1000
TYPING_PAUSE_S = 1.0
_BREAKS = {ord(sign): " " for sign in "\t\n\r\v\f\x85\u2028\u2029"}
_KEEP = QItemSelectionModel.SelectionFlag.NoUpdate


class TableView(QTableView, Generic[R]):
    """A table of row objects. ``selection_changed`` fires only when other *rows* are selected, not when they move."""

    selection_changed = Signal()

    def __init__(self, model: RowTable[R], theme: Theme, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = model
        self.hint = ""
        self._held: tuple[list[str], str | None] = ([], None)
        self._moving = False
        self._by_keyboard = False
        self._typed, self._typed_at = "", 0.0
        self._theme = theme
        self.setAccessibleName(title)
        self._dress(title)
        self.setModel(model)
        self._painter = RowDelegate(model, theme, self)
        self.setItemDelegate(self._painter)
        # A selection of its own, for ever empty: else each paint of the header asks for every cell whether all rows are
        # selected, which takes a second with 100,000 of them.
        self.columns.setSelectionModel(QItemSelectionModel(model, self.columns))
        self.columns.reset_layout()
        self.setSortingEnabled(True)
        self._connect()

    def _dress(self, title: str) -> None:
        self.columns = ColumnHeader(self.rows.columns, title, self)
        self.setHorizontalHeader(self.columns)
        rows = self.verticalHeader()
        rows.setSectionResizeMode(rows.ResizeMode.Fixed)
        rows.setDefaultSectionSize(ROW_HEIGHT)
        rows.hide()
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setFrameShape(QTableView.Shape.NoFrame)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)

    def _connect(self) -> None:
        self.rows.about_to_rearrange.connect(self._hold)
        self.rows.rearranged.connect(self._let_go)
        self.rows.rowsInserted.connect(self._rows_came)
        self.selectionModel().selectionChanged.connect(self._selected)
        self.selectionModel().currentRowChanged.connect(lambda *_: self.viewport().update())
        self._theme.changed.connect(self.viewport().update)
        self._ticker = QTimer(self, interval=SETTLE_MS)
        self._ticker.timeout.connect(self.tick)
        self._ticker.start()

    # The selection, by ids

    def selected_ids(self) -> list[str]:
        """Return the ids of the selected rows, from the top."""
        return [row.id for row in self.selected_rows()]

    def selected_rows(self) -> list[R]:
        """Return the selected row objects, from the top."""
        shown = self.rows.shown()
        return [row for top, bottom in sorted(self._ranges()) for row in shown[top : bottom + 1]]

    def _ranges(self) -> list[tuple[int, int]]:
        return [(part.top(), part.bottom()) for part in self.selectionModel().selection().toList()]

    def current_id(self) -> str | None:
        """Return the id of the row that the keyboard is on."""
        index = self.currentIndex()
        return self.rows.row_at(index.row()).id if index.isValid() else None

    def select_ids(self, ids: list[str], current: str | None = None) -> None:
        """Select exactly these rows (those that are shown) and put the keyboard on *current*."""
        last = len(self.rows.columns) - 1
        selection = QItemSelection()
        for top, bottom in self._places(ids):
            selection.select(self.rows.index(top, 0), self.rows.index(bottom, last))
        place = self.rows.place(current) if current is not None else None
        if place is not None:
            self.selectionModel().setCurrentIndex(self.rows.index(place, self._first_column()), _KEEP)
        self.selectionModel().select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def _places(self, ids: list[str]) -> list[tuple[int, int]]:
        """Return the ranges in which these rows are shown."""
        found = [place for row_id in ids if (place := self.rows.place(row_id)) is not None]
        if found and len(found) == self.rows.rowCount():
            return [(0, len(found) - 1)]
        return merge_ranges(found, most=len(found))

    def _hold(self) -> None:
        """The order is about to change: keep what is selected by its ids, and let Qt have nothing to carry over."""
        self._held = (self.selected_ids(), self.current_id())
        self._moving = True
        self.selectionModel().reset()

    def _let_go(self) -> None:
        ids, current = self._held
        self.select_ids(ids, current)
        self._held = ([], None)
        self._moving = False
        if sum(bottom - top + 1 for top, bottom in self._ranges()) != len(ids):
            self.selection_changed.emit()

    def _selected(self, *_: object) -> None:
        if not self._moving:
            self.selection_changed.emit()

    def _rows_came(self) -> None:
        if self.hint:
            self.viewport().update()

    # What moves by itself

    def tick(self) -> None:
        """Once a second: put rows where they belong now, and repaint what depends on the clock."""
        if not QApplication.mouseButtons() & Qt.MouseButton.LeftButton:  # never under somebody's hand
            self.rows.settle()
        for place, column in enumerate(self.rows.columns):
            if column.ticks and not self.isColumnHidden(place):
                self.viewport().update(self._strip(place))

    def animate(self) -> None:
        """Repaint the striped bars that can be seen; called at the pace of the frames."""
        if motion_reduced() or not self.isVisible():
            return
        first = max(0, self.rowAt(0))
        bottom = self.rowAt(self.viewport().height() - 1)
        last = bottom if bottom >= 0 else self.rows.rowCount() - 1
        for place, column in enumerate(self.rows.columns):
            if column.bar is None or self.isColumnHidden(place):
                continue
            for row in range(first, last + 1):
                if column.bar(self.rows.row_at(row)).stripes:
                    self.update(self.rows.index(row, place))

    def _strip(self, column: int) -> QRect:
        return QRect(
            self.columnViewportPosition(column), 0, self.columnWidth(column), self.viewport().height()
        )

    # Keys

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """From the first key on, the row that the keyboard is on is framed; a click takes the frame away."""
        self._frame(by_keyboard=True)
        super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Coming by Tab shows at once where the keyboard is."""
        self._by_keyboard = event.reason() in {
            Qt.FocusReason.TabFocusReason,
            Qt.FocusReason.BacktabFocusReason,
        }
        super().focusInEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Whoever clicks knows where."""
        self._frame(by_keyboard=False)
        super().mousePressEvent(event)

    def _frame(self, *, by_keyboard: bool) -> None:
        """Draw the frame, or not, in every cell: a key that moves nothing repaints none."""
        if self._by_keyboard is not by_keyboard:
            self._by_keyboard = by_keyboard
            self.viewport().update()

    def moveCursor(
        self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier
    ) -> QModelIndex:
        """Home and End go to the first and last row: the rows matter here, not their cells."""
        last = self.rows.rowCount() - 1
        if last >= 0 and action is QAbstractItemView.CursorAction.MoveHome:
            return self.rows.index(0, self._first_column())
        if last >= 0 and action is QAbstractItemView.CursorAction.MoveEnd:
            return self.rows.index(last, self._first_column())
        return super().moveCursor(action, modifiers)

    def keyboardSearch(self, search: str) -> None:
        """Go to the next row whose name begins with what is being typed (Qt's own way asks the model 100,000 times)."""
        now = time.monotonic()
        self._typed = search if now - self._typed_at > TYPING_PAUSE_S else self._typed + search
        self._typed_at = now
        wanted, shown = self._typed.casefold(), self.rows.shown()
        start = self.currentIndex().row() + (len(self._typed) == 1)
        name = self.rows.columns[0].sort_key
        for place in (*range(start, len(shown)), *range(min(start, len(shown)))):
            if place >= 0 and name(shown[place]).startswith(wanted):
                self.setCurrentIndex(self.rows.index(place, self._first_column()))
                return

    def _first_column(self) -> int:
        """Return the leftmost column that is shown."""
        visible = (self.columns.logicalIndex(place) for place in range(self.columns.count()))
        return next((logical for logical in visible if not self.isColumnHidden(logical)), 0)

    # Reading and remembering

    def visible_columns(self) -> list[Any]:
        """Return the columns that are shown, from the left."""
        order = [self.columns.logicalIndex(place) for place in range(self.columns.count())]
        return [self.rows.columns[logical] for logical in order if not self.isColumnHidden(logical)]

    def remember(self, store: QSettings, key: str) -> None:
        """Write widths, order and sorting."""
        self.columns.save(store, key)

    def recall(self, store: QSettings, key: str) -> None:
        """Take up widths, order and sorting as they were left."""
        self.columns.restore(store, key)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Qt's call; an empty table says why it is empty, a focused one where the keyboard is."""
        self._painter.focus_row = self.currentIndex().row() if self._by_keyboard and self.hasFocus() else -1
        super().paintEvent(event)
        if self.hint and not self.rows.rowCount():
            painter = QPainter(self.viewport())
            painter.setPen(self._theme.colours.secondary)
            painter.drawText(self.viewport().rect(), Qt.AlignmentFlag.AlignCenter, self.hint)
            painter.end()


def table_text(columns: list[Any], rows: list[Any], now: float) -> str:
    """Return *rows* as tab-separated lines under their headings; tabs and line breaks inside a cell become blanks."""
    lines = ["\t".join(column.title for column in columns)]
    lines += ["\t".join(c.text(row, now).translate(_BREAKS) for c in columns) for row in rows]
    return "\n".join(lines) + "\n"
