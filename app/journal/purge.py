"""Purging what a person removed, a little at a time, so that no write ever waits long for it."""

import logging
import sqlite3

_OLDEST = """
SELECT id FROM batches WHERE hidden_at < ?
AND NOT EXISTS (SELECT 1 FROM cancels WHERE cancels.batch_id = batches.id) LIMIT 1
"""
_SOME = "FROM transfers WHERE batch_id = ? ORDER BY position LIMIT ?"
_log = logging.getLogger(__name__)


def purge_some(connection: sqlite3.Connection, before: float, rows: int = 2000) -> bool:
    """Delete at most *rows* transfers of batches hidden before *before* (epoch seconds); return whether to call again.

    A batch with a cancel that its server has not yet confirmed stays. A disk that refuses is no reason to complain:
    a later start tries again.
    """
    try:
        return _purge_some(connection, before, rows)
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        _log.info("removed batches could not be purged: %s", error)
        return False


def _purge_some(connection: sqlite3.Connection, before: float, rows: int) -> bool:
    if connection.execute(_OLDEST, (before,)).fetchone() is None:
        return False
    connection.execute("BEGIN IMMEDIATE")
    found = connection.execute(_OLDEST, (before,)).fetchone()
    if found is not None:
        batch_id = found[0]
        some = (batch_id, rows)
        connection.execute(f"DELETE FROM timeline WHERE transfer_id IN (SELECT id {_SOME})", some)  # noqa: S608
        gone = connection.execute(
            f"DELETE FROM transfers WHERE rowid IN (SELECT rowid {_SOME})",  # noqa: S608
            some,
        )
        if gone.rowcount < rows:
            connection.execute("DELETE FROM batches WHERE id = ?", (batch_id,))
    connection.execute("COMMIT")
    return True
