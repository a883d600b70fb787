"""What waits to be written: one transaction's worth, in which the last value of each row wins."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Sequence

from app.journal.reading import Unreadable
from app.journal.rows import BATCH_COLUMNS, TRANSFER_COLUMNS, Row, upsert, with_json

_PUT_BATCH = upsert("batches", BATCH_COLUMNS)
_PUT_TRANSFER = upsert("transfers", TRANSFER_COLUMNS)
_PUT_LINE = "INSERT INTO timeline (transfer_id, at, state, note) VALUES (?, ?, ?, ?)"
_PUT_CANCEL = (
    "INSERT INTO cancels (batch_id, transfer_id, asked_at) VALUES (?, ?, ?)"
    " ON CONFLICT (batch_id, transfer_id) DO UPDATE SET asked_at = excluded.asked_at"
)
_DROP_CANCEL = "DELETE FROM cancels WHERE batch_id = ? AND transfer_id = ?"
_HIDE = "UPDATE batches SET hidden_at = ? WHERE id = ?"
_PUT_BAD = "INSERT INTO bad_rows (source, key, reason, found_at, content) VALUES (?, ?, ?, ?, ?)"
# What one row's values can be blamed for; everything else concerns the file and is tried again.
_OF_THE_ROW = (
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    OverflowError,
    UnicodeError,
)
_log = logging.getLogger(__name__)


class Group:
    """Rows by key, owned by the writer's thread. It is kept whole until its transaction has succeeded."""

    def __init__(self) -> None:
        self.batches: dict[str, Row] = {}
        self.transfers: dict[str, Row] = {}
        self.lines: list[Row] = []
        self.cancels: dict[tuple[str, str], float | None] = {}
        self.hidden: dict[str, float | None] = {}
        self.bad: list[tuple[Unreadable, float]] = []
        self.waiters: list[asyncio.Future[None]] = []
        self.versions: list[asyncio.Future[int]] = []

    @property
    def is_urgent(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self.waiters or self.versions)

    @property
    def has_rows(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.transfers or self.lines or self.batches or self.cancels or self.hidden or self.bad)

    def add_batches(self, rows: Sequence[Row]) -> None:
        """Add rows of the table batches."""
        self.batches.update((row[0], row) for row in rows)

    def add_transfers(self, rows: Sequence[Row], lines: Sequence[Row]) -> None:
        """Add rows of the tables transfers and timeline."""
        self.transfers.update((row[0], row) for row in rows)
        self.lines.extend(lines)

    def add_cancel(self, key: tuple[str, str], asked_at: float | None) -> None:
        """Add a cancel, or (None) take it away."""
        self.cancels[key] = asked_at

    def take_waiters(self) -> tuple[list[asyncio.Future[None]], list[asyncio.Future[int]]]:
        """Return who waits for this transaction, and forget them."""
        taken = self.waiters, self.versions
        self.waiters, self.versions = [], []
        return taken

    def write(self, connection: sqlite3.Connection) -> None:
        """Write everything in one transaction, all or nothing. Raises sqlite3.Error."""
        if not self.has_rows:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._write_rows(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _write_rows(self, connection: sqlite3.Connection) -> None:
        _put(connection, _PUT_BATCH, [with_json(row) for row in self.batches.values()])
        _put(connection, _PUT_TRANSFER, list(self.transfers.values()))
        _put(connection, _PUT_LINE, self.lines)
        for key, asked_at in self.cancels.items():
            if asked_at is None:
                connection.execute(_DROP_CANCEL, key)
            else:
                connection.execute(_PUT_CANCEL, (*key, asked_at))
        _put(connection, _HIDE, [(hidden_at, key) for key, hidden_at in self.hidden.items()])
        for bad, at in self.bad:
            _set_aside(connection, bad, at)


def _put(connection: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    connection.execute("SAVEPOINT together")
    try:
        connection.executemany(statement, rows)
    except _OF_THE_ROW:
        connection.execute("ROLLBACK TO together")
        _put_one_by_one(connection, statement, rows)
    connection.execute("RELEASE together")


def _put_one_by_one(connection: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    """Write what can be written, so that one bad value does not hold up the rest for ever."""
    for row in rows:
        try:
            connection.execute(statement, row)
        except _OF_THE_ROW as error:
            _log.error("A row for the journal could not be written and was set aside: %s", error)
            connection.execute(_PUT_BAD, ("unwritten", str(row[0]), str(error), 0.0, ascii(row)))


def _set_aside(connection: sqlite3.Connection, bad: Unreadable, at: float) -> None:
    """Move one row to bad_rows with all that it holds, if it is still there."""
    table = bad.row.table
    connection.text_factory = bytes
    try:
        cursor = connection.execute(f"SELECT * FROM {table} WHERE rowid = ?", (bad.rowid,))  # noqa: S608
        names = [column[0] for column in cursor.description]
        values = cursor.fetchone()
    finally:
        connection.text_factory = str
    if values is None:
        return
    shown = [
        value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value for value in values
    ]
    content = json.dumps(dict(zip(names, shown, strict=True)))
    connection.execute(_PUT_BAD, (table, bad.row.key, bad.row.reason, at, content))
    connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (bad.rowid,))  # noqa: S608
