"""Do rows, counters and disk say the same? What the server promises at rest, whatever happened before."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.support.server import ServerProcess

_COUNTERS = """
SELECT b.name, b.total_files, b.stored_count, b.failed_count, b.cancelled_count, b.stored_bytes
FROM batches b LEFT JOIN files f ON f.batch_id = b.id GROUP BY b.id
HAVING b.total_files != COUNT(f.id)
    OR b.stored_count != COALESCE(SUM(f.status = 'stored'), 0)
    OR b.failed_count != COALESCE(SUM(f.status = 'failed'), 0)
    OR b.cancelled_count != COALESCE(SUM(f.status = 'cancelled'), 0)
    OR b.stored_bytes != COALESCE(SUM((f.status = 'stored') * f.size_bytes), 0)
"""
_JOB_COUNTERS = """
SELECT b.name, b.jobs_total, b.jobs_completed, b.jobs_failed, b.jobs_cancelled
FROM batches b LEFT JOIN jobs j ON j.batch_id = b.id GROUP BY b.id
HAVING b.jobs_total != COUNT(j.id)
    OR b.jobs_completed != COALESCE(SUM(j.status = 'completed'), 0)
    OR b.jobs_failed != COALESCE(SUM(j.status = 'failed'), 0)
    OR b.jobs_cancelled != COALESCE(SUM(j.status = 'cancelled'), 0)
"""
_PROCESSED_NOT_ONCE = """
SELECT f.id, COUNT(j.id) FROM files f LEFT JOIN jobs j ON j.file_id = f.id AND j.kind = 'inspect'
WHERE f.status = 'stored' AND f.process = 1 GROUP BY f.id HAVING COUNT(j.id) != 1
"""


def contradictions(server: ServerProcess) -> list[str]:
    """Compare every row with its batch and with the disk; the server must be at rest."""
    with closing(sqlite3.connect(server.database_path, timeout=10)) as database:
        wrong = [f"files of batch {row}" for row in database.execute(_COUNTERS)]
        wrong += [f"jobs of batch {row}" for row in database.execute(_JOB_COUNTERS)]
        wrong += [f"not processed once: {row}" for row in database.execute(_PROCESSED_NOT_ONCE)]
        stored = dict(database.execute("SELECT stored_path, size_bytes FROM files WHERE status = 'stored'"))
        known = {row[0] for row in database.execute("SELECT id FROM files WHERE status = 'stored'")}
        unfinished = {
            row[0]
            for row in database.execute("SELECT id FROM files WHERE status IN ('pending', 'uploading')")
        }
    return wrong + _on_disk(server, stored, unfinished, known)


def _on_disk(
    server: ServerProcess, stored: dict[str, int], unfinished: set[str], known: set[str]
) -> list[str]:
    on_disk = {
        path.relative_to(server.files_dir).as_posix(): path.stat().st_size
        for path in server.files_dir.rglob("*")
        if path.is_file()
    }
    partials = {path.name for path in server.partials_dir.iterdir()}
    thumbnails = {path.stem for path in (server.data_dir / "thumbnails").iterdir()}
    wrong = [
        f"stored but not on disk, or of another size: {path}" for path in stored.items() - on_disk.items()
    ]
    wrong += [f"on disk but not stored: {path}" for path in on_disk.keys() - stored.keys()]
    wrong += [f"a partial nobody needs: {name}" for name in partials - unfinished]
    wrong += [f"a thumbnail of nothing: {name}" for name in thumbnails - known]
    return wrong


def unfinished_jobs(server: ServerProcess) -> int:
    """Return how many jobs are not over."""
    return int(count(server, "SELECT COUNT(*) FROM jobs WHERE status IN ('queued', 'processing')"))


def count(server: ServerProcess, statement: str) -> int:
    """Ask the database for one number."""
    with closing(sqlite3.connect(server.database_path, timeout=10)) as database:
        return int(database.execute(statement).fetchone()[0])
