"""The batches that a server lists of the account, also those begun elsewhere: rows, columns and table."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from PySide6.QtCore import QObject

from app.remote.base import RemoteBatchRow, RemoteState
from app.server_words import created_order, created_text, created_tip, remote_state_text
from ui.models.columns import Bar, Cell, Column, Tone, percent_text, readable
from ui.models.row_table import RowTable

_R = RemoteState
_TONE = {_R.UNFINISHED: Tone.ACTIVE, _R.PROCESSING: Tone.ACTIVE, _R.STORED: Tone.DONE, _R.FAILED: Tone.FAILED}
_STATE_ORDER = {state: place for place, state in enumerate(_R)}


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One line of the list."""

    batch: RemoteBatchRow

    @property
    def id(self) -> str:
        """The server's own id."""
        return self.batch.remote_id

    @property
    def state(self) -> RemoteState:
        """What the server says of it."""
        return self.batch.state

    @property
    def name(self) -> str:
        """Its name; its id where it has none."""
        return readable(self.batch.name or self.batch.remote_id)


def _failed_share(row: ServerRow) -> float:
    total = row.batch.total_files
    return min(1.0, row.batch.failed_files / total) if total else 0.0


def _share(row: ServerRow) -> float:
    return 1.0 if row.state is _R.STORED else min(1.0, max(0.0, row.batch.share))


def _state_word(row: ServerRow) -> str:
    """Its word alone: the share and what failed have columns of their own."""
    return remote_state_text(row.batch).partition(",")[0]


def _bar(row: ServerRow) -> Bar:
    failed = _failed_share(row)
    segments = (
        (max(0.0, _share(row) - failed), _TONE.get(row.state, Tone.REST)),
        (failed, Tone.FAILED),
    )
    return Bar(tuple(each for each in segments if each[0] > 0), stripes=row.state is _R.PROCESSING)


SERVER_COLUMNS: tuple[Column[ServerRow], ...] = (
    Column("name", "Batch", lambda r, _: r.name, lambda r: r.name.casefold(), 220, Cell.NAME),
    Column(
        "progress",
        "Progress",
        lambda r, _: percent_text(_share(r)),
        _share,
        200,
        Cell.PROGRESS,
        live=True,
        bar=_bar,
    ),
    Column(
        "state",
        "State",
        lambda r, _: _state_word(r),
        lambda r: _STATE_ORDER[r.state],
        190,
        Cell.STATE,
        live=True,
    ),
    Column(
        "files",
        "Files",
        lambda r, _: f"{r.batch.done_files:,} / {r.batch.total_files:,}",
        lambda r: r.batch.total_files,
        105,
        Cell.NUMBER,
        live=True,
    ),
    Column(
        "failed",
        "Failed",
        lambda r, _: f"{r.batch.failed_files:,}" if r.batch.failed_files else "",
        lambda r: r.batch.failed_files,
        80,
        Cell.NUMBER,
        live=True,
    ),
    Column(
        "created",
        "Created",
        lambda r, now: readable(created_text(r.batch, now)),
        lambda r: created_order(r.batch),
        200,
        ticks=True,
        tip=lambda r, _: readable(created_tip(r.batch)),
    ),
    Column(
        "message",
        "What the server says",
        lambda r, _: readable(" ".join(r.batch.message.split())),
        lambda r: r.batch.message.casefold(),
        260,
        live=True,
        tip=lambda r, _: readable(r.batch.message),
    ),
)


class ServerBatchTable(RowTable[ServerRow]):
    """The list as the server gives it, in its order; sorted and filtered like the other tables."""

    def __init__(self, clock: Callable[[], float], parent: QObject | None = None) -> None:
        super().__init__(SERVER_COLUMNS, clock, parent)
        self._words: tuple[str, ...] = ()

    def take(self, batches: Iterable[RemoteBatchRow]) -> None:
        """Show this list; only what has changed since the last is announced."""
        rows = {row.id: row for row in map(ServerRow, batches)}
        if list(rows) == list(self._rows):
            self.apply([row for row in rows.values() if row != self._rows[row.id]])
        else:
            self.load(rows.values())

    def filter_by(self, text: str) -> None:
        """Show only batches that have every word of *text* in their name, state or message, whatever its case."""
        self._words = tuple(text.casefold().split())
        self.refilter()

    def _wanted(self, row: ServerRow) -> bool:
        said = f"{row.name} {remote_state_text(row.batch)} {row.batch.message}".casefold()
        return all(word in said for word in self._words)
