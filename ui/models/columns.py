"""The columns of both tables. A column is one object: a new column is one entry in one of the two lists below."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from app import words
from app.domain.batch import BatchView
from app.domain.state import BatchState, TransferState
from app.domain.transfer import TransferView
from ui.selection import BATCH_OVER

R = TypeVar("R")
_S, _B = TransferState, BatchState


class Cell(Enum):
    """How a cell is painted and aligned."""

    TEXT = "text"
    NAME = "name"  # elided in the middle, so that the ending of a file name stays readable
    PATH = "path"  # like NAME, in the secondary colour
    NUMBER = "number"  # right-aligned, tabular figures
    PROGRESS = "progress"
    STATE = "state"


class Tone(Enum):
    """What a part of a progress bar stands for; the delegate knows the colours."""

    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Bar:
    """A progress bar: its segments from the start as shares (0 to 1) of the whole, and whether stripes run over it."""

    segments: tuple[tuple[float, Tone], ...]
    stripes: bool = False


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """One column. ``text(row, now)`` is what a person reads and copies; *now* is seconds since the epoch.

    ``live``: its order changes while uploads run. ``ticks``: its text changes with the clock alone. ``width`` in pixels
    to begin with. ``tip(row, now)`` is the tooltip where it says more than the text.
    """

    key: str
    title: str
    text: Callable[[R, float], str]
    sort_key: Callable[[R], Any]
    width: int
    cell: Cell = Cell.TEXT
    live: bool = False
    ticks: bool = False
    shown: bool = True
    bar: Callable[[R], Bar] | None = None
    tip: Callable[[R, float], str] | None = None


_SURROGATES = re.compile("[\ud800-\udfff]")


def readable(name: str) -> str:
    """Return *name* with the bytes that no encoding explains as U+FFFD; Qt would leave them out in silence."""
    return name if name.isascii() else _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", name)


def percent_text(share: float) -> str:
    """Return "58 %": rounded down, so that 100 % means all."""
    return f"{min(100, int(share * 100 + 1e-6))} %"


def file_share(row: TransferView) -> float:
    """Return how much of the file is done, 0 to 1; an empty file is done when it has arrived."""
    if row.state is _S.COMPLETED:
        return 1.0
    return min(1.0, row.done_bytes / row.size_bytes) if row.size_bytes else 0.0


_FILE_TONE = dict.fromkeys(_S, Tone.REST) | {
    _S.PREPARING: Tone.ACTIVE,
    _S.UPLOADING: Tone.ACTIVE,
    _S.PROCESSING: Tone.ACTIVE,
    _S.COMPLETED: Tone.DONE,
    _S.FAILED: Tone.FAILED,
}


def file_bar(row: TransferView) -> Bar:
    """Return the bar of a file: one segment, coloured by its state."""
    return Bar(((file_share(row), _FILE_TONE[row.state]),), stripes=row.state is _S.PROCESSING)


_BATCH_ACTIVE = frozenset({_B.SCANNING, _B.UPLOADING, _B.PROCESSING, _B.QUEUED})


def arrived_share(row: BatchView) -> float:
    """Return what of a batch has arrived or is on its way there, 0 to 1; with what failed and was cancelled at most 1."""
    return max(0.0, min(row.progress, 1.0 - row.failed_share - row.cancelled_share))


def batch_bar(row: BatchView) -> Bar:
    """Return the bar of a batch: what arrived, what failed and what was cancelled, as segments."""
    over = row.state in BATCH_OVER
    tone = Tone.DONE if over else Tone.ACTIVE if row.state in _BATCH_ACTIVE else Tone.REST
    segments = (
        (arrived_share(row), tone),
        (row.failed_share, Tone.FAILED),
        (row.cancelled_share, Tone.REST),
    )
    return Bar(tuple(s for s in segments if s[0] > 0), stripes=row.state is _B.PROCESSING)


def _file_speed(row: TransferView, now: float) -> str:
    return words.speed_text(row.speed_bps) if row.speed_bps > 0 else ""


def _batch_speed(row: BatchView, now: float) -> str:
    return words.speed_text(row.speed_bps) if row.speed_bps > 0 else ""


def _batch_left(row: BatchView, now: float) -> str:
    return words.left_text(row.left_s) if row.left_s is not None else ""


def _started(row: BatchView) -> float:
    return row.started_at or row.created_at


_FILE_STATE_ORDER = {state: place for place, state in enumerate(_S)}
_BATCH_STATE_ORDER = {state: place for place, state in enumerate(_B)}

FILE_COLUMNS: tuple[Column[TransferView], ...] = (
    Column("name", "Name", lambda r, _: readable(r.name), lambda r: r.name.casefold(), 200, Cell.NAME),
    Column(
        "folder", "Folder", lambda r, _: readable(r.folder), lambda r: r.folder.casefold(), 150, Cell.PATH
    ),
    Column(
        "size", "Size", lambda r, _: words.size_text(r.size_bytes), lambda r: r.size_bytes, 90, Cell.NUMBER
    ),
    Column(
        "progress",
        "Progress",
        lambda r, _: percent_text(file_share(r)),
        file_share,
        200,
        Cell.PROGRESS,
        live=True,
        bar=file_bar,
        tip=lambda r, _: f"{words.size_text(r.done_bytes)} of {words.size_text(r.size_bytes)}",
    ),
    Column(
        "state",
        "State",
        lambda r, _: words.state_word(r.state),
        lambda r: _FILE_STATE_ORDER[r.state],
        130,
        Cell.STATE,
        live=True,
    ),
    Column("speed", "Speed", _file_speed, lambda r: r.speed_bps, 95, Cell.NUMBER, live=True),
    Column(
        "what",
        "What happened",
        lambda r, now: readable(words.what_happened(r, now)),
        lambda r: (_FILE_STATE_ORDER[r.state], r.answer, r.failure.kind if r.failure else ""),
        300,
        live=True,
        ticks=True,
    ),
)

BATCH_COLUMNS: tuple[Column[BatchView], ...] = (
    Column("name", "Batch", lambda r, _: readable(r.name), lambda r: r.name.casefold(), 180, Cell.NAME),
    Column(
        "progress",
        "Progress",
        lambda r, _: percent_text(arrived_share(r)),
        arrived_share,
        200,
        Cell.PROGRESS,
        live=True,
        bar=batch_bar,
        tip=lambda r, _: f"{words.size_text(r.done_bytes)} of {words.size_text(r.total_bytes)}",
    ),
    Column(
        "state",
        "State",
        words.batch_state_text,
        lambda r: _BATCH_STATE_ORDER[r.state],
        180,
        Cell.STATE,
        live=True,
        ticks=True,
        tip=words.batch_state_tip,
    ),
    Column(
        "files",
        "Files",
        lambda r, _: f"{r.done_files:,} / {r.total_files:,}",
        lambda r: r.total_files,
        105,
        Cell.NUMBER,
        live=True,
    ),
    Column(
        "size",
        "Size",
        lambda r, _: words.size_text(r.total_bytes),
        lambda r: r.total_bytes,
        90,
        Cell.NUMBER,
        live=True,
    ),
    Column("speed", "Speed", _batch_speed, lambda r: r.speed_bps, 100, Cell.NUMBER, live=True),
    Column(
        "left",
        "Left",
        _batch_left,
        lambda r: r.left_s[0] if r.left_s else float("inf"),
        105,
        Cell.NUMBER,
        live=True,
    ),
    Column("server", "Server", lambda r, _: r.server, lambda r: r.server.casefold(), 125),
    Column(
        "started",
        "Started",
        lambda r, now: words.ago_text(_started(r), now),
        _started,
        90,
        ticks=True,
        tip=lambda r, _: words.exact_time(_started(r)),
    ),
)
