"""The journal's queries. Each returns what was understood, and what was not, with the reason."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from app.domain.batch import Batch, Counts
from app.domain.transfer import TimelineEntry, Transfer
from app.journal.journal import BadRow, PendingCancel
from app.journal.rows import (
    BATCH_COLUMNS,
    STATES,
    TRANSFER_COLUMNS,
    NotUnderstoodError,
    Row,
    batch_of,
    columns,
    reason_of,
    text_out,
    transfer_of,
)
from app.journal.schema import UNFINISHED

_T = TypeVar("_T")

_BATCHES = f"""
SELECT rowid, {columns(BATCH_COLUMNS)} FROM batches WHERE hidden_at IS NULL ORDER BY created_at, rowid
"""  # noqa: S608
_COUNTS = """
SELECT batch_id, state, failure_kind, ending, COUNT(*), SUM(size_bytes),
       SUM(CASE state WHEN 'completed' THEN size_bytes ELSE MIN(size_bytes, offset_bytes) END)
FROM transfers GROUP BY batch_id, state, failure_kind, ending
"""
# CAST, because text that is not UTF-8 comes back as bytes and must be found as text again.
_LIKE_THESE = """
SELECT rowid, id FROM transfers WHERE batch_id IS CAST(? AS TEXT) AND state IS CAST(? AS TEXT)
AND failure_kind IS CAST(? AS TEXT) AND ending IS CAST(? AS TEXT)
"""
_PAGE = "FROM transfers WHERE batch_id = ? AND position > ?{} ORDER BY position"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row to be set aside, and where it is."""

    row: BadRow
    rowid: int


class _NotUtf8(bytes):
    """Text of the file that is not UTF-8."""


def batches(connection: sqlite3.Connection) -> tuple[list[tuple[Batch, Counts]], list[Unreadable]]:
    """Return the batches that are not hidden, oldest first, with counters; ``done_bytes`` is set."""
    found: dict[str, tuple[Batch, Counts]] = {}
    bad: list[Unreadable] = []
    for batch in _understood(_rows(connection, _BATCHES), "batches", batch_of, bad):
        found[batch.id] = (batch, Counts())
    for batch_id, state, kind, ending, files, size_bytes, done_bytes in _rows(connection, _COUNTS):
        reason = reason_of(state, kind, ending)
        if reason:
            like_these = _rows(connection, _LIKE_THESE, (batch_id, state, kind, ending))
            bad += [
                Unreadable(BadRow("transfers", _key(row[1], row[0]), reason), row[0]) for row in like_these
            ]
        elif batch_id in found:
            batch, counts = found[batch_id]
            counts.files[STATES[state]] += files
            counts.size_bytes[STATES[state]] += size_bytes
            batch.done_bytes += done_bytes
    return list(found.values()), bad


def transfers(
    connection: sqlite3.Connection, batch_id: str, after: int, limit: int, *, unfinished: bool
) -> tuple[list[Transfer], list[Unreadable]]:
    """Return at most *limit* transfers; fewer only if there are no more, however many could not be understood."""
    page = _PAGE.format(f" AND {UNFINISHED}" if unfinished else "")
    try:
        rows = connection.execute(
            f"SELECT {columns(TRANSFER_COLUMNS)} {page} LIMIT ?",
            (batch_id, after, limit),
        )
        return [transfer_of(row) for row in rows], []
    except (sqlite3.OperationalError, ValueError, TypeError) as error:
        if not _is_about_a_row(error):
            raise
    bad: list[Unreadable] = []
    every_row = _rows(
        connection,
        f"SELECT rowid, {columns(TRANSFER_COLUMNS)} {page}",
        (batch_id, after),
    )
    found: list[Transfer] = []
    for transfer in _understood(every_row, "transfers", transfer_of, bad):
        found.append(transfer)
        if len(found) == limit:
            break
    return found, bad


def transfer(connection: sqlite3.Connection, transfer_id: str) -> tuple[Transfer | None, list[Unreadable]]:
    """Return one transfer, or None."""
    bad: list[Unreadable] = []
    query = f"SELECT rowid, {columns(TRANSFER_COLUMNS)} FROM transfers WHERE id = ?"  # noqa: S608
    found = list(_understood(_rows(connection, query, (transfer_id,)), "transfers", transfer_of, bad))
    return (found[0] if found else None), bad


def timeline(
    connection: sqlite3.Connection, transfer_id: str
) -> tuple[list[TimelineEntry], list[Unreadable]]:
    """Return the timeline of one transfer, in the order in which it was written."""
    bad: list[Unreadable] = []
    query = "SELECT rowid, transfer_id, at, state, note FROM timeline WHERE transfer_id = ? ORDER BY rowid"
    return list(_understood(_rows(connection, query, (transfer_id,)), "timeline", _entry_of, bad)), bad


def cancels(connection: sqlite3.Connection) -> list[PendingCancel]:
    """Return the cancels that the server must still hear, oldest first."""
    query = "SELECT batch_id, transfer_id, asked_at FROM cancels ORDER BY asked_at, batch_id, transfer_id"
    return [
        PendingCancel(batch_id, transfer_id or None, asked_at)
        for batch_id, transfer_id, asked_at in connection.execute(query)
    ]


def _entry_of(row: Row) -> TimelineEntry:
    _, at, state, note = row
    if state not in STATES:
        raise NotUnderstoodError(reason_of(state, None, None))
    return TimelineEntry(at, STATES[state], text_out(note) or "")


def _understood(
    rows: Iterable[Row], table: str, build: Callable[[Row], _T], bad: list[Unreadable]
) -> Iterator[_T]:
    """Yield what *build* makes of each row without its rowid; append to *bad* what it could not."""
    for rowid, *values in rows:
        try:
            if any(isinstance(value, _NotUtf8) for value in values):
                raise NotUnderstoodError("text that is not UTF-8")
            yield build(tuple(values))
        except (ValueError, TypeError) as error:
            bad.append(Unreadable(BadRow(table, _key(values[0], rowid), str(error)), rowid))


def _rows(connection: sqlite3.Connection, query: str, values: tuple[Any, ...] = ()) -> list[Row]:
    """Return all rows; text that is not UTF-8 comes as _NotUtf8 instead of ending the query."""
    connection.text_factory = _text
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.text_factory = str


def _text(raw: bytes) -> str | _NotUtf8:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _NotUtf8(raw)


def _key(id_: object, rowid: int) -> str:
    return id_ if isinstance(id_, str) else f"row {rowid}"


def _is_about_a_row(error: Exception) -> bool:
    # Python, not SQLite, raises this OperationalError: it has no code of SQLite's.
    return not isinstance(error, sqlite3.Error) or "decode" in str(error)
