"""Keeps the list of a server's own batches true while somebody looks at it, and cancels what is selected there.

list ──► news, or some seconds ──► list again …          (only while the view is shown)
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QObject

from app.domain.failure import TransferError
from app.remote.base import CancelAnswer, RemoteBatchRow
from app.server_words import remote_state_text
from app.words import failure_text
from ui.bridge import Bridge
from ui.loop import Tasks
from ui.models.columns import readable
from ui.models.server_batches import ServerRow
from ui.views.main_window import MainWindow

NEWS_S = 5.0
LEAST_S = 1.0
"""A busy server has news many times a second; the list is asked for at most so often."""
AFTER_TROUBLE_S = 15.0


class OnServer(QObject):
    """Follows the window's switch and the chosen server."""

    def __init__(self, window: MainWindow, bridge: Bridge, tasks: Tasks) -> None:
        super().__init__(window)
        self._window, self._bridge, self._tasks = window, bridge, tasks
        self._watched = ""
        self._watch: asyncio.Task[Any] | None = None
        self._at_once = asyncio.Event()
        window.server_wanted.connect(self.follow)
        window.switch.refresh.connect(self._at_once.set)

    def follow(self, profile_id: str) -> None:
        """Show the batches of this server from now on; "" for none."""
        if profile_id == self._watched:
            return
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._watched = profile_id
        self._window.on_server.expect(profile_id)
        if profile_id:
            self._watch = self._tasks.begin(self._live(profile_id))

    async def cancel(self, rows: Sequence[ServerRow]) -> None:
        """Ask the server to cancel these batches, and say what it answered and how they stand then."""
        profile_id = self._watched
        for row in rows:
            try:
                answer = await self._bridge.call(
                    lambda m, row=row: m.cancel_server_batch(profile_id, row.id)  # type: ignore[misc]
                )
            except TransferError as error:
                self._window.notices.say(f"“{row.name}” was not cancelled. {failure_text(error.failure)}")
                continue
            await self._list(profile_id)
            now = self._window.on_server.model.row(row.id) if profile_id == self._watched else None
            self._window.notices.say(answer_text(row.name, answer, now.batch if now else None), seconds=20)

    async def _live(self, profile_id: str) -> None:
        while True:
            self._at_once.clear()
            well = await self._list(profile_id) and await self._news(profile_id)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._at_once.wait(), LEAST_S if well else AFTER_TROUBLE_S)

    async def _list(self, profile_id: str) -> bool:
        """Ask for the list and show it; return whether it came."""
        try:
            batches = await self._bridge.call(lambda m: m.server_batches(profile_id))
        except TransferError as error:
            if profile_id == self._watched:
                text = failure_text(error.failure)
                self._window.on_server.show_problem(text)
                self._window.switch.say(text)
            return False
        if profile_id == self._watched:
            self._window.switch.say(self._window.on_server.show_batches(batches))
        return True

    async def _news(self, profile_id: str) -> bool:
        """Return when there is news, or a person wants the list now; False if the server could not be asked for any."""
        news = asyncio.ensure_future(self._bridge.call(lambda m: m.server_news(profile_id, NEWS_S)))
        asked = asyncio.ensure_future(self._at_once.wait())
        try:
            await asyncio.wait({news, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            asked.cancel()
            told, _ = await asyncio.gather(news, asked, return_exceptions=True)
        return not isinstance(told, TransferError)


def answer_text(name: str, answer: CancelAnswer, now: RemoteBatchRow | None) -> str:
    """Return what the server answered to a cancel, and how the batch stands after that."""
    said = readable(" ".join(answer.message.split())).rstrip(".")
    text = f"“{name}”: {said or f'The server answered {answer.http_status}'}."
    if now is None:
        return f"{text} It is no longer in the server's list."
    return f"{text} It stands so now: {remote_state_text(now)}."
