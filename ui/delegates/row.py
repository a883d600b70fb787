"""Paints the cells of a table from its row objects: one model call a cell, no roles, no style of the platform.

Every role that Qt asks of a model costs a call into Python and the lock that the engine's thread wants too, so the
delegate takes the row object and the column object and paints from them. Text for screen readers still comes from
the model's data().
"""

import time
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPainterPath, QPolygonF
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from ui.models.columns import Bar, Cell, Column, Tone
from ui.models.row_table import RowTable
from ui.theme import Theme, motion_reduced

ROW_HEIGHT = 30
MARGIN = 12
BAR_HEIGHT = 6
ICON = 16
PERCENT_WIDTH = 48
STRIPE = 8
STRIPES_PER_S = 2.0

_MIDDLE = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine
_LEFT = int(Qt.AlignmentFlag.AlignLeft | _MIDDLE)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | _MIDDLE)
_SELECTED = QStyle.StateFlag.State_Selected
_ELIDE_END, _ELIDE_MIDDLE = Qt.TextElideMode.ElideRight, Qt.TextElideMode.ElideMiddle


def tabular(font: QFont) -> QFont:
    """Return *font* with figures of equal width, so that numbers do not dance while they count."""
    result = QFont(font)
    result.setFeature(QFont.Tag("tnum"), 1)
    return result


class RowDelegate(QStyledItemDelegate):
    """Paints every cell of the view whose model it is given. ``focus_row`` is where the keyboard is, -1 if elsewhere."""

    def __init__(self, model: RowTable[Any], theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._model, self._theme = model, theme
        self.focus_row = -1
        self._fonts: tuple[QFont, QFont, QFontMetrics, QFontMetrics] | None = None
        self._mirrored = False
        self._still = motion_reduced()
        self._painters: dict[Cell, Callable[[QPainter, QRect, Any, Column[Any]], None]] = {
            Cell.TEXT: self._paint_text,
            Cell.NAME: self._paint_name,
            Cell.PATH: self._paint_path,
            Cell.NUMBER: self._paint_number,
            Cell.PROGRESS: self._paint_progress,
            Cell.STATE: self._paint_state,
        }

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Qt's call for one cell."""
        rect: QRect = option.rect
        state = option.state
        column = self._model.columns[index.column()]
        row = self._model.row_at(index.row())
        if state & _SELECTED:
            painter.fillRect(rect, self._theme.colours.selection)
        if index.row() == self.focus_row:
            painter.fillRect(rect.left(), rect.top(), rect.width(), 1, self._theme.colours.accent)
            painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, self._theme.colours.accent)
        painter.save()
        self._mirrored = option.direction is Qt.LayoutDirection.RightToLeft
        self._measure(painter.font())
        self._painters[column.cell](painter, rect.adjusted(MARGIN, 0, -MARGIN, 0), row, column)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """All rows are equally high; the width is the column's own."""
        return QSize(self._model.columns[index.column()].width, ROW_HEIGHT)

    def _measure(self, font: QFont) -> None:
        """Make the two fonts once; a new font of the system comes as a new painter font."""
        if self._fonts is None or self._fonts[0] != font:
            figures = tabular(font)
            self._fonts = (QFont(font), figures, QFontMetrics(font), QFontMetrics(figures))

    def _write(
        self,
        painter: QPainter,
        rect: QRect,
        text: str,
        colour: QColor,
        elide: Qt.TextElideMode = _ELIDE_END,
        *,
        figures: bool = False,
        right: bool = False,
    ) -> None:
        if not text or self._fonts is None:
            return
        plain, tab, plain_metrics, tab_metrics = self._fonts
        painter.setFont(tab if figures else plain)
        painter.setPen(colour)
        shown = (tab_metrics if figures else plain_metrics).elidedText(text, elide, rect.width())
        painter.drawText(rect, _RIGHT if right is not self._mirrored else _LEFT, shown)

    def _paint_text(self, painter: QPainter, rect: QRect, row: Any, column: Column[Any]) -> None:
        self._write(painter, rect, column.text(row, self._model.clock()), self._theme.colours.text)

    def _paint_name(self, painter: QPainter, rect: QRect, row: Any, column: Column[Any]) -> None:
        text = column.text(row, self._model.clock())
        self._write(painter, rect, text, self._theme.colours.text, _ELIDE_MIDDLE)

    def _paint_path(self, painter: QPainter, rect: QRect, row: Any, column: Column[Any]) -> None:
        text = column.text(row, self._model.clock())
        self._write(painter, rect, text, self._theme.colours.secondary, _ELIDE_MIDDLE)

    def _paint_number(self, painter: QPainter, rect: QRect, row: Any, column: Column[Any]) -> None:
        text = column.text(row, self._model.clock())
        self._write(painter, rect, text, self._theme.colours.text, figures=True, right=True)

    def _paint_state(self, painter: QPainter, rect: QRect, row: Any, column: Column[Any]) -> None:
        icon = QRect(rect.left(), rect.center().y() - ICON // 2 + 1, ICON, ICON)
        self._theme.state_icon(row.state).paint(painter, self._flip(icon, rect))
        text = column.text(row, self._model.clock())
        words = rect.adjusted(ICON + 6, 0, 0, 0)
        self._write(painter, self._flip(words, rect), text, self._theme.state_text_colour(row.state))

    def _paint_progress(self, painter: QPainter, rect: QRect, row: Any, column: Column[Any]) -> None:
        assert column.bar is not None
        track = QRect(
            rect.left(), rect.center().y() - BAR_HEIGHT // 2 + 1, rect.width() - PERCENT_WIDTH, BAR_HEIGHT
        )
        if track.width() > BAR_HEIGHT:
            self._paint_bar(painter, self._flip(track, rect), column.bar(row))
        number = QRect(rect.right() - PERCENT_WIDTH + 8, rect.top(), PERCENT_WIDTH - 8, rect.height())
        text = column.text(row, self._model.clock())
        colour = self._theme.colours.secondary
        self._write(painter, self._flip(number, rect), text, colour, figures=True, right=True)

    def _paint_bar(self, painter: QPainter, track: QRect, bar: Bar) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        outline = QPainterPath()
        outline.addRoundedRect(QRectF(track), BAR_HEIGHT / 2, BAR_HEIGHT / 2)
        painter.fillPath(outline, self._theme.colours.track)
        painter.setClipPath(outline)
        start = 0.0
        for share, tone in bar.segments:
            width = share * track.width()
            self._paint_segment(painter, track, start, width, self._tone(tone), last=len(bar.segments) == 1)
            start += width
        if bar.stripes:
            self._paint_stripes(painter, track)
        painter.setClipping(False)

    def _paint_segment(
        self, painter: QPainter, track: QRect, start: float, width: float, colour: QColor, *, last: bool
    ) -> None:
        """Paint from *start* over *width* pixels, both from the reading edge; a lone segment has a round end."""
        if width <= 0:
            return
        left = track.right() + 1 - start - width if self._mirrored else track.left() + start
        piece = QRectF(left, track.top(), width, track.height())
        painter.setBrush(colour)
        if last and width >= BAR_HEIGHT:
            painter.drawRoundedRect(piece, BAR_HEIGHT / 2, BAR_HEIGHT / 2)
        else:
            painter.drawRect(piece)

    def _paint_stripes(self, painter: QPainter, track: QRect) -> None:
        """Slow diagonal stripes: the server works and nobody can say for how long. Still where motion is reduced."""
        colour = QColor(self._theme.colours.surface)
        colour.setAlphaF(0.35)
        painter.setBrush(colour)
        moved = 0.0 if self._still else (time.monotonic() * STRIPES_PER_S * STRIPE) % (2 * STRIPE)
        top, bottom = track.top(), track.bottom() + 1
        x = track.left() - 2 * STRIPE + moved
        while x < track.right():
            shape = [(x + BAR_HEIGHT, top), (x + BAR_HEIGHT + STRIPE, top), (x + STRIPE, bottom), (x, bottom)]
            painter.drawPolygon(QPolygonF([QRectF(px, py, 0, 0).topLeft() for px, py in shape]))
            x += 2 * STRIPE

    def _tone(self, tone: Tone) -> QColor:
        colours = self._theme.colours
        if tone is Tone.ACTIVE:
            return colours.accent
        if tone is Tone.DONE:
            return colours.done
        return colours.failed if tone is Tone.FAILED else colours.rest

    def _flip(self, piece: QRect, whole: QRect) -> QRect:
        """Return *piece* mirrored inside *whole* where people read from the right."""
        if not self._mirrored:
            return piece
        return QStyle.visualRect(Qt.LayoutDirection.RightToLeft, whole, piece)
