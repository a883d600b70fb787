"""The rules of batches: one row of counters that changes with its files, in the same transaction, by SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import Connection, bindparam, case, func, select, update
from sqlalchemy.engine import Row

from app.server.database import Transaction
from app.server.names import free_folder_name
from app.server.problems import Problem
from app.server.schema import batches, files
from app.server.states import UNFINISHED, BatchCounts, BatchStatus, FileStatus, batch_status

LISTED_FINISHED_IDS = 1000
"""A cancel names so many finished files; the list of files has them all."""


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch as it stood in one snapshot."""

    id: str
    owner: str
    name: str
    folder: str
    counts: BatchCounts
    total_bytes: int
    stored_bytes: int
    created_at: str
    started_at: str | None
    completed_at: str | None
    cancelled_at: str | None
    cancelled_by: str | None

    @property
    def status(self) -> BatchStatus:
        """What the batch amounts to."""
        return batch_status(self.counts, cancelled=self.cancelled_at is not None)


@dataclass(frozen=True, slots=True)
class BatchCancel:
    """How a cancel of a batch went; `partials` names the files whose bytes must leave the disk now."""

    batch: BatchRecord
    cancelled_files: int
    finished_ids: tuple[str, ...]
    partials: tuple[tuple[str, str], ...]
    """Pairs of file id and relative path."""


def _record(row: Row[Any]) -> BatchRecord:
    return BatchRecord(
        id=row.id,
        owner=row.owner,
        name=row.name,
        folder=row.folder,
        counts=BatchCounts(row.total_files, row.stored_count, row.failed_count, row.cancelled_count),
        total_bytes=row.total_bytes,
        stored_bytes=row.stored_bytes,
        created_at=row.created_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        cancelled_at=row.cancelled_at,
        cancelled_by=row.cancelled_by,
    )


def get(connection: Connection, owner: str, batch_id: str) -> BatchRecord:
    """Return one batch; raises `Problem("batch_not_found")`."""
    found = connection.execute(
        select(batches).where(batches.c.id == batch_id, batches.c.owner == owner)
    ).first()
    if found is None:
        raise Problem("batch_not_found")
    return _record(found)


def page(connection: Connection, owner: str, limit: int, offset: int) -> tuple[list[BatchRecord], int]:
    """Return batches, the newest first, and how many there are in all."""
    mine = batches.c.owner == owner
    rows = connection.execute(
        select(batches).where(mine).order_by(batches.c.seq.desc()).limit(limit).offset(offset)
    )
    total = connection.execute(select(func.count()).select_from(batches).where(mine)).scalar_one()
    return [_record(row) for row in rows], total


def create(
    tx: Transaction, owner: str, name: str, key: str | None, now: str, is_on_disk: Callable[[str], bool]
) -> tuple[BatchRecord, bool]:
    """Make a batch with a folder of its own, or find the one *key* made before; the flag says which."""
    if key is not None:
        known = tx.execute(
            select(batches).where(batches.c.owner == owner, batches.c.idempotency_key == key)
        ).first()
        if known is not None:
            return _record(known), False
    taken = set(tx.execute(select(batches.c.folder_key)).scalars())
    folder = free_folder_name(name, lambda it: it.casefold() in taken or is_on_disk(it))
    batch_id = uuid4().hex
    tx.execute(
        batches.insert(),
        {
            "id": batch_id,
            "owner": owner,
            "idempotency_key": key,
            "name": name,
            "folder": folder,
            "folder_key": folder.casefold(),
            "created_at": now,
        },
    )
    return get(tx.connection, owner, batch_id), True


_OVER = batches.c.stored_count + batches.c.failed_count + batches.c.cancelled_count

_ADMIT = (
    update(batches)
    .where(
        batches.c.id == bindparam("batch"),
        batches.c.owner == bindparam("by_owner"),
        batches.c.cancelled_at.is_(None),
        batches.c.total_files < bindparam("most"),
    )
    .values(
        total_files=batches.c.total_files + 1,
        total_bytes=batches.c.total_bytes + bindparam("size"),
        started_at=func.coalesce(batches.c.started_at, bindparam("now")),
        completed_at=None,
    )
    .returning(batches.c.folder)
)

_SETTLE = (
    update(batches)
    .where(batches.c.id == bindparam("batch"))
    .values(
        stored_count=batches.c.stored_count + bindparam("stored"),
        failed_count=batches.c.failed_count + bindparam("failed"),
        cancelled_count=batches.c.cancelled_count + bindparam("cancelled"),
        stored_bytes=batches.c.stored_bytes + bindparam("size"),
        completed_at=case(
            (
                _OVER + bindparam("stored") + bindparam("failed") + bindparam("cancelled")
                >= batches.c.total_files,
                func.coalesce(batches.c.completed_at, bindparam("now")),
            ),
            else_=None,
        ),
    )
)


def admit(
    tx: Transaction, owner: str, batch_id: str, size_bytes: int, most_files: int | None, now: str
) -> str:
    """Count one more file into a batch and return the batch's folder.

    Raises `Problem` batch_not_found, batch_cancelled or batch_full.
    """
    most = most_files if most_files is not None else 2**62
    folder: str | None = tx.execute(
        _ADMIT, {"batch": batch_id, "by_owner": owner, "most": most, "size": size_bytes, "now": now}
    ).scalar()
    if folder is None:
        batch = get(tx.connection, owner, batch_id)
        raise Problem("batch_cancelled" if batch.cancelled_at else "batch_full")
    return folder


def settle(
    tx: Transaction,
    batch_id: str | None,
    now: str,
    *,
    stored: int = 0,
    failed: int = 0,
    cancelled: int = 0,
    stored_bytes: int = 0,
) -> None:
    """Add to the counters of a batch, in the transaction that changes the files; no batch is fine."""
    if batch_id is not None:
        tx.execute(
            _SETTLE,
            {
                "batch": batch_id,
                "now": now,
                "stored": stored,
                "failed": failed,
                "cancelled": cancelled,
                "size": stored_bytes,
            },
        )


def forget_stored(tx: Transaction, batch_id: str | None, size_bytes: int) -> None:
    """Take a deleted file out of the counters."""
    if batch_id is not None:
        tx.execute(
            update(batches)
            .where(batches.c.id == batch_id)
            .values(
                total_files=batches.c.total_files - 1,
                stored_count=batches.c.stored_count - 1,
                total_bytes=batches.c.total_bytes - size_bytes,
                stored_bytes=batches.c.stored_bytes - size_bytes,
            )
        )


def cancel(tx: Transaction, owner: str, batch_id: str, by: str, now: str) -> BatchCancel:
    """Cancel a batch and every unfinished file of it, by one statement however many they are.

    Raises `Problem` batch_not_found, or not_cancellable with the current status when it is over.
    """
    batch = get(tx.connection, owner, batch_id)
    if batch.status not in {BatchStatus.PENDING, BatchStatus.PROCESSING}:
        raise Problem(
            "not_cancellable", f"The batch is {batch.status}.", extra={"status": batch.status.value}
        )
    inside = files.c.batch_id == batch_id
    partials = tx.execute(
        select(files.c.id, files.c.relative_path).where(inside, files.c.status == FileStatus.UPLOADING)
    ).all()
    cancelled = tx.execute(
        update(files)
        .where(inside, files.c.status.in_(UNFINISHED))
        .values(status=FileStatus.CANCELLED, cancelled_at=now, cancelled_by=by, expires_at=None)
    ).rowcount
    tx.execute(update(batches).where(batches.c.id == batch_id).values(cancelled_at=now, cancelled_by=by))
    settle(tx, batch_id, now, cancelled=cancelled)
    finished = tx.execute(
        select(files.c.id)
        .where(inside, files.c.status == FileStatus.STORED)
        .order_by(files.c.seq)
        .limit(LISTED_FINISHED_IDS)
    ).scalars()
    return BatchCancel(
        batch=get(tx.connection, owner, batch_id),
        cancelled_files=cancelled,
        finished_ids=tuple(finished),
        partials=tuple(cast("tuple[str, str]", tuple(row)) for row in partials),
    )
