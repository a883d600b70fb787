"""The small dialog that asks for a server's secret again; what waits for it waits meanwhile."""

import asyncio
from typing import Any, Protocol

from PySide6.QtCore import QSettings, QSize, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.accounts.profiles import ProfileError
from app.accounts.secrets import Kept
from app.domain.events import ServerView
from app.domain.failure import FailureKind, TransferError
from app.server_words import secret_word
from app.words import failure_text
from ui.dialogs.parts import Mood, SecretField, Sentence, Working, heading, keep_size, make_primary
from ui.loop import Tasks
from ui.theme import Theme

FIRST_SIZE = QSize(440, 200)


class Door(Protocol):
    """What the dialog asks of the engine."""

    async def try_secret(self, profile_id: str, secret: str) -> None:
        """Reach the server with it. Raises TransferError, ProfileError."""

    async def sign_in_again(self, profile_id: str, secret: str, keep: bool) -> Kept:
        """Use and keep it; what waits goes on. Raises TransferError."""

    async def keyring_trouble(self) -> str:
        """Why the system's keyring is of no use, "" if it works."""


class SignInDialog(QDialog):
    """Open it with ``open()``; once accepted, the secret is in use and ``kept`` says where it went."""

    def __init__(
        self, door: Door, tasks: Tasks, theme: Theme, store: QSettings, server: ServerView, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._door, self._tasks, self._server = door, tasks, server
        self._work: asyncio.Task[Any] | None = None
        self.kept = Kept(True)
        word = secret_word(server.dialect, server.user)
        self.setWindowTitle(f"Sign in to {server.name}")
        self.setModal(True)
        self.secret = SecretField(theme, self)
        self.secret.setAccessibleName(word)
        self.working = Working(theme, self)
        self.said = Sentence(theme, self)
        self.keep = QCheckBox("Keep it in the system's keyring", self)
        self.keep.setChecked(server.secret_in_keyring is not False)
        self.keep_said = Sentence(theme, self)
        self.enter, self._cancel = QPushButton("Sign in", self), QPushButton("Cancel", self)
        self._lay_out(word)
        self.enter.clicked.connect(self.sign_in)
        self._cancel.clicked.connect(self.reject)
        self.finished.connect(self._stop)
        keep_size(self, store, "sign_in_dialog", FIRST_SIZE)
        tasks.spawn(self._tell_of_keyring())

    def sign_in(self) -> None:
        """Try what was typed, and keep it if the server takes it."""
        if not self.secret.text():
            self.said.say(f"Type the {self.secret.accessibleName().lower()} first.", Mood.BAD)
            self.secret.setFocus()
        elif self._work is None or self._work.done():
            self.said.say("Signing in…", Mood.BUSY)
            self.working.show()
            self.enter.setEnabled(False)
            self._work = self._tasks.begin(self._sign_in())
            self._work.add_done_callback(self._done)

    async def _sign_in(self) -> None:
        secret = self.secret.text()
        try:
            await self._door.try_secret(self._server.profile_id, secret)
        except (TransferError, ProfileError) as error:
            if isinstance(error, ProfileError) or error.failure.kind is FailureKind.SIGN_IN:
                self.said.say(_refused(error), Mood.BAD)
                self.secret.setFocus()
                self.secret.selectAll()
                return
            if error.failure.kind is FailureKind.TLS:
                self.said.say(failure_text(error.failure), Mood.BAD)
                return
            # Away, busy, full: that is for the queue to wait for. The secret may be right.
        self.kept = await self._door.sign_in_again(self._server.profile_id, secret, self.keep.isChecked())
        self._work = None
        self.accept()

    def _done(self, task: "asyncio.Task[Any]") -> None:
        if task is self._work:
            self.working.hide()
            self.enter.setEnabled(True)
            if self.said.mood is Mood.BUSY:
                self.said.say("")

    def _stop(self) -> None:
        if self._work is not None:
            self._work.cancel()

    async def _tell_of_keyring(self) -> None:
        trouble = await self._door.keyring_trouble()
        if trouble and self.isVisible():
            self.keep.setChecked(False)
            self.keep.setEnabled(False)
            self.keep_said.say(f"{trouble} The sign-in is kept until Uphaul is closed.")

    def _lay_out(self, word: str) -> None:
        form = QFormLayout()
        form.setHorizontalSpacing(12)
        form.setVerticalSpacing(6)
        if self._server.user:
            user = QLabel(self._server.user, self)
            user.setTextFormat(Qt.TextFormat.PlainText)
            user.setAccessibleName("User name")
            form.addRow("User name", user)
        form.addRow(word, self.secret)
        form.addRow("", self.said)
        form.addRow("", self.keep)
        form.addRow("", self.keep_said)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        row.addWidget(self._cancel)
        row.addWidget(self.enter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 16, 20, 16)
        layout.setSpacing(8)
        layout.addWidget(heading(self._server.name, self, scale=1.2))
        address = QLabel(self._server.url, self)
        address.setTextFormat(Qt.TextFormat.PlainText)
        address.setForegroundRole(address.palette().ColorRole.PlaceholderText)
        layout.addWidget(address)
        layout.addLayout(form)
        layout.addWidget(self.working)
        layout.addStretch(1)
        layout.addLayout(row)
        self._cancel.setAutoDefault(False)
        make_primary(self.enter)
        self.secret.setFocus()


def _refused(error: TransferError | ProfileError) -> str:
    if isinstance(error, ProfileError):
        return str(error)
    if error.failure.is_wrong_password:
        return failure_text(error.failure)
    return "The server did not let you in with it. Check it and try again."
