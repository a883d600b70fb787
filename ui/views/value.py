"""A value: plain text that wraps anywhere, grows with what it says, and can be selected with mouse and keyboard."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPalette, QResizeEvent, QTextOption
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextEdit, QWidget


def showable(text: str) -> str:
    """Return *text* with the bytes that no encoding explains (surrogates from ``os.fsdecode``) as replacement signs."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Value(QTextEdit):
    """Labels cannot break a long path or a checksum; this can."""

    def __init__(self, name: str, parent: QWidget, *, monospace: bool = False) -> None:
        """*name* is what a screen reader calls it."""
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.viewport().setAutoFillBackground(False)
        self.document().setDocumentMargin(0)
        if monospace:
            self.setStyleSheet("font-family: monospace;")

    def show_text(self, text: str) -> None:
        """Show *text*; what is selected and scrolled stays if it is the same as before."""
        if self.toPlainText() != text:
            self.setPlainText(text)
            self._fit()

    def set_colour_role(self, role: QPalette.ColorRole) -> None:
        """Write in another colour of the palette."""
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Text, palette.color(role))
        self.setPalette(palette)

    def sizeHint(self) -> QSize:
        """As high as the text needs at the width it has."""
        return QSize(super().sizeHint().width(), self._height())

    def minimumSizeHint(self) -> QSize:
        """One line, any width."""
        return QSize(40, self.fontMetrics().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Wrap anew."""
        super().resizeEvent(event)
        self._fit()

    def _height(self) -> int:
        self.document().setTextWidth(self.viewport().width())
        return max(self.fontMetrics().height(), round(self.document().size().height() + 0.5))

    def _fit(self) -> None:
        height = self._height()
        if height != self.height():
            self.setFixedHeight(height)
