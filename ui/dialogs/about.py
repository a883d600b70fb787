"""The about dialog: what this is, which version, and under which licences."""

import platform

from PySide6.QtCore import Qt, qVersion
from PySide6.QtGui import QFont, QPalette
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

import resources
from app import __version__
from ui.theme import Theme

_LICENSES = (
    ("Uphaul, MIT License", "Uphaul"),
    ("Icons: Lucide, ISC License", "Lucide"),
)


class AboutDialog(QDialog):
    """Open it with ``open()``."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("About Uphaul")
        self.setModal(True)
        self._picture = QLabel(self)
        self._picture.setPixmap(theme.app_icon.pixmap(64, 64))
        self._name = QLabel(f"Uphaul {__version__}", self)
        self._what = QLabel("Drop folders on a window, see every file arrive, cancel any of it.", self)
        self._made = QLabel(f"Python {platform.python_version()} · Qt {qVersion()} (PySide6, LGPL)", self)
        for label in (self._what, self._made):
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._lay_out()

    @property
    def words(self) -> list[str]:
        """The lines above the licences."""
        return [self._name.text(), self._what.text(), self._made.text()]

    def _lay_out(self) -> None:
        font = QFont(self._name.font())
        font.setPointSizeF(font.pointSizeF() * 1.3)
        font.setWeight(QFont.Weight.DemiBold)
        self._name.setFont(font)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        for label in (self._picture, self._name, self._what, self._made):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            layout.addWidget(label)
        layout.addSpacing(8)
        layout.addWidget(self._licenses(), 1)
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        box.rejected.connect(self.reject)
        layout.addWidget(box)
        self.resize(560, 480)

    def _licenses(self) -> QPlainTextEdit:
        view = QPlainTextEdit(self)
        view.setReadOnly(True)
        view.setTabChangesFocus(True)
        view.setAccessibleName("Licences")
        view.setPlainText(
            "\n\n".join(f"{title}\n\n{resources.license_text(name).strip()}\n" for title, name in _LICENSES)
        )
        return view
