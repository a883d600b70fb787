"""A flat table of row objects that sorts, filters and merges changes itself: 100,000 rows stay fluid without a proxy.

load / apply ─► _rows (id -> newest view, in order of arrival)
                   │ filter, sort (at once when a person asks; else at most when settle() is called)
                   ▼
                _shown (what the view shows, top to bottom) and _places (id -> row in the view)
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from ui.models.columns import Cell, Column
from ui.tips import plain_tip

Index = QModelIndex | QPersistentModelIndex

_DISPLAY = int(Qt.ItemDataRole.DisplayRole)
_TOOLTIP = int(Qt.ItemDataRole.ToolTipRole)
_ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
_ACCESSIBLE = int(Qt.ItemDataRole.AccessibleTextRole)
_SERVED = frozenset({_DISPLAY, _TOOLTIP, _ALIGNMENT, _ACCESSIBLE})
_CHANGED_ROLES = [_DISPLAY, _TOOLTIP, _ACCESSIBLE]
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter

MAX_RANGES = 32
SMALL_TABLE = 2_000
"""Up to so many rows, new ones are put into their sorted place at once; sorting them costs less than a repaint."""


class Row(Protocol):
    """What a row must have."""

    @property
    def id(self) -> str:
        """What identifies the row for as long as it lives."""


R = TypeVar("R", bound=Row)


def merge_ranges(rows: Collection[int], most: int = MAX_RANGES) -> list[tuple[int, int]]:
    """Return *rows* as (first, last) ranges in ascending order; one that spans all if there were more than *most*."""
    ordered = sorted(set(rows))
    ranges: list[tuple[int, int]] = []
    for row in ordered:
        if ranges and ranges[-1][1] == row - 1:
            ranges[-1] = (ranges[-1][0], row)
        else:
            ranges.append((row, row))
    return ranges if len(ranges) <= most else [(ordered[0], ordered[-1])]


def put_back(kept: list[R], moved: list[R], key: Callable[[R], Any], *, descending: bool) -> list[R]:
    """Return *kept*, which is in order, with *moved* in their places; only a few keys are computed for a few rows.

    Sorting 100,000 rows anew takes 50 ms, which is too long for something that happens by itself each second.
    """
    if descending:
        return put_back(kept[::-1], moved, key, descending=False)[::-1]
    result: list[R] = []
    done = 0
    for row in sorted(moved, key=key):
        place = bisect_right(kept, key(row), lo=done, key=key)
        result += kept[done:place]
        result.append(row)
        done = place
    return result + kept[done:]


class RowTable(QAbstractTableModel, Generic[R]):
    """The model. Rows are replaced, never changed; the delegate asks :meth:`row_at` and paints from the object.

    Around every change of order ``about_to_rearrange`` and ``rearranged`` are emitted, so that the view can carry the
    selection over by ids (Qt would do it by one persistent index a cell).
    """

    about_to_rearrange = Signal()
    rearranged = Signal()

    def __init__(
        self, columns: Sequence[Column[R]], clock: Callable[[], float], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.clock = clock
        self._rows: dict[str, R] = {}
        self._shown: list[R] = []
        self._places: dict[str, int] = {}
        self._order: Column[R] | None = None
        self._descending = False
        self._stale = False
        self._moved: set[str] = set()

    # What the rest of the window asks

    def row_at(self, place: int) -> R:
        """Return the row object shown at *place*, counted from the top."""
        return self._shown[place]

    def row(self, row_id: str) -> R | None:
        """Return the row with this id, shown or not."""
        return self._rows.get(row_id)

    def place(self, row_id: str) -> int | None:
        """Return where a row is shown, counted from the top; None if the filter hides it or it is gone."""
        return self._places.get(row_id)

    def rows(self) -> Iterable[R]:
        """Return all rows in order of arrival, filtered or not."""
        return self._rows.values()

    def shown(self) -> Sequence[R]:
        """Return the rows as shown, from the top."""
        return self._shown

    # What changes it

    def load(self, rows: Iterable[R]) -> None:
        """Replace everything."""
        self._rows = {row.id: row for row in rows}
        self._rearrange(self._rows.values(), afresh=True)

    def apply(self, changed: Sequence[R], removed: Collection[str] = ()) -> None:
        """Take in changed, new and removed rows. What sits in the wrong place now is moved by :meth:`settle`."""
        dirty: list[int] = []
        fresh: list[R] = []
        for row in changed:
            known = row.id in self._rows
            self._moved.add(row.id)
            self._rows[row.id] = row
            place = self._places.get(row.id)
            wanted = self._wanted(row)
            if place is not None:
                self._shown[place] = row
                dirty.append(place)
                self._stale |= not wanted
            elif wanted and not known:
                fresh.append(row)
            else:
                self._stale |= wanted
        self._announce(dirty)
        self._append(fresh)
        if removed:
            self._remove(removed)

    def settle(self) -> None:
        """Filter and sort again if changes since the last time made it necessary."""
        if not self._stale:
            return
        if self._order is None:
            self._rearrange(self._rows.values())
        else:
            kept = [row for row in self._shown if row.id not in self._moved]
            moved = [
                row for each in self._moved if (row := self._rows.get(each)) is not None and self._wanted(row)
            ]
            self._arrange(put_back(kept, moved, self._order.sort_key, descending=self._descending))

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Qt's call: sort by *column*, or in order of arrival if it is -1."""
        self._order = self.columns[column] if column >= 0 else None
        self._descending = order is Qt.SortOrder.DescendingOrder
        self._rearrange(self._rows.values())

    def refilter(self) -> None:
        """Look at every row anew; a subclass calls it when its filter has changed."""
        self._rearrange(self._rows.values())

    def _wanted(self, row: R) -> bool:
        """Whether the filter lets *row* through."""
        return True

    # Qt's questions

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own signature
        """How many rows are shown."""
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own signature
        """How many columns there are, hidden ones included."""
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = _DISPLAY) -> Any:
        """Serve text for readers and screen readers; the delegate paints without it."""
        if role not in _SERVED or not index.isValid():
            return None
        column, row = self.columns[index.column()], self._shown[index.row()]
        if role == _ALIGNMENT:
            return _RIGHT if column.cell is Cell.NUMBER else _LEFT
        if role == _TOOLTIP:
            return plain_tip((column.tip or column.text)(row, self.clock()))
        return column.text(row, self.clock())

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY) -> Any:
        """Serve the titles."""
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        if role in {_DISPLAY, _ACCESSIBLE}:
            return self.columns[section].title
        if role == _ALIGNMENT:
            return _RIGHT if self.columns[section].cell is Cell.NUMBER else _LEFT
        return None

    # How it is done

    def _announce(self, dirty: Collection[int]) -> None:
        if not dirty:
            return
        last = len(self.columns) - 1
        for first_row, last_row in merge_ranges(dirty):
            self.dataChanged.emit(self.index(first_row, 0), self.index(last_row, last), _CHANGED_ROLES)
        self._stale |= self._order is not None and self._order.live

    def _append(self, fresh: Sequence[R]) -> None:
        if not fresh:
            return
        start = len(self._shown)
        self.beginInsertRows(QModelIndex(), start, start + len(fresh) - 1)
        self._shown.extend(fresh)
        self._places.update((row.id, start + number) for number, row in enumerate(fresh))
        self.endInsertRows()
        if self._order is not None:
            self._stale = True
            if len(self._shown) <= SMALL_TABLE:
                self.settle()

    def _remove(self, ids: Collection[str]) -> None:
        for row_id in ids:
            self._rows.pop(row_id, None)
        if any(row_id in self._places for row_id in ids):
            self._rearrange(self._rows.values())

    def _rearrange(self, rows: Iterable[R], *, afresh: bool = False) -> None:
        shown = [row for row in rows if self._wanted(row)]
        if self._order is not None:
            shown.sort(key=self._order.sort_key, reverse=self._descending)
        self._arrange(shown, afresh=afresh)

    def _arrange(self, shown: list[R], *, afresh: bool = False) -> None:
        self._stale = False
        self._moved.clear()
        if shown == self._shown and not afresh:
            return
        self.about_to_rearrange.emit()
        if afresh or len(shown) != len(self._shown):
            self.beginResetModel()
            self._show(shown)
            self.endResetModel()
        else:
            self._reorder(shown)
        self.rearranged.emit()

    def _reorder(self, shown: list[R]) -> None:
        """Same number of rows: tell the view that only the order is new, so that it keeps its place."""
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        ids = [self._shown[index.row()].id for index in before]
        self._show(shown)
        after = [
            self.index(place, index.column())
            if (place := self._places.get(row_id)) is not None
            else QModelIndex()
            for index, row_id in zip(before, ids, strict=True)
        ]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _show(self, shown: list[R]) -> None:
        self._shown = shown
        self._places = {row.id: place for place, row in enumerate(shown)}
