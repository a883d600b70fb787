"""The dialog that asks into which project a batch goes: one of the server's, or a new one."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from PySide6.QtCore import QSettings, QSize, Qt
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.domain.events import ServerView
from app.domain.failure import TransferError
from app.remote.base import Target
from app.words import failure_text
from ui.dialogs.parts import Mood, Sentence, Working, button, heading, keep_size, make_primary
from ui.loop import Tasks
from ui.models.columns import readable
from ui.theme import Theme

FIRST_SIZE = QSize(440, 420)
_TARGET = Qt.ItemDataRole.UserRole


class Desk(Protocol):
    """What the dialog asks of the engine."""

    async def targets(self) -> Sequence[Target]:
        """Return the projects. Raises TransferError."""

    async def create(self, name: str) -> Target:
        """Make one. Raises TransferError."""


class ProjectDialog(QDialog):
    """Open it with ``open()``; once accepted, ``target`` is the project."""

    def __init__(
        self,
        desk: Desk,
        tasks: Tasks,
        theme: Theme,
        store: QSettings,
        server: ServerView,
        parent: QWidget,
        *,
        is_new: bool = False,
    ) -> None:
        super().__init__(parent)
        self._desk, self._tasks = desk, tasks
        self._work: asyncio.Task[Any] | None = None
        self.target: Target | None = None
        self.setWindowTitle("New project" if is_new else "Choose a project")
        self.setModal(True)
        self._question = heading(f"Into which project of “{readable(server.name)}”?", self)
        self.list = QListWidget(self)
        self.list.setObjectName("projects")
        self.list.setAccessibleName("Projects")
        self.working = Working(theme, self)
        self.said = Sentence(theme, self)
        self.name = QLineEdit(self)
        self.name.setAccessibleName("Name of a new project")
        self.name.setPlaceholderText("Name of a new project")
        self.make = button("Create", self, self._ask_to_make, "Make this project at the server")
        self.use, self._cancel = QPushButton("Use this project", self), QPushButton("Cancel", self)
        self._lay_out()
        self.list.currentItemChanged.connect(lambda *_: self._follow())
        self.list.itemActivated.connect(lambda _item: self._use())
        self.name.textChanged.connect(lambda _text: self._follow())
        self.use.clicked.connect(self._use)
        self._cancel.clicked.connect(self.reject)
        self.finished.connect(self._stop)
        keep_size(self, store, "project_dialog", FIRST_SIZE)
        (self.name if is_new else self.list).setFocus()
        self._wanted = server.target
        self._follow()
        self._begin(self._fill(), "Asking the server for its projects…")

    async def _fill(self) -> None:
        try:
            targets = await self._desk.targets()
        except TransferError as error:
            self.said.say(failure_text(error.failure), Mood.BAD)
            return
        for target in targets:
            item = QListWidgetItem(readable(target.name or target.id), self.list)
            item.setData(_TARGET, target)
            if target.id == self._wanted:
                self.list.setCurrentItem(item)
        if not targets:
            self.said.say("There is no project yet. Make one.")
            self.name.setFocus()
        elif self.list.currentRow() < 0:
            self.list.setCurrentRow(0)

    def _ask_to_make(self) -> None:
        name = " ".join(self.name.text().split())
        if name and not self._busy:
            self._begin(self._make(name), f"Making “{name}”…")

    async def _make(self, name: str) -> None:
        try:
            self.target = await self._desk.create(name)
        except TransferError as error:
            self.said.say(failure_text(error.failure), Mood.BAD)
            self.name.setFocus()
            return
        self._work = None
        self.accept()

    def _use(self) -> None:
        if self.list.currentRow() >= 0 and not self._busy:
            self.target = self.list.currentItem().data(_TARGET)
            self.accept()

    @property
    def _busy(self) -> bool:
        return self._work is not None and not self._work.done()

    def _begin(self, work: Coroutine[Any, Any, None], words: str) -> None:
        self.said.say(words, Mood.BUSY)
        self.working.show()
        self._work = self._tasks.begin(work)
        self._work.add_done_callback(self._done)
        self._follow()

    def _done(self, task: "asyncio.Task[Any]") -> None:
        if task is self._work and not task.cancelled():
            self.working.hide()
            if self.said.mood is Mood.BUSY:
                self.said.say("")
            self._follow()

    def _stop(self) -> None:
        if self._work is not None:
            self._work.cancel()

    def _follow(self) -> None:
        """Enter makes the project whose name is being typed, else uses the chosen one."""
        typed = bool(self.name.text().strip())
        self.make.setEnabled(typed and not self._busy)
        self.use.setEnabled(self.list.currentRow() >= 0 and not self._busy)
        make_primary(self.make if typed else self.use, self.use if typed else self.make)

    def _lay_out(self) -> None:
        new = QHBoxLayout()
        new.setSpacing(8)
        new.addWidget(self.name, 1)
        new.addWidget(self.make)
        end = QHBoxLayout()
        end.setSpacing(8)
        end.addStretch(1)
        end.addWidget(self._cancel)
        end.addWidget(self.use)
        hint = QLabel("It is remembered for this server; change it in the bar on top.", self)
        hint.setForegroundRole(hint.palette().ColorRole.PlaceholderText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 16, 20, 16)
        layout.setSpacing(8)
        layout.addWidget(self._question)
        layout.addWidget(hint)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.working)
        layout.addWidget(self.said)
        layout.addLayout(new)
        layout.addSpacing(4)
        layout.addLayout(end)
        self.use.setAutoDefault(False)
        self._cancel.setAutoDefault(False)
