"""What can be done with what is selected, and why not: pure functions, no Qt. The tooltips speak these words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from app.domain.batch import BatchView
from app.domain.state import CANCELLABLE, OVER, PAUSABLE, RETRYABLE, BatchState, CancelEnding, TransferState
from app.domain.transfer import TransferView
from app.remote.base import RemoteBatchRow, RemoteState

_S = TransferState

REMOTE_OVER = frozenset({RemoteState.STORED, RemoteState.FAILED, RemoteState.CANCELLED})
_NOT_THERE = frozenset({"nothing_stored", "deleted", "lingers"})
"""Answers of files that were cancelled here only, and of which there is nothing that could be deleted."""
MY_BATCHES_ONLY = "This is for batches that were begun here. Switch to “My batches”."
BATCH_OVER = frozenset({BatchState.COMPLETED, BatchState.PARTIAL, BatchState.FAILED, BatchState.CANCELLED})


class Table(Enum):
    """Which table the person used last: Pause, Resume and Retry act on what is selected there."""

    BATCHES = "batches"
    FILES = "files"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Selection:
    """What the actions look at. ``files`` counts the selected rows of the Files table by state.

    ``batches`` are the selected batches, ``every`` all there are; ``shown`` is the batch whose files are shown.
    ``left_there``: how many of the selected files the server still has although they were cancelled.
    ``server`` is the name of the chosen server if it lists batches, ``remote`` are those that are selected there.
    """

    table: Table = Table.BATCHES
    batches: tuple[BatchView, ...] = ()
    every: tuple[BatchView, ...] = ()
    shown: BatchView | None = None
    files: Mapping[TransferState, int] = field(default_factory=dict)
    embedded: frozenset[str] = frozenset()
    ready: bool = True
    left_there: int = 0
    server: str = ""
    remote: tuple[RemoteBatchRow, ...] = ()

    @property
    def files_selected(self) -> int:
        """How many rows of the Files table are selected."""
        return sum(self.files.values())

    @property
    def on_files(self) -> bool:
        """Whether an action that fits both tables is meant for the files."""
        return self.table is Table.FILES and self.files_selected > 0

    def count(self, states: frozenset[TransferState]) -> int:
        """How many files in *states* such an action would touch."""
        if self.on_files:
            return sum(number for state, number in self.files.items() if state in states)
        return sum(batch.files.get(state, 0) for batch in self.batches for state in states)


class Answer(NamedTuple):
    """Whether an action may be used, and in words what it will do, or why it cannot."""

    enabled: bool
    words: str


def files_text(count: int) -> str:
    """Return "1 file" or "12 files"."""
    return "1 file" if count == 1 else f"{count:,} files"


def target_text(selection: Selection) -> str:
    """Return what an action that fits both tables is meant for: "3 files", "“Holiday”" or "2 batches"."""
    if selection.on_files:
        return files_text(selection.files_selected)
    if len(selection.batches) == 1:
        return f"“{selection.batches[0].name}”"
    return f"{len(selection.batches)} batches"


def can_always(selection: Selection) -> Answer:
    """For what is possible at any time."""
    return Answer(True, "")


def can_add(selection: Selection) -> Answer:
    """Adding needs the engine, which is there a moment after the window."""
    return Answer(True, "") if selection.ready else Answer(False, "Uphaul is still starting.")


def can_pause(selection: Selection) -> Answer:
    """Something selected is moving, or about to."""
    if not selection.on_files and not selection.batches:
        return Answer(False, "Select a batch or files first.")
    if selection.count(PAUSABLE) or _scanning(selection):
        return Answer(True, f"Pause {target_text(selection)}. What has arrived stays there.")
    if selection.count(frozenset({_S.PAUSED})):
        return Answer(False, "This is paused already.")
    if selection.count(frozenset({_S.PROCESSING})):
        return Answer(False, "The server has everything and is working on it; that cannot be paused.")
    return Answer(False, "Nothing here is waiting or uploading.")


def can_resume(selection: Selection) -> Answer:
    """Something selected is paused."""
    if not selection.on_files and not selection.batches:
        return Answer(False, "Select a paused batch or paused files first.")
    if selection.count(frozenset({_S.PAUSED})):
        return Answer(True, f"Go on with {target_text(selection)} where it stopped.")
    return Answer(False, "Nothing here is paused.")


def can_cancel_file(selection: Selection) -> Answer:
    """A selected file is not over and not being cancelled."""
    if not selection.files_selected:
        return Answer(False, "Select one or more files first.")
    count = sum(number for state, number in selection.files.items() if state in CANCELLABLE)
    if count:
        return Answer(True, f"Cancel {files_text(count)}, and remove what the server has of them.")
    if selection.files.get(_S.CANCELLING):
        return Answer(False, "The server is being asked already.")
    return Answer(False, f"Nothing to cancel: {_over_words(selection.files)}.")


def can_cancel_batch(selection: Selection) -> Answer:
    """A selected batch has something that is not over."""
    if selection.table is Table.SERVER:
        return _can_cancel_there(selection)
    if not selection.batches:
        return Answer(False, "Select a batch first.")
    open_files = sum(batch.files.get(state, 0) for batch in selection.batches for state in CANCELLABLE)
    if open_files or any(batch.state is BatchState.SCANNING for batch in selection.batches):
        name = target_text(_on_batches(selection))
        return Answer(True, f"Cancel {name}: {files_text(open_files)} not yet there.")
    if any(batch.files.get(_S.CANCELLING, 0) for batch in selection.batches):
        return Answer(False, "The server is being asked already.")
    return Answer(False, "This batch is over; there is nothing left to cancel.")


def _can_cancel_there(selection: Selection) -> Answer:
    """A selected batch of the server's own list is not over."""
    if not selection.remote:
        return Answer(False, "Select a batch first.")
    unfinished = [batch for batch in selection.remote if batch.state not in REMOTE_OVER]
    if not unfinished:
        return Answer(False, "This batch is over; there is nothing left to cancel.")
    name = f"“{unfinished[0].name}”" if len(unfinished) == 1 else f"{len(unfinished)} batches"
    return Answer(True, f"Ask {selection.server or 'the server'} to cancel {name}, wherever it was begun.")


def is_left_there(row: TransferView) -> bool:
    """Whether a file was to be cancelled, and the server has it all the same."""
    if row.ending is CancelEnding.FINISHED_FIRST:
        return row.state is _S.COMPLETED and row.answer != "deleted"
    return row.ending is CancelEnding.HERE_ONLY and row.answer not in _NOT_THERE


def can_delete_there(selection: Selection) -> Answer:
    """Of a selected file that was cancelled, something is on the server."""
    if not selection.files_selected:
        return Answer(False, "Select files first.")
    if selection.left_there:
        return Answer(True, f"Delete {files_text(selection.left_there)} from the server.")
    return Answer(False, "Only files that were stored although they were cancelled can be deleted there.")


def can_look_at_server(selection: Selection) -> Answer:
    """The chosen server lists batches."""
    if selection.server or selection.table is Table.SERVER:
        return Answer(True, "All batches of your account on the chosen server, also those begun elsewhere.")
    return Answer(False, "The chosen server does not list batches.")


def can_retry(selection: Selection) -> Answer:
    """Something failed; cancelled files count only if they are selected one by one."""
    if not selection.on_files and not selection.batches:
        return Answer(False, "Select a batch or files first.")
    count = selection.count(RETRYABLE if selection.on_files else frozenset({_S.FAILED}))
    if count:
        return Answer(True, f"Try {files_text(count)} again.")
    return Answer(False, "Nothing here has failed.")


def can_remove(selection: Selection) -> Answer:
    """Some batch is over."""
    over = sum(1 for batch in selection.every if batch.state in BATCH_OVER)
    if over:
        what = "1 finished batch" if over == 1 else f"{over} finished batches"
        return Answer(True, f"Take {what} off the list. Nothing is deleted.")
    return Answer(False, "No batch is finished.")


def can_remove_batch(selection: Selection) -> Answer:
    """All selected batches are over."""
    if not selection.batches:
        return Answer(False, "Select a batch first.")
    if all(batch.state in BATCH_OVER for batch in selection.batches):
        return Answer(True, f"Take {target_text(_on_batches(selection))} off the list. Nothing is deleted.")
    return Answer(False, "It is not finished. Cancel it first.")


def can_open_folder(selection: Selection) -> Answer:
    """One batch is selected, it went to the server of this computer, and something has arrived."""
    if len(selection.batches) != 1:
        return Answer(False, "Select one batch first.")
    batch = selection.batches[0]
    if batch.server not in selection.embedded:
        return Answer(
            False, f"The files are on “{batch.server}”; only folders on this computer can be opened."
        )
    if not batch.files.get(_S.COMPLETED, 0):
        return Answer(False, "No file of this batch has arrived yet.")
    return Answer(True, "Open the folder where the files have arrived.")


def can_show_report(selection: Selection) -> Answer:
    """One batch is selected and its scan has ended."""
    if len(selection.batches) != 1:
        return Answer(False, "Select one batch first.")
    if selection.batches[0].report is None:
        return Answer(False, "The folders are still being read.")
    return Answer(True, "What was taken of this drop, and what was not.")


def can_copy(selection: Selection) -> Answer:
    """Rows are selected in the table that was used last."""
    if selection.on_files or selection.batches or selection.remote:
        return Answer(True, "Copy the selected rows as text, with their headings.")
    return Answer(False, "Select rows first.")


def can_pause_all(selection: Selection) -> Answer:
    """Anything at all is moving."""
    if any(batch.files.get(state, 0) for batch in selection.every for state in PAUSABLE):
        return Answer(True, "Pause every batch.")
    return Answer(False, "Nothing is waiting or uploading.")


def can_resume_all(selection: Selection) -> Answer:
    """Anything at all is paused."""
    if any(batch.files.get(_S.PAUSED, 0) for batch in selection.every):
        return Answer(True, "Go on with everything that is paused.")
    return Answer(False, "Nothing is paused.")


def is_busy(batches: tuple[BatchView, ...]) -> bool:
    """Whether closing would interrupt something: a file that is neither over nor resting."""
    resting = OVER | {_S.PAUSED}
    return any(n for b in batches for state, n in b.files.items() if state not in resting) or any(
        b.state is BatchState.SCANNING for b in batches
    )


def waiting_files(batches: Iterable[BatchView]) -> Mapping[str, int]:
    """Return by a server's name how many files are not there yet."""
    waiting: dict[str, int] = {}
    for batch in batches:
        count = sum(number for state, number in batch.files.items() if state not in OVER)
        waiting[batch.server] = waiting.get(batch.server, 0) + count
    return waiting


def _scanning(selection: Selection) -> bool:
    return not selection.on_files and any(b.state is BatchState.SCANNING for b in selection.batches)


def _on_batches(selection: Selection) -> Selection:
    return Selection(batches=selection.batches)


def _over_words(files: Mapping[TransferState, int]) -> str:
    if files.get(_S.COMPLETED):
        return "it has arrived" if sum(files.values()) == 1 else "they have arrived or are over"
    return "it is over" if sum(files.values()) == 1 else "they are over"
