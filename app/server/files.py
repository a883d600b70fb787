"""The rules of files: every change of a file's state, each in one transaction with the counters of its batch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, update

from app.server import batches as batch_rules
from app.server import jobs
from app.server.batches import Change
from app.server.database import Transaction
from app.server.events import Event, EventKind
from app.server.file_records import FileRecord, NewFile
from app.server.problems import Problem
from app.server.schema import batches, files
from app.server.states import UNFINISHED, FileStatus, JobCounts
from app.server.storage import Storage

__all__ = [
    "FileRecord",
    "NewFile",
]  # the records belong to the rules; they have a module of their own for its length

ABANDONED = "The server stopped while this file arrived."
EXPIRED = "The upload was not finished in time and has expired."


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
    values["extra"] = json.loads(values["extra"])
    values["process"], values["is_sized"] = bool(values["process"]), bool(values["is_sized"])
    return FileRecord(**values)


StoredRule = Callable[[Transaction, FileRecord], None]
"""What the API that a file came by does in the transaction that stores the file."""


def _event(kind: EventKind, file: FileRecord, at: str, **data: Any) -> Event:
    return Event(kind, file.owner, at, file.batch_id, file.id, data={"filename": file.filename, **data})


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
    connection: Connection,
    owner: str,
    batch_id: str,
    status: FileStatus | None,
    limit: int,
    offset: int,
) -> tuple[list[FileRecord], int]:
    """Return files of a batch in the order of their creation, and how many match in all."""
    batch_rules.get(connection, owner, batch_id)
    wanted = files.c.batch_id == batch_id
    if status is not None:
        wanted &= files.c.status == status
    rows = connection.execute(_SELECT.where(wanted).order_by(files.c.seq).limit(limit).offset(offset))
    total = connection.execute(select(func.count()).select_from(files).where(wanted)).scalar_one()
    return [_record(row) for row in rows], total


def some(connection: Connection, owner: str, file_ids: Iterable[str]) -> list[FileRecord]:
    """Return those of these files that the user has, in the order of their creation."""
    wanted = files.c.id.in_(list(file_ids)) & (files.c.owner == owner)
    return [_record(row) for row in connection.execute(_SELECT.where(wanted).order_by(files.c.seq))]


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
        folder = batch_rules.admit(tx, new.owner, new.batch_id, new.size_bytes or 0, most_files, now)
    row = {
        "id": new.id,
        "owner": new.owner,
        "batch_id": new.batch_id,
        "filename": new.filename,
        "relative_path": new.relative_path,
        "status": FileStatus.PENDING,
        "size_bytes": new.size_bytes or 0,
        "is_sized": new.size_bytes is not None,
        "origin": new.origin,
        "process": new.process,
        "expected_sha256": new.expected_sha256,
        "mtime_ns": new.mtime_ns,
        "upload_metadata": new.upload_metadata,
        "created_at": now,
        "expires_at": expires_at,
    }
    text = json.dumps(dict(new.extra)) if new.extra else "{}"
    tx.execute(files.insert(), row | {"idempotency_key": new.idempotency_key, "extra": text})
    file = FileRecord(folder=folder, extra=new.extra, **(_NOTHING_YET | row))
    tx.emit(_event(EventKind.FILE_CREATED, file, now, size=file.size_bytes))
    return file, True


def _known(tx: Transaction, new: NewFile) -> FileRecord | None:
    if new.idempotency_key is None:
        return None
    row = tx.execute(_BY_KEY, {"key": new.idempotency_key, "by_owner": new.owner}).first()
    if row is None:
        return None
    known = _record(row)
    length_bytes = known.size_bytes if new.size_bytes is None else new.size_bytes
    if (known.size_bytes, known.batch_id) != (length_bytes, new.batch_id):
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
    batch_rules.settle(tx, known.batch_id, now, Change(failed=-1))
    return get(tx.connection, known.owner, known.id)


_PROGRESS = (
    update(files)
    .where(files.c.id == bindparam("file"), _ACTIVE)
    .values(
        status=FileStatus.UPLOADING.value, offset_bytes=bindparam("at_offset"), expires_at=bindparam("until")
    )
    .returning(files.c.owner, files.c.batch_id, files.c.filename, files.c.size_bytes)
)


def progress(tx: Transaction, file_id: str, offset_bytes: int, now: str, expires_at: str) -> bool:
    """Note how far an upload is; False if it is not to go on, whoever decided that."""
    row = tx.execute(
        _PROGRESS, {"file": file_id, "at_offset": offset_bytes, "until": expires_at}
    ).one_or_none()
    if row is None:
        return False
    data = {"filename": row.filename, "offset": offset_bytes, "size": row.size_bytes}
    tx.emit(Event(EventKind.FILE_PROGRESS, row.owner, now, row.batch_id, file_id, data=data))
    return True


_COMPLETE = (
    update(files)
    .where(files.c.id == bindparam("file"), _ACTIVE)
    .values(
        status=FileStatus.STORED.value,
        size_bytes=bindparam("size"),
        offset_bytes=bindparam("size"),
        sha256=bindparam("digest"),
        stored_path=bindparam("path"),
        completed_at=bindparam("now"),
        expires_at=None,
    )
)


def complete(
    tx: Transaction, storage: Storage, file: FileRecord, sha256: str, now: str, then: StoredRule | None = None
) -> str:
    """Give the finished partial its name and the file its last state, both or neither; return the stored path.

    The write lock is held, so a cancel comes before (then `Problem("cancelled")`) or after, never between. The length in
    *file* counts: it is news for a file that had none.
    """
    current = get(tx.connection, file.owner, file.id)
    require_open(current)
    if current.stored_path is not None:
        return current.stored_path
    return store(tx, storage, file, sha256, now, then, grown_bytes=file.size_bytes - current.size_bytes)


def store(
    tx: Transaction,
    storage: Storage,
    file: FileRecord,
    sha256: str,
    now: str,
    then: StoredRule | None = None,
    *,
    grown_bytes: int = 0,
) -> str:
    """Do what :func:`complete` promises for a file that this transaction has seen to be unfinished."""
    path = storage.place(file.id, file.names)
    tx.on_rollback(lambda: storage.unplace(file.id, path))
    tx.execute(
        _COMPLETE, {"file": file.id, "digest": sha256, "path": path, "now": now, "size": file.size_bytes}
    )
    work = JobCounts(total=1) if file.process else JobCounts()
    change = Change(stored=1, stored_bytes=file.size_bytes, grown_bytes=grown_bytes, jobs=work)
    batch_rules.settle(tx, file.batch_id, now, change)
    tx.emit(_event(EventKind.FILE_STORED, file, now, size=file.size_bytes, sha256=sha256, stored_path=path))
    if file.process:
        about = {"filename": file.filename, "size": file.size_bytes}
        jobs.insert(tx, jobs.NewJob(jobs.INSPECT, file.owner, file.id, file.batch_id, payload=about), now)
    if then is not None:
        stored = replace(
            file, status=FileStatus.STORED, sha256=sha256, stored_path=path, completed_at=now, expires_at=None
        )
        then(tx, replace(stored, offset_bytes=file.size_bytes))
    tx.on_commit(lambda: storage.drop_partial(file.id))
    return path


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
    batch_rules.settle(tx, file.batch_id, now, Change(failed=1))
    tx.emit(_event(EventKind.FILE_FAILED, file, now, error=message))


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
    batch_rules.settle(tx, file.batch_id, now, Change(cancelled=1))
    tx.emit(_event(EventKind.FILE_CANCELLED, file, now, by=by))
    return file


def delete(tx: Transaction, storage: Storage, owner: str, file_id: str, now: str) -> tuple[str, ...]:
    """Delete a stored file with its jobs and return their ids; raises `Problem` file_not_found or not_stored."""
    file = get(tx.connection, owner, file_id)
    if file.stored_path is None:
        raise Problem("not_stored", extra={"status": file.status.value})
    stored_path = file.stored_path
    job_ids, counted = jobs.forget(tx, file_id, file.batch_id)
    tx.execute(files.delete().where(files.c.id == file_id))
    batch_rules.forget_stored(tx, file.batch_id, file.size_bytes, now, counted)
    tx.emit(_event(EventKind.FILE_DELETED, file, now))
    tx.on_commit(lambda: storage.remove(stored_path))
    tx.on_commit(lambda: storage.drop_thumbnail(file_id))
    return job_ids


def delete_row(tx: Transaction, owner: str, file_id: str, now: str) -> None:
    """Forget a file that was not stored and is over; raises `Problem` file_not_found, or not_over."""
    file = get(tx.connection, owner, file_id)
    if file.status not in {FileStatus.FAILED, FileStatus.CANCELLED}:
        raise Problem("not_over", extra={"status": file.status.value})
    tx.execute(files.delete().where(files.c.id == file_id))
    batch_rules.forget_unstored(tx, file.batch_id, file.size_bytes, now, file.status)
    tx.emit(_event(EventKind.FILE_DELETED, file, now))


def patch_extra(tx: Transaction, owner: str, file_id: str, change: Mapping[str, Any]) -> FileRecord:
    """Set some keys of a file's `extra`; raises `Problem("file_not_found")`."""
    extra = {**get(tx.connection, owner, file_id).extra, **change}
    tx.execute(update(files).where(files.c.id == file_id).values(extra=json.dumps(extra)))
    return get(tx.connection, owner, file_id)


def expire(tx: Transaction, now: str) -> list[FileRecord]:
    """Fail every upload whose time is over and return them."""
    return _fail_all(tx, files.c.expires_at < now, EXPIRED, now)


def abandon(tx: Transaction, file_ids: list[str], now: str) -> list[FileRecord]:
    """Fail uploads of unknown length that nobody can continue, and return them."""
    return _fail_all(tx, files.c.id.in_(file_ids) & (files.c.is_sized == 0), ABANDONED, now)


def open_ended_ids(connection: Connection, before: str) -> list[str]:
    """Return the unfinished files of unknown length that have brought nothing since their expiry was *before*."""
    wanted = _ACTIVE & (files.c.is_sized == 0) & (files.c.expires_at <= before)
    return list(connection.execute(select(files.c.id).where(wanted)).scalars())


def _fail_all(tx: Transaction, which: ColumnElement[bool], message: str, now: str) -> list[FileRecord]:
    over = [_record(row) for row in tx.execute(_SELECT.where(_ACTIVE, which))]
    tx.execute(
        update(files)
        .where(_ACTIVE, which)
        .values(status=FileStatus.FAILED, error_message=message, completed_at=now, expires_at=None)
    )
    for batch_id, number in Counter(file.batch_id for file in over).items():
        batch_rules.settle(tx, batch_id, now, Change(failed=number))
    for file in over:
        tx.emit(_event(EventKind.FILE_FAILED, file, now, error=message))
    return over
