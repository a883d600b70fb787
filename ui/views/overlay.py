"""The drop overlay: while something is dragged over the window, it says what a drop would do."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QRectF, Qt, QUrl, QVariantAnimation
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from ui.theme import Theme, motion_reduced

FADE_MS = 120
LOOKED_AT = 48
"""So many paths are asked whether they are folders; a path on a slow disk must not hold up the drag."""
_MARGIN, _RADIUS = 40, 14
_PICTURE, _GAP = 56, 14


@dataclass(frozen=True, slots=True)
class Coming:
    """What hangs on the pointer: folders and files where we looked, ``items`` where there were too many to look."""

    folders: int = 0
    files: int = 0
    items: int = 0
    elsewhere: int = 0


def count_coming(urls: Sequence[QUrl]) -> Coming:
    """Count folders and files among *urls*; ``elsewhere`` are those that are no local paths. Reads at most 48 entries."""
    local = [url.toLocalFile() for url in urls if url.isLocalFile()]
    elsewhere = len(urls) - len(local)
    if len(local) > LOOKED_AT:
        return Coming(items=len(local), elsewhere=elsewhere)
    folders = sum(os.path.isdir(path) for path in local)
    return Coming(folders, len(local) - folders, elsewhere=elsewhere)


def coming_text(coming: Coming) -> str:
    """Return what a drop would do: ``Drop to upload 3 folders and 1 file``."""
    parts = [
        _plural(n, word)
        for n, word in ((coming.folders, "folder"), (coming.files, "file"), (coming.items, "item"))
        if n
    ]
    if not parts:
        return "Only files and folders of this computer can be uploaded"
    return f"Drop to upload {' and '.join(parts)}"


def _plural(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


class DropOverlay(QWidget):
    """Covers its parent while a drag is over it; takes no mouse or drag events, so the parent keeps getting them."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme, self._over = theme, parent
        self._title, self._server = "", ""
        self._fade = QVariantAnimation(self)
        self._fade.setDuration(FADE_MS)
        self._fade.valueChanged.connect(self._set_strength)
        self._strength = self._target = 0.0
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName("Drop to upload")
        theme.changed.connect(self.update)
        parent.installEventFilter(self)
        self.hide()

    def show_for(self, urls: Sequence[QUrl], server_name: str) -> None:
        """Appear, and say how much would go to the server *server_name*. Call it once a drag, on enter."""
        coming = count_coming(urls)
        self._title = coming_text(coming)
        self._server = server_name if coming.folders or coming.files or coming.items else ""
        self.setAccessibleDescription(self._title)
        self.setGeometry(self._over.rect())
        self.raise_()
        self.show()
        self._fade_to(1.0)

    @property
    def strength(self) -> float:
        """How much of it is faded in, 0 to 1."""
        return self._strength

    def hide_softly(self) -> None:
        """Fade away (at once where motion is reduced)."""
        if self.isVisible():
            self._fade_to(0.0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay as large as the parent."""
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self.setGeometry(self._over.rect())
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Dim everything beneath, draw the dashed frame, and say what a drop would do."""
        colours = self._theme.colours
        painter = QPainter(self)
        painter.setOpacity(self._strength)
        painter.fillRect(event.rect(), colours.dim)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(colours.accent, 2)
        pen.setDashPattern([3, 2])
        painter.setPen(pen)
        inset = min(_MARGIN, self.width() // 16, self.height() // 10)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(inset, inset, -inset, -inset), _RADIUS, _RADIUS)
        self._paint_words(painter, self.width() - 2 * inset - 24)
        painter.end()

    def _paint_words(self, painter: QPainter, width: int) -> None:
        colours = self._theme.colours
        title, bold, body = self._font(1.5), self._font(1.0), self.font()
        heights = (_PICTURE, QFontMetrics(title).height(), QFontMetrics(body).height())
        y = (self.height() - sum(heights) - 2 * _GAP) // 2
        picture = self._theme.pixmap("upload", _PICTURE, colours.accent, self.devicePixelRatioF())
        painter.drawPixmap((self.width() - _PICTURE) // 2, y, picture)
        y += _PICTURE + _GAP
        self._paint_line(painter, y, width, [(self._title, title, colours.text)])
        if self._server:
            y += heights[1] + _GAP
            where = [("to ", body), (self._server, bold), (", as a new batch", body)]
            self._paint_line(painter, y, width, [(text, font, colours.secondary) for text, font in where])

    def _paint_line(
        self, painter: QPainter, y: int, width: int, runs: list[tuple[str, QFont, QColor]]
    ) -> None:
        """Paint *runs* side by side, centred; the longest gives way where there is too little room."""
        longest = max(range(len(runs)), key=lambda i: len(runs[i][0]))
        widths = [QFontMetrics(font).horizontalAdvance(text) for text, font, _ in runs]
        excess = max(0, sum(widths) - width)
        widths[longest] -= excess
        x = (self.width() - sum(widths)) // 2
        for (text, font, colour), advance in zip(runs, widths, strict=True):
            metrics = QFontMetrics(font)
            shown = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, advance) if excess else text
            painter.setFont(font)
            painter.setPen(colour)
            painter.drawText(x, y + metrics.ascent(), shown)
            x += advance

    def _font(self, scale: float) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * scale)
        font.setWeight(QFont.Weight.DemiBold)
        return font

    def _fade_to(self, target: float) -> None:
        self._fade.stop()
        self._target = target
        if motion_reduced():
            self._set_strength(target)
            return
        self._fade.setStartValue(self._strength)
        self._fade.setEndValue(target)
        self._fade.start()

    def _set_strength(self, strength: float) -> None:
        self._strength = strength
        if strength <= 0 and self._target <= 0:
            self.hide()
        self.update()
