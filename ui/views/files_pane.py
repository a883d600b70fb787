"""The lower half: which batch this is, buttons that filter by state, its files, and the details of one."""

from collections.abc import Callable, Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.domain.batch import BatchView
from app.domain.state import TransferState
from app.domain.transfer import TransferView
from ui.models.columns import readable
from ui.models.file_table import FileTable, StateGroup, group_counts
from ui.theme import Theme
from ui.tips import plain_tip
from ui.views.details import DetailsPanel
from ui.views.table import TableView

BAR_HEIGHT = 38
NAME_WIDTH = 260


class StateBar(QWidget):
    """The name of the batch, and one button for each state group with how many files it would show."""

    chosen = Signal(object)

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self.group = StateGroup.ALL
        self.setFixedHeight(BAR_HEIGHT)
        self.name = QLabel(self)
        font = QFont(self.name.font())
        font.setWeight(QFont.Weight.DemiBold)
        self.name.setFont(font)
        self.name.setTextFormat(Qt.TextFormat.PlainText)
        self.name.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self.name.setMaximumWidth(NAME_WIDTH)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 0, 12, 0)
        layout.setSpacing(4)
        layout.addWidget(self.name)
        layout.addSpacing(8)
        self.buttons = {group: self._make(group) for group in StateGroup}
        for button in self.buttons.values():
            layout.addWidget(button)
        layout.addStretch(1)
        self.buttons[StateGroup.ALL].setChecked(True)
        theme.changed.connect(self.update)

    def show_batch(self, name: str | None, files: Mapping[TransferState, int]) -> None:
        """Name the batch and count its files; None: no batch is chosen."""
        full = readable(name or "")
        shown = self.name.fontMetrics().elidedText(full, Qt.TextElideMode.ElideMiddle, NAME_WIDTH)
        if self.name.text() != shown:
            self.name.setText(shown)
            self.name.setToolTip(plain_tip(full))
        for group, count in group_counts(files).items():
            self._count(self.buttons[group], group, count, shown=name is not None)

    def choose(self, group: StateGroup) -> None:
        """Press the button of *group*."""
        self.buttons[group].setChecked(True)
        self._choose(group)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the ground, with a line above and below."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colours.window)
        painter.fillRect(0, self.height() - 1, self.width(), 1, self._theme.colours.line)
        painter.end()

    def _make(self, group: StateGroup) -> QToolButton:
        button = QToolButton(self)
        button.setObjectName(f"group_{group.name.lower()}")
        button.setProperty("pill", True)
        button.setCheckable(True)
        button.setAutoExclusive(True)
        number = list(StateGroup).index(group) + 1
        button.setShortcut(f"Alt+{number}")
        button.setToolTip(f"Show {_GROUP_TIPS[group]} (Alt+{number})")
        button.clicked.connect(lambda: self._choose(group))
        return button

    def _choose(self, group: StateGroup) -> None:
        self.group = group
        self.chosen.emit(group)

    @staticmethod
    def _count(button: QToolButton, group: StateGroup, count: int, *, shown: bool) -> None:
        text = f"{group.value} {count:,}"
        if button.text() != text:
            keys = button.shortcut()
            button.setText(text)  # Qt takes the shortcut from the text, and there is none in it
            button.setShortcut(keys)
            button.setAccessibleName(f"{group.value}, {count} files")
        button.setVisible(shown)
        alarm = group is StateGroup.FAILED and count > 0
        if bool(button.property("alarm")) != alarm:
            button.setProperty("alarm", alarm)
            button.style().unpolish(button)
            button.style().polish(button)


_GROUP_TIPS = {
    StateGroup.ALL: "all files",
    StateGroup.RUNNING: "files that are being uploaded now",
    StateGroup.WAITING: "files that wait or are paused",
    StateGroup.FAILED: "files that failed",
    StateGroup.UPLOADED: "files that have arrived",
    StateGroup.CANCELLED: "files that were cancelled",
}


class FilesPane(QWidget):
    """Shows the files of one batch. The model's rows are fed by the window."""

    def __init__(self, theme: Theme, clock: Callable[[], float], parent: QWidget) -> None:
        super().__init__(parent)
        self.model = FileTable(clock, self)
        self.bar = StateBar(theme, self)
        self.table: TableView[TransferView] = TableView(self.model, theme, "Files", self)
        self.table.setObjectName("files")
        self.details = DetailsPanel(theme, self, clock=clock)
        self._text = ""
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.table, 1)
        row.addWidget(self.details)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        layout.addLayout(row, 1)
        self.bar.chosen.connect(lambda _group: self._filter())

    def expect(self, batch: BatchView | None) -> None:
        """Empty the table and wait for the rows of *batch*."""
        self.model.expect(batch.id if batch else None)
        self.count(batch)
        self._explain()

    def count(self, batch: BatchView | None) -> None:
        """Bring the buttons up to date."""
        self.bar.show_batch(batch.name if batch else None, batch.files if batch else {})

    def show_rows(self, batch_id: str, rows: list[TransferView]) -> None:
        """Show the rows of the batch, if it is still the one that is wanted."""
        if self.model.show(batch_id, rows):
            self._explain()

    def filter_text(self, text: str) -> None:
        """Show files with every word of *text* in their name or folder."""
        self._text = text
        self._filter()

    def _filter(self) -> None:
        self.model.filter_by(self._text, self.bar.group)
        self._explain()

    def _explain(self) -> None:
        """Say why the table is empty, in case it is."""
        if self.model.batch_id is None:
            self.table.hint = "Select a batch to see its files."
        elif self.model.loading:
            self.table.hint = ""
        elif self._text or self.bar.group is not StateGroup.ALL:
            self.table.hint = "No file of this batch fits the filter."
        else:
            self.table.hint = "No files here yet."
        self.table.viewport().update()
