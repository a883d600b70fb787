"""The header of a table: choose, order and size the columns; what was chosen is there again the next time."""

import json
from typing import Any

from PySide6.QtCore import QPoint, QSettings, Qt
from PySide6.QtWidgets import QHeaderView, QMenu, QWidget

from ui.models.columns import Column

HEADER_HEIGHT = 29


class ColumnHeader(QHeaderView):
    """The columns of one table. Their layout is kept by column key, so that a new column does not upset the rest."""

    def __init__(self, columns: tuple[Column[Any], ...], title: str, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._columns = columns
        self.setAccessibleName(f"Columns of {title}")
        self.setSectionsMovable(True)
        self.setSectionsClickable(True)
        self.setHighlightSections(False)
        self.setStretchLastSection(True)
        self.setMinimumSectionSize(48)
        self.setFixedHeight(HEADER_HEIGHT)
        self.setSortIndicatorClearable(True)
        self.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._offer)
        self.setToolTip("Click to sort, drag to reorder, right-click to choose columns")

    def reset_layout(self) -> None:
        """Go back to the order, widths and columns that the table begins with."""
        for place, column in enumerate(self._columns):
            self.moveSection(self.visualIndex(place), place)
            self.setSectionHidden(place, not column.shown)
            self.resizeSection(place, column.width)
        self.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)

    def save(self, store: QSettings, key: str) -> None:
        """Write the layout under *key*."""
        sorted_by = self.sortIndicatorSection()
        layout = {
            "order": [self._columns[self.logicalIndex(place)].key for place in range(self.count())],
            "widths": {
                c.key: self.sectionSize(i) for i, c in enumerate(self._columns) if not self.isSectionHidden(i)
            },
            "hidden": [c.key for i, c in enumerate(self._columns) if self.isSectionHidden(i)],
            "sort": self._columns[sorted_by].key if 0 <= sorted_by < len(self._columns) else None,
            "descending": self.sortIndicatorOrder() is Qt.SortOrder.DescendingOrder,
        }
        store.setValue(key, json.dumps(layout))

    def restore(self, store: QSettings, key: str) -> None:
        """Read what :meth:`save` wrote; what is missing, unknown or damaged stays as it is."""
        self.reset_layout()
        try:
            layout = json.loads(str(store.value(key, "{}")))
            self._restore(layout if isinstance(layout, dict) else {})
        except (ValueError, TypeError, AttributeError):
            self.reset_layout()

    def _restore(self, layout: dict[str, Any]) -> None:
        places = {column.key: place for place, column in enumerate(self._columns)}
        order = [places[key] for key in layout.get("order", ()) if key in places]
        for target, logical in enumerate(order):
            self.moveSection(self.visualIndex(logical), target)
        for key, width in layout.get("widths", {}).items():
            if key in places:
                self.resizeSection(places[key], max(self.minimumSectionSize(), min(int(width), 4000)))
        for key in layout.get("hidden", ()):
            if key in places:
                self.setSectionHidden(places[key], True)
        descending = Qt.SortOrder.DescendingOrder if layout.get("descending") else Qt.SortOrder.AscendingOrder
        self.setSortIndicator(places.get(str(layout.get("sort")), -1), descending)

    def fill_menu(self, menu: QMenu) -> None:
        """Put one tick for each column into *menu*; the first column always stays."""
        menu.clear()
        for place, column in enumerate(self._columns):
            tick = menu.addAction(column.title)
            tick.setCheckable(True)
            tick.setChecked(not self.isSectionHidden(place))
            tick.setEnabled(place > 0)
            tick.toggled.connect(lambda shown, place=place: self.setSectionHidden(place, not shown))
        menu.addSeparator()
        menu.addAction("Reset columns").triggered.connect(self.reset_layout)

    def _offer(self, point: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_menu(menu)
        menu.popup(self.mapToGlobal(point))
