"""The journal's tables, and the migrations that bring an older file to them, counted by PRAGMA user_version.

batches ──< transfers ──< timeline        cancels: what the server must still hear        bad_rows: set aside, kept

Columns of type ANY hold TEXT, or a BLOB where the text has bytes that no encoding knows (see rows.py); ``mtime_ns``
is TEXT where it exceeds 64 bits (after the year 2262). ``hidden_at`` is when a person removed the batch.
"""

import sqlite3

from app.journal.journal import JournalError

UNFINISHED = "state NOT IN ('completed', 'failed', 'cancelled', 'skipped')"
"""The condition of the partial index; a query must repeat it word for word to use the index."""

_FIRST = f"""
CREATE TABLE batches (
    id TEXT PRIMARY KEY, name ANY NOT NULL, profile_id ANY NOT NULL, created_at REAL NOT NULL, remote_id ANY,
    remote_folder ANY, started_at REAL, finished_at REAL, scanning INTEGER NOT NULL, paused INTEGER NOT NULL,
    ending TEXT, answer ANY NOT NULL, roots TEXT NOT NULL, report TEXT, hidden_at REAL
) STRICT;
CREATE TABLE transfers (
    id TEXT PRIMARY KEY, batch_id TEXT NOT NULL, position INTEGER NOT NULL, source BLOB NOT NULL,
    relative_path ANY NOT NULL, size_bytes INTEGER NOT NULL, mtime_ns ANY NOT NULL, state TEXT NOT NULL,
    offset_bytes INTEGER NOT NULL, remote_id ANY, sha256 TEXT, ending TEXT, answer ANY NOT NULL,
    attempts INTEGER NOT NULL, retry_at REAL, generation INTEGER NOT NULL,
    failure_kind TEXT, failure_detail ANY, failure_http INTEGER, failure_retry_s REAL, failure_limit INTEGER
) STRICT;
CREATE INDEX transfers_by_position ON transfers (batch_id, position);
CREATE INDEX transfers_unfinished ON transfers (batch_id, position) WHERE {UNFINISHED};
CREATE TABLE timeline (transfer_id TEXT NOT NULL, at REAL NOT NULL, state TEXT NOT NULL, note ANY NOT NULL) STRICT;
CREATE INDEX timeline_by_transfer ON timeline (transfer_id);
CREATE TABLE cancels (
    batch_id TEXT NOT NULL, transfer_id TEXT NOT NULL, asked_at REAL NOT NULL, PRIMARY KEY (batch_id, transfer_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE bad_rows (
    source TEXT NOT NULL, key TEXT NOT NULL, reason TEXT NOT NULL, found_at REAL NOT NULL, content TEXT NOT NULL
) STRICT;
"""

_SECOND = """
ALTER TABLE transfers ADD COLUMN begun_at REAL;
ALTER TABLE batches ADD COLUMN target ANY;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _SECOND)
"""Script *n* brings a file from version n to n + 1. A script that was released is never edited."""


def migrate(connection: sqlite3.Connection, path: object) -> None:
    """Bring the file to the newest version, one transaction a step; safe when two programs start at once.

    Raises JournalError for a file that a newer version wrote: it is left alone.
    """
    while _version(connection) != len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection)
            if version > len(MIGRATIONS):
                raise JournalError(
                    f"The journal {path} was written by a newer version of Uphaul. Update Uphaul to use it."
                )
            if version < len(MIGRATIONS):
                _run(connection, MIGRATIONS[version])
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _run(connection: sqlite3.Connection, script: str) -> None:
    # executescript() would commit first, and the step must be one transaction.
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)
