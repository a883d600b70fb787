"""The report dialog: what a drop brought, and what of it was not taken and why."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.domain.batch import IntakeReport
from app.domain.paths import SkipReason
from app.words import report_text, skip_text
from ui.theme import Theme
from ui.tips import plain_tip
from ui.views.value import showable


class ReportDialog(QDialog):
    """Open it with ``open()``. The skipped paths are grouped by reason; all of it can be copied as text."""

    def __init__(self, report: IntakeReport, name: str, theme: Theme, parent: QWidget | None = None) -> None:
        """Show *report* of the batch *name*."""
        super().__init__(parent)
        self._report, self._name, self._theme = report, showable(name), theme
        self.setWindowTitle(f"What was taken: {self._name}")
        self.setModal(True)
        self._title, self._sentence = QLabel(self._name, self), QLabel(report_text(report), self)
        self._sentence.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._tree = self._make_tree()
        self._lay_out()

    @property
    def text(self) -> str:
        """The report as plain text, one path a line under its reason."""
        lines = [self._name, report_text(self._report)]
        for reason, count in self._report.skipped_count:
            lines += [
                "",
                skip_text(SkipReason(reason), count),
                *(f"  {path}" for path in self._paths(reason)),
            ]
        return "\n".join(lines)

    def _paths(self, reason: str) -> list[str]:
        """The paths that are known by name, and how many more there are."""
        paths = [showable(each.path) for each in self._report.skipped if each.reason == reason]
        more = dict(self._report.skipped_count).get(reason, 0) - len(paths)
        return [*paths, f"and {more:,} more"] if paths and more > 0 else paths

    def _make_tree(self) -> QTreeWidget:
        tree = QTreeWidget(self)
        tree.setHeaderHidden(True)
        tree.setUniformRowHeights(True)
        tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        tree.setAccessibleName("What was not taken")
        tree.header().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for reason, count in self._report.skipped_count:
            group = QTreeWidgetItem(tree, [skip_text(SkipReason(reason), count)])
            group.setIcon(0, self._theme.icon("skip-forward", self._theme.colours.secondary))
            for path in self._paths(reason):
                QTreeWidgetItem(group, [path]).setToolTip(0, plain_tip(path))
            group.setExpanded(len(self._report.skipped_count) == 1)
        return tree

    def _lay_out(self) -> None:
        font = QFont(self._title.font())
        font.setPointSizeF(font.pointSizeF() * 1.2)
        font.setWeight(QFont.Weight.DemiBold)
        self._title.setFont(font)
        for label in (self._title, self._sentence):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        copy = box.addButton("Copy as text", QDialogButtonBox.ButtonRole.ActionRole)
        copy.setIcon(self._theme.icon("copy"))
        copy.setToolTip("Copy the whole report to the clipboard")
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text))
        copy.setAutoDefault(False)
        box.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 16, 20, 16)
        layout.setSpacing(8)
        layout.addWidget(self._title)
        layout.addWidget(self._sentence)
        layout.addWidget(self._tree, 1)
        layout.addWidget(box)
        self._tree.setVisible(bool(self._report.skipped_count))
        self.resize(560, 420 if self._report.skipped_count else 160)
