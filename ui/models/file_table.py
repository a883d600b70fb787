"""The Files table: the transfers of one batch, filtered by text and by what they are doing."""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum

from PySide6.QtCore import QObject

from app.domain.events import Frame
from app.domain.state import TransferState
from app.domain.transfer import TransferView
from ui.models.columns import FILE_COLUMNS
from ui.models.row_table import RowTable

_S = TransferState


class StateGroup(Enum):
    """The filter buttons above the table; the value is the word on the button."""

    ALL = "All"
    RUNNING = "Running"
    WAITING = "Waiting"
    FAILED = "Failed"
    UPLOADED = "Uploaded"
    CANCELLED = "Cancelled"


GROUP_STATES: Mapping[StateGroup, frozenset[TransferState]] = {
    StateGroup.ALL: frozenset(_S),
    StateGroup.RUNNING: frozenset({_S.PREPARING, _S.UPLOADING, _S.PROCESSING, _S.CANCELLING}),
    StateGroup.WAITING: frozenset({_S.QUEUED, _S.WAITING, _S.PAUSED}),
    StateGroup.FAILED: frozenset({_S.FAILED}),
    StateGroup.UPLOADED: frozenset({_S.COMPLETED}),
    StateGroup.CANCELLED: frozenset({_S.CANCELLED}),
}


def group_counts(files: Mapping[TransferState, int]) -> dict[StateGroup, int]:
    """Return how many of a batch's files each button would show; *files* counts them by state."""
    return {group: sum(files.get(s, 0) for s in states) for group, states in GROUP_STATES.items()}


class FileTable(RowTable[TransferView]):
    """The transfers of the batch that is being watched.

    :meth:`expect` names the batch; until :meth:`show` brings its rows, frames are kept aside; rows of any other batch
    are dropped, however late they arrive.
    """

    def __init__(self, clock: Callable[[], float], parent: QObject | None = None) -> None:
        super().__init__(FILE_COLUMNS, clock, parent)
        self.batch_id: str | None = None
        self._ahead: list[TransferView] | None = None
        self._states = GROUP_STATES[StateGroup.ALL]
        self._words: tuple[str, ...] = ()

    def expect(self, batch_id: str | None) -> None:
        """Empty the table and take rows of *batch_id* only (None: of no batch)."""
        self.batch_id = batch_id
        self._ahead = [] if batch_id is not None else None
        self.load(())

    def show(self, batch_id: str, rows: Iterable[TransferView]) -> bool:
        """Show the rows that were asked for, in order of position; return False if another batch has been chosen since."""
        if batch_id != self.batch_id:
            return False
        ahead, self._ahead = self._ahead or [], None
        # A row from a frame may be older than the answer. It changed since, then, and the next frame brings it again.
        if ahead:
            newest = {row.id: row for row in rows} | {row.id: row for row in ahead}
            rows = sorted(newest.values(), key=lambda row: row.position)
        self.load(rows)
        return True

    def take(self, frame: Frame) -> None:
        """Take in what a frame says of this batch."""
        mine = [row for row in frame.transfers if row.batch_id == self.batch_id]
        if self._ahead is not None:
            self._ahead.extend(mine)
        elif mine:
            self.apply(mine)

    @property
    def loading(self) -> bool:
        """Whether the rows of the batch are still being fetched."""
        return self._ahead is not None

    def filter_by(self, text: str, group: StateGroup) -> None:
        """Show only rows of *group* whose name or folder holds every word of *text*, whatever its case."""
        self._states = GROUP_STATES[group]
        self._words = tuple(text.casefold().split())
        self.refilter()

    def _wanted(self, row: TransferView) -> bool:
        if row.state not in self._states:
            return False
        if not self._words:
            return True
        path = f"{row.folder}/{row.name}".casefold()
        return all(word in path for word in self._words)
