"""The rules of files: every change of a file's state, each in one transaction with the counters of its batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, update

from app.server import batches as batch_rules
from app.server.database import Transaction
from app.server.problems import Problem
from app.server.schema import batches, files
from app.server.states import UNFINISHED, FileStatus
from app.server.storage import Storage

EXPIRED = "The upload was not finished in time and has expired."


@dataclass(frozen=True, slots=True)
class NewFile:
    """What a sender says about a file before its bytes."""

    id: str
    owner: str
    filename: str
    relative_path: str
    size_bytes: int
    batch_id: str | None = None
    idempotency_key: str | None = None
    expected_sha256: str | None = None
    mtime_ns: int | None = None
    upload_metadata: str = ""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file as it stood in one snapshot."""

    id: str
    owner: str
    batch_id: str | None
    filename: str
    relative_path: str
    status: FileStatus
    size_bytes: int
    offset_bytes: int
    """What the database knows; while a file is uploading, the disk knows better."""
    expected_sha256: str | None
    sha256: str | None
    mtime_ns: int | None
    stored_path: str | None
    upload_metadata: str
    created_at: str
    completed_at: str | None
    cancelled_at: str | None
    cancelled_by: str | None
    expires_at: str | None
    error_message: str | None
    folder: str | None
    """The folder of its batch under DATA/files."""

    @property
    def names(self) -> tuple[str, ...]:
        """The components of the path it wants under DATA/files."""
        own = tuple(self.relative_path.split("/"))
        return own if self.folder is None else (self.folder, *own)


_FIELDS = [files.c[name] for name in FileRecord.__slots__ if name != "folder"]
_SELECT = select(*_FIELDS, batches.c.folder).select_from(
    files.outerjoin(batches, batches.c.id == files.c.batch_id)
)
_BY_ID = _SELECT.where(files.c.id == bindparam("file"), files.c.owner == bindparam("by_owner"))
_BY_KEY = _SELECT.where(files.c.idempotency_key == bindparam("key"), files.c.owner == bindparam("by_owner"))
_NOTHING_YET: dict[str, Any] = {
    "offset_bytes": 0,
    "sha256": None,
    "stored_path": None,
    "completed_at": None,
    "cancelled_at": None,
    "cancelled_by": None,
    "error_message": None,
}
_ACTIVE: ColumnElement[bool] = files.c.status.in_(UNFINISHED)


def _record(row: Any) -> FileRecord:
    values = dict(row._mapping)
    values["status"] = FileStatus(values["status"])
    return FileRecord(**values)


def get(connection: Connection, owner: str, file_id: str) -> FileRecord:
    """Return one file; raises `Problem("file_not_found")`."""
    found = connection.execute(_BY_ID, {"file": file_id, "by_owner": owner}).first()
    if found is None:
        raise Problem("file_not_found")
    return _record(found)


def find(connection: Connection, owner: str, key: str) -> FileRecord | None:
    """Return the file that was made with an idempotency key, if there is one."""
    found = connection.execute(_BY_KEY, {"key": key, "by_owner": owner}).first()
    return None if found is None else _record(found)


def page(
    connection: Connection, owner: str, batch_id: str, status: FileStatus | None, limit: int, offset: int
) -> tuple[list[FileRecord], int]:
    """Return files of a batch in the order of their creation, and how many match in all."""
    batch_rules.get(connection, owner, batch_id)
    wanted = files.c.batch_id == batch_id
    if status is not None:
        wanted &= files.c.status == status
    rows = connection.execute(_SELECT.where(wanted).order_by(files.c.seq).limit(limit).offset(offset))
    total = connection.execute(select(func.count()).select_from(files).where(wanted)).scalar_one()
    return [_record(row) for row in rows], total


def unfinished_ids(connection: Connection) -> set[str]:
    """Return the ids of all files whose partials are needed."""
    return set(connection.execute(select(files.c.id).where(_ACTIVE)).scalars())


def status(connection: Connection, file_id: str) -> FileStatus | None:
    """Return the status of a file, whosever it is, or None if there is none."""
    found: str | None = connection.execute(select(files.c.status).where(files.c.id == file_id)).scalar()
    return None if found is None else FileStatus(found)


def require_open(record: FileRecord) -> None:
    """Raise `Problem` cancelled or failed for a file that takes no more bytes and was not stored."""
    if record.status is FileStatus.CANCELLED:
        raise Problem("cancelled")
    if record.status is FileStatus.FAILED:
        raise Problem("failed", record.error_message)


def create(
    tx: Transaction, new: NewFile, *, most_files: int | None, now: str, expires_at: str
) -> tuple[FileRecord, bool]:
    """Make a file, or find the one its Idempotency-Key made before; the flag says whether it starts from nothing.

    A failed file starts again. Raises `Problem` cancelled, idempotency_mismatch, or what the batch says.
    """
    known = _known(tx, new)
    if known is not None:
        if known.status is not FileStatus.FAILED:
            require_open(known)
            return known, False
        return _revive(tx, known, now=now, expires_at=expires_at), True
    folder = None
    if new.batch_id is not None:
        folder = batch_rules.admit(tx, new.owner, new.batch_id, new.size_bytes, most_files, now)
    row = {
        "id": new.id,
        "owner": new.owner,
        "batch_id": new.batch_id,
        "filename": new.filename,
        "relative_path": new.relative_path,
        "status": FileStatus.PENDING,
        "size_bytes": new.size_bytes,
        "expected_sha256": new.expected_sha256,
        "mtime_ns": new.mtime_ns,
        "upload_metadata": new.upload_metadata,
        "created_at": now,
        "expires_at": expires_at,
    }
    tx.execute(files.insert(), row | {"idempotency_key": new.idempotency_key})
    return FileRecord(folder=folder, **(_NOTHING_YET | row)), True


def _known(tx: Transaction, new: NewFile) -> FileRecord | None:
    if new.idempotency_key is None:
        return None
    row = tx.execute(_BY_KEY, {"key": new.idempotency_key, "by_owner": new.owner}).first()
    if row is None:
        return None
    known = _record(row)
    if (known.size_bytes, known.batch_id) != (new.size_bytes, new.batch_id):
        raise Problem("idempotency_mismatch")
    return known


def _revive(tx: Transaction, known: FileRecord, *, now: str, expires_at: str) -> FileRecord:
    if (
        known.batch_id is not None
        and batch_rules.get(tx.connection, known.owner, known.batch_id).cancelled_at
    ):
        raise Problem("batch_cancelled")
    tx.execute(
        update(files)
        .where(files.c.id == known.id)
        .values(
            status=FileStatus.PENDING,
            offset_bytes=0,
            sha256=None,
            error_message=None,
            completed_at=None,
            expires_at=expires_at,
        )
    )
    batch_rules.settle(tx, known.batch_id, now, failed=-1)
    return get(tx.connection, known.owner, known.id)


_PROGRESS = (
    update(files)
    .where(files.c.id == bindparam("file"), _ACTIVE)
    .values(
        status=FileStatus.UPLOADING.value, offset_bytes=bindparam("at_offset"), expires_at=bindparam("until")
    )
)


def progress(tx: Transaction, file_id: str, offset_bytes: int, expires_at: str) -> bool:
    """Note how far an upload is; False if it is not to go on, whoever decided that."""
    noted = tx.execute(_PROGRESS, {"file": file_id, "at_offset": offset_bytes, "until": expires_at})
    return noted.rowcount == 1


_COMPLETE = (
    update(files)
    .where(files.c.id == bindparam("file"), _ACTIVE)
    .values(
        status=FileStatus.STORED.value,
        offset_bytes=files.c.size_bytes,
        sha256=bindparam("digest"),
        stored_path=bindparam("path"),
        completed_at=bindparam("now"),
        expires_at=None,
    )
)


def complete(tx: Transaction, storage: Storage, file: FileRecord, sha256: str, now: str) -> str:
    """Give the finished partial its name and the file its last state, both or neither; return the stored path.

    The write lock is held, so a cancel comes before (then `Problem("cancelled")`) or after, never between.
    """
    current = get(tx.connection, file.owner, file.id)
    require_open(current)
    if current.stored_path is not None:
        return current.stored_path
    return store(tx, storage, file, sha256, now)


def store(tx: Transaction, storage: Storage, file: FileRecord, sha256: str, now: str) -> str:
    """Do what :func:`complete` promises for a file that this transaction has seen to be unfinished."""
    stored_path = storage.place(file.id, file.names)
    tx.on_rollback(lambda: storage.unplace(file.id, stored_path))
    tx.execute(_COMPLETE, {"file": file.id, "digest": sha256, "path": stored_path, "now": now})
    batch_rules.settle(tx, file.batch_id, now, stored=1, stored_bytes=file.size_bytes)
    tx.on_commit(lambda: storage.drop_partial(file.id))
    return stored_path


def fail(tx: Transaction, file: FileRecord, message: str, now: str) -> None:
    """End an upload that cannot succeed; raises `Problem("cancelled")` if a cancel was first."""
    failed = tx.execute(
        update(files)
        .where(files.c.id == file.id, _ACTIVE)
        .values(
            status=FileStatus.FAILED, error_message=message, completed_at=now, offset_bytes=0, expires_at=None
        )
    )
    if failed.rowcount == 0:
        require_open(get(tx.connection, file.owner, file.id))
        return
    batch_rules.settle(tx, file.batch_id, now, failed=1)


def cancel(tx: Transaction, owner: str, file_id: str, by: str, now: str) -> FileRecord:
    """Cancel one file; raises `Problem` file_not_found, or not_cancellable with the current status."""
    cancelled = tx.execute(
        update(files)
        .where(files.c.id == file_id, files.c.owner == owner, _ACTIVE)
        .values(status=FileStatus.CANCELLED, cancelled_at=now, cancelled_by=by, expires_at=None)
    )
    file = get(tx.connection, owner, file_id)
    if cancelled.rowcount == 0:
        raise Problem("not_cancellable", f"The file is {file.status}.", extra={"status": file.status.value})
    batch_rules.settle(tx, file.batch_id, now, cancelled=1)
    return file


def delete(tx: Transaction, storage: Storage, owner: str, file_id: str) -> None:
    """Delete a stored file; raises `Problem` file_not_found or not_stored."""
    file = get(tx.connection, owner, file_id)
    if file.stored_path is None:
        raise Problem("not_stored", extra={"status": file.status.value})
    stored_path = file.stored_path
    tx.execute(files.delete().where(files.c.id == file_id))
    batch_rules.forget_stored(tx, file.batch_id, file.size_bytes)
    tx.on_commit(lambda: storage.remove(stored_path))


def expire(tx: Transaction, now: str) -> list[FileRecord]:
    """Fail every upload whose time is over and return them."""
    over = [_record(row) for row in tx.execute(_SELECT.where(_ACTIVE, files.c.expires_at < now))]
    tx.execute(
        update(files)
        .where(_ACTIVE, files.c.expires_at < now)
        .values(status=FileStatus.FAILED, error_message=EXPIRED, completed_at=now, expires_at=None)
    )
    for batch_id, number in Counter(file.batch_id for file in over).items():
        batch_rules.settle(tx, batch_id, now, failed=number)
    return over
