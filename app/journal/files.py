"""The journal's file: opening it, setting a damaged one aside, and the sentence for every way a disk can refuse."""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from app.journal.journal import JournalError
from app.journal.rows import BATCH_COLUMNS, TRANSFER_COLUMNS, columns
from app.journal.schema import migrate

BUSY_TIMEOUT_S = 10.0
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SENTENCES = {
    sqlite3.SQLITE_FULL: "The disk is full, so the list of uploads in {path} cannot be saved. Free some space.",
    sqlite3.SQLITE_READONLY: "The list of uploads in {path} cannot be saved: the file or its folder is read-only.",
    sqlite3.SQLITE_PERM: "The list of uploads in {path} cannot be saved: access is denied.",
    sqlite3.SQLITE_CANTOPEN: "The list of uploads in {path} cannot be opened. Check that its folder exists and is yours.",
    sqlite3.SQLITE_BUSY: "The list of uploads in {path} is held by another program.",
    sqlite3.SQLITE_LOCKED: "The list of uploads in {path} is held by another program.",
    sqlite3.SQLITE_IOERR: "The disk reported an error, so the list of uploads in {path} cannot be saved.",
    sqlite3.SQLITE_CORRUPT: "The list of uploads in {path} is damaged. It is set aside at the next start.",
    sqlite3.SQLITE_NOTADB: "The list of uploads in {path} is damaged. It is set aside at the next start.",
}


def problem(error: Exception, path: Path) -> JournalError:
    """Turn an error of SQLite or the system into a sentence; remember damage, so that the next start looks closely."""
    if isinstance(error, sqlite3.Error):
        code = _code(error)
        if code in _DAMAGED:
            _leave_mark(path)
        if code in _SENTENCES:
            return JournalError(_SENTENCES[code].format(path=path))
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return JournalError(f"The list of uploads in {path} cannot be used: {reason}.")


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Return a connection for the calling thread; *read_only* for the one that only looks."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, cached_statements=64)
    try:
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def open_or_begin_anew(
    path: Path, clock: Callable[[], float] = time.time
) -> tuple[sqlite3.Connection, tuple[str, ...]]:
    """Open the journal for writing; return it, and sentences for a person.

    A damaged file is moved to ``journal-corrupt-<time>.sqlite3`` beside it and a new one begun. Raises JournalError
    (a newer version's file), sqlite3.Error or OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _open(path), ()
    except sqlite3.Error as error:
        if not _is_damage(error):
            raise
    aside = _set_aside(path, clock())
    return _open(path), (
        f"The list of uploads was damaged and could not be read. It was set aside as {aside} and a new list was begun."
        " Files that had arrived are not affected.",
    )


def _open(path: Path) -> sqlite3.Connection:
    connection = _connect_patiently(path)
    try:
        migrate(connection, path)
        connection.execute(f"SELECT {columns(BATCH_COLUMNS)}, hidden_at FROM batches LIMIT 1").fetchall()  # noqa: S608
        connection.execute(f"SELECT {columns(TRANSFER_COLUMNS)} FROM transfers LIMIT 1").fetchall()  # noqa: S608
        for table in ("timeline", "cancels", "bad_rows"):
            connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()  # noqa: S608
        if _mark(path).exists():
            _look_closely(connection)
            _mark(path).unlink(missing_ok=True)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_patiently(path: Path) -> sqlite3.Connection:
    # SQLite's own busy timeout does not cover the switch to WAL, which two programs may make at the same moment.
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            return connect(path)
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _look_closely(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError if the file is damaged; reads all of it (0.1 s for 100,000 transfers)."""
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        error = sqlite3.DatabaseError(verdict)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _is_damage(error: sqlite3.Error) -> bool:
    # SQLITE_ERROR: the file is sound but its tables are not ours ("no such table", "already exists").
    return _code(error) in _DAMAGED or _code(error) == sqlite3.SQLITE_ERROR


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _set_aside(path: Path, now: float) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    aside = path.with_name(f"journal-corrupt-{stamp}.sqlite3")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"journal-corrupt-{stamp}-{number}.sqlite3")
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.replace(aside.with_name(aside.name + suffix))
    path.replace(aside)
    _mark(path).unlink(missing_ok=True)
    return aside


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}-damaged")


def _leave_mark(path: Path) -> None:
    try:
        os.close(os.open(_mark(path), os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError:
        # The disk is in trouble: the sentence is told all the same, and the next start may find the damage itself.
        return
