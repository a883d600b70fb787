"""A window as `uphaul` opens it, and what a person reads in it and does with it."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import keyring
import pytest
from keyring.backend import KeyringBackend
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QDialog

from tests.support.vuemantics_client import picture
from tests.ui.waiting import eventually
from ui.actions import Do
from ui.dialogs.parts import Mood
from ui.dialogs.server import ServerDialog
from ui.views.main_window import MainWindow

SLOW_BPS = 200_000
D = TypeVar("D", bound=QDialog)


class Running:
    """The window of one run, and what a person reads in it."""

    def __init__(self, window: MainWindow, ended: asyncio.Future[int]) -> None:
        self.window, self.ended = window, ended

    def rows(self, column: str) -> list[str]:
        """Return the texts of one column of the Files table."""
        return self._column(self.window.files.model, column)

    def batches(self, column: str) -> list[str]:
        """Return the texts of one column of the Batches table."""
        return self._column(self.window.batches, column)

    def _column(self, model: object, key: str) -> list[str]:
        place = [column.key for column in model.columns].index(key)
        return [model.index(row, place).data() for row in range(model.rowCount())]

    async def until(self, seen: Callable[[], bool], what: str) -> None:
        """Wait until a person would see *what*."""
        try:
            await eventually(seen)
        except TimeoutError:
            state = (self.batches("state"), self.rows("state"), self.window.notices.text)
            pytest.fail(f"never seen: {what}; there was {state}")

    def drop(self, *paths: Path) -> None:
        """Drop *paths* as Qt does."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(self.window, QDragEnterEvent(QPoint(100, 100), *how))
        QApplication.sendEvent(self.window, QDropEvent(QPointF(100, 100), *how))

    def use(self, what: Do) -> None:
        """Trigger an action, which must be enabled."""
        action = self.window.actions_[what]
        assert action.isEnabled(), action.toolTip()
        action.trigger()


def folder(path: Path, count: int, size_bytes: int) -> Path:
    """Make a folder with files that differ."""
    path.mkdir()
    for number in range(count):
        (path / f"file {number:02}.bin").write_bytes(bytes([number]) * size_bytes)
    return path


def digests(path: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in path.rglob("*") if f.is_file()}


def album(path: Path, count: int) -> Path:
    """Make a folder of pictures."""
    path.mkdir()
    for number in range(count):
        (path / f"{number}.png").write_bytes(picture(number))
    return path


async def dialog(run: Running, kind: type[D]) -> D:
    """Return the dialog of this kind as soon as it is open."""
    await run.until(lambda: any(d.isVisible() for d in run.window.findChildren(kind)), kind.__name__)
    return next(d for d in run.window.findChildren(kind) if d.isVisible())


async def add(
    run: Running,
    address: str,
    user: str,
    password: str,
    name: str,
    begin: Callable[[], object] | None = None,
) -> None:
    """Add a server as a person does: *begin* opens the dialog, the menu's entry if it is None."""
    (begin or (lambda: run.use(Do.ADD_SERVER)))()
    adding = await dialog(run, ServerDialog)
    form = adding.form
    form.address.setText(address)
    form.look.click()
    await run.until(lambda: form.address_said.mood in (Mood.GOOD, Mood.BAD), "what answers there")
    form.user.setText(user)
    form.secret.setText(password)
    form.name.setText(name)
    await press(run, form.save)
    await run.until(
        lambda: run.window.top.server_name == name or bool(refusal(run)), "it is chosen, or says why not"
    )


async def press(run: Running, button: QAbstractButton) -> None:
    """Click as soon as one can: a sentence may be there a moment before its buttons are enabled again."""
    await run.until(button.isEnabled, f"“{button.text()}” can be clicked")
    button.click()


def refusal(run: Running) -> str:
    """What the open dialog says beside the name."""
    return next((d.form.name_said.text for d in run.window.findChildren(ServerDialog) if d.isVisible()), "")


def names(run: Running) -> list[str]:
    return [server.name for server in run.window.servers]


@contextmanager
def wearing(backend: KeyringBackend) -> Iterator[None]:
    """Let this be the system's keyring meanwhile."""
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    yield
    keyring.set_keyring(before)
