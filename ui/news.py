"""What the engine reports, told to the person: a calm notice in the window, and one notification a batch."""

from collections.abc import Callable, Coroutine
from typing import Any

from PySide6.QtCore import QObject

from app import words
from app.domain.batch import BatchView
from app.domain.events import BatchEnded, CancelEnded, EngineNotice, IntakeEnded
from app.domain.failure import TransferError
from app.domain.state import CancelEnding, TransferState
from ui.bridge import Bridge
from ui.commands import Commands
from ui.loop import Tasks
from ui.models.columns import readable
from ui.models.file_table import StateGroup
from ui.notify import Notifier
from ui.selection import files_text, is_left_there
from ui.views.main_window import MainWindow

LONG_S = 20


class News(QObject):
    """Listens to the bridge's events. *raise_window* brings the window to the front."""

    def __init__(
        self,
        window: MainWindow,
        bridge: Bridge,
        commands: Commands,
        tasks: Tasks,
        notifier: Notifier,
        raise_window: Callable[[], None],
    ) -> None:
        super().__init__(window)
        self._window, self._bridge, self._commands = window, bridge, commands
        self._tasks, self._notifier, self._raise = tasks, notifier, raise_window
        bridge.news.connect(self.tell)
        window.status.show_failed.connect(self._show_first_failed)

    def tell(self, event: object) -> None:
        """Say what *event*, an ``EngineEvent``, means to a person."""
        match event:
            case BatchEnded(batch):
                self._batch_ended(batch)
            case CancelEnded():
                self._cancel_ended(event)
            case IntakeEnded(batch):
                self._intake_ended(batch)
            case EngineNotice(text):
                self._window.notices.say(text, seconds=LONG_S)

    def _batch_ended(self, batch: BatchView) -> None:
        if self._commands.settings.notify:
            title, body = words.batch_ended(batch)
            self._notifier.notify(title, body, "Show", lambda: self.show_batch(batch))

    def _cancel_ended(self, event: CancelEnded) -> None:
        stored = dict(event.counts).get(CancelEnding.FINISHED_FIRST, 0) + event.kept_there
        text = words.cancel_summary(event)
        if stored:
            label = "Delete it from the server" if stored == 1 else "Delete them from the server"
            delete = self._delete_stored(event.batch_id)
            self._window.notices.say(text, label, lambda: self._tasks.spawn(delete()), LONG_S)
        else:
            self._window.notices.say(text)

    def _delete_stored(self, batch_id: str) -> Callable[[], Coroutine[Any, Any, None]]:
        async def delete() -> None:
            rows = await self._bridge.call(lambda m: m.transfers(batch_id))
            await self._commands.delete_there([row.id for row in rows if is_left_there(row)])

        return delete

    def _intake_ended(self, batch: BatchView) -> None:
        report = batch.report
        skipped = sum(count for _reason, count in report.skipped_count) if report else 0
        if skipped:
            text = f"{files_text(skipped)} of “{readable(batch.name)}” {'was' if skipped == 1 else 'were'} not taken."
            self._window.notices.say(
                text, "Details", lambda: self._tasks.spawn(self._commands.show_report(batch))
            )

    def show_batch(self, batch: BatchView) -> None:
        """Bring the window up with *batch* selected, and with what failed if something did."""
        self._raise()
        self._window.select_batch(batch.id)
        failed = batch.files.get(TransferState.FAILED, 0)
        self._window.files.bar.choose(StateGroup.FAILED if failed else StateGroup.ALL)

    def _show_first_failed(self) -> None:
        failed = [b for b in self._window.batches.shown() if b.files.get(TransferState.FAILED, 0)]
        if failed:
            self.show_batch(failed[0])


def trouble_text(error: BaseException) -> str:
    """Return a sentence for a command that went wrong; errors of our own carry one."""
    if isinstance(error, TransferError):
        return words.failure_text(error.failure)
    if type(error).__module__.startswith("app."):
        return str(error)
    return "Something went wrong inside Uphaul. The uploads go on; the log has the details."
