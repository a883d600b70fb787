"""The rules of jobs: work on stored files after their arrival, one at a time in a lane, tried twice.

Who asks for work inserts a row; runner.py claims rows and works them off. A job that names a batch is counted in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, bindparam, func, select, update

from app.server import batches as batch_rules
from app.server.batches import Change
from app.server.database import Transaction
from app.server.events import Event, EventKind
from app.server.job_records import JobRecord, NewJob
from app.server.problems import Problem
from app.server.schema import jobs
from app.server.states import JOB_UNFINISHED, JobCounts, JobStatus

__all__ = ["JobRecord", "NewJob"]

INSPECT = "inspect"
WAKE = "jobs"
MOST_ATTEMPTS = 2
MOST_INTERRUPTIONS = 5
INTERRUPTED = "The server died each time it worked on this."


_SELECT = select(*[jobs.c[name] for name in JobRecord.__slots__])
_ACTIVE = jobs.c.status.in_(JOB_UNFINISHED)


def _record(row: Any) -> JobRecord:
    values = dict(row._mapping)
    values["status"] = JobStatus(values["status"])
    values["result"] = json.loads(values["result"] or "{}")
    values["payload"] = json.loads(values["payload"])
    return JobRecord(**values)


def _event(kind: EventKind, job: JobRecord, at: str, **data: Any) -> Event:
    told = {"kind": job.kind, "filename": job.payload.get("filename"), "size": job.payload.get("size")}
    return Event(kind, job.owner, at, job.batch_id, job.file_id, job.id, told | data)


def get(connection: Connection, owner: str, job_id: str) -> JobRecord:
    """Return one job; raises `Problem("job_not_found")`."""
    row = connection.execute(_SELECT.where(jobs.c.id == job_id, jobs.c.owner == owner)).first()
    if row is None:
        raise Problem("job_not_found")
    return _record(row)


def of_file(connection: Connection, owner: str, file_id: str, kind: str | None = INSPECT) -> JobRecord | None:
    """Return the newest job of a file, of one kind or any (None)."""
    wanted = (jobs.c.file_id == file_id) & (jobs.c.owner == owner)
    if kind is not None:
        wanted &= jobs.c.kind == kind
    row = connection.execute(_SELECT.where(wanted).order_by(jobs.c.seq.desc()).limit(1)).first()
    return None if row is None else _record(row)


def of_files(
    connection: Connection, owner: str, file_ids: Iterable[str], kind: str = INSPECT
) -> dict[str, JobRecord]:
    """Return the newest job of each file that has one."""
    wanted = jobs.c.file_id.in_(list(file_ids)) & (jobs.c.owner == owner) & (jobs.c.kind == kind)
    found = [_record(row) for row in connection.execute(_SELECT.where(wanted).order_by(jobs.c.seq))]
    return {job.file_id: job for job in found if job.file_id is not None}


def page(
    connection: Connection,
    owner: str,
    *,
    kind: str | None = None,
    batch_id: str | None = None,
    status: JobStatus | None = None,
    limit: int,
    offset: int,
) -> tuple[list[JobRecord], int]:
    """Return jobs in the order of their creation, and how many match in all."""
    wanted = jobs.c.owner == owner
    for column, value in ((jobs.c.kind, kind), (jobs.c.batch_id, batch_id), (jobs.c.status, status)):
        if value is not None:
            wanted &= column == value
    rows = connection.execute(_SELECT.where(wanted).order_by(jobs.c.seq).limit(limit).offset(offset))
    total = connection.execute(select(func.count()).select_from(jobs).where(wanted)).scalar_one()
    return [_record(row) for row in rows], total


def enqueue(tx: Transaction, new: NewJob, now: str) -> str:
    """Ask for work and count it in its batch, if it names one; return the job's id. The runner hears of the commit."""
    batch_rules.settle(tx, new.batch_id, now, Change(jobs=JobCounts(total=1)))
    return insert(tx, new, now)


def insert(tx: Transaction, new: NewJob, now: str) -> str:
    """Do what :func:`enqueue` does for a job that the caller has counted already."""
    job_id = uuid4().hex
    tx.execute(
        jobs.insert(),
        {
            "id": job_id,
            "kind": new.kind,
            "owner": new.owner,
            "file_id": new.file_id,
            "batch_id": new.batch_id,
            "lane": new.lane or new.batch_id or job_id,
            "status": JobStatus.QUEUED,
            "payload": json.dumps(dict(new.payload)),
            "created_at": now,
        },
    )
    data = {"kind": new.kind, "filename": new.payload.get("filename"), "size": new.payload.get("size")}
    tx.emit(Event(EventKind.JOB_QUEUED, new.owner, now, new.batch_id, new.file_id, job_id, data))
    tx.wake(WAKE)
    return job_id


_other = jobs.alias("other")
_CLAIMABLE = (
    select(jobs.c.id)
    .where(
        jobs.c.status == JobStatus.QUEUED,
        ~select(_other.c.seq)
        .where(_other.c.status == JobStatus.PROCESSING, _other.c.lane == jobs.c.lane)
        .exists(),
    )
    .order_by(jobs.c.seq)
    .limit(1)
)
_CLAIM = (
    update(jobs)
    .where(jobs.c.id == _CLAIMABLE.scalar_subquery())
    .values(
        status=JobStatus.PROCESSING.value,
        attempts=jobs.c.attempts + 1,
        progress=0,
        stage=None,
        worker=bindparam("by_worker"),
        started_at=func.coalesce(jobs.c.started_at, bindparam("now")),
    )
    .returning(jobs.c.id, jobs.c.owner)
)


def claim(tx: Transaction, worker: str, now: str) -> JobRecord | None:
    """Take the oldest job whose lane is free, or None. The write lock makes it nobody else's."""
    row = tx.execute(_CLAIM, {"by_worker": worker, "now": now}).first()
    if row is None:
        return None
    job = get(tx.connection, row.owner, row.id)
    tx.emit(_event(EventKind.JOB_STARTED, job, now, attempt=job.attempts))
    return job


def progress(tx: Transaction, job: JobRecord, worker: str, percent: int, stage: str | None, now: str) -> bool:
    """Note how far a job is; False if it is not to go on."""
    mine = (jobs.c.id == job.id) & (jobs.c.worker == worker) & (jobs.c.status == JobStatus.PROCESSING)
    noted = tx.execute(update(jobs).where(mine).values(progress=percent, stage=stage)).rowcount == 1
    if noted:
        tx.emit(_event(EventKind.JOB_PROGRESS, job, now, progress=percent, stage=stage))
    return noted


def complete(tx: Transaction, job: JobRecord, worker: str, result: Mapping[str, Any], now: str) -> bool:
    """End a job well; False if it was cancelled or deleted meanwhile: then nothing is counted."""
    values = {
        "status": JobStatus.COMPLETED,
        "progress": 100,
        "result": json.dumps(dict(result)),
        "error": None,
    }
    if not _end(tx, job, worker, values, now):
        return False
    batch_rules.settle(tx, job.batch_id, now, Change(jobs=JobCounts(completed=1)))
    tx.emit(_event(EventKind.JOB_COMPLETED, job, now, result=dict(result)))
    tx.wake(WAKE)
    return True


def fail(tx: Transaction, job: JobRecord, worker: str, error: str, now: str) -> bool:
    """Note that an attempt failed; the second time for good. False if it was cancelled or deleted meanwhile."""
    is_final = job.attempts >= MOST_ATTEMPTS
    if is_final:
        noted = _end(tx, job, worker, {"status": JobStatus.FAILED, "error": error}, now)
    else:
        noted = _release(tx, job, worker, {"error": error})
    if not noted:
        return False
    if is_final:
        batch_rules.settle(tx, job.batch_id, now, Change(jobs=JobCounts(failed=1)))
    tx.emit(_event(EventKind.JOB_FAILED, job, now, error=error, attempts=job.attempts, final=is_final))
    tx.wake(WAKE)
    return True


def _end(tx: Transaction, job: JobRecord, worker: str, values: Mapping[str, Any], now: str) -> bool:
    mine = (jobs.c.id == job.id) & (jobs.c.worker == worker) & (jobs.c.status == JobStatus.PROCESSING)
    return tx.execute(update(jobs).where(mine).values(completed_at=now, worker=None, **values)).rowcount == 1


def _release(tx: Transaction, job: JobRecord, worker: str, values: Mapping[str, Any]) -> bool:
    mine = (jobs.c.id == job.id) & (jobs.c.worker == worker) & (jobs.c.status == JobStatus.PROCESSING)
    back = {"status": JobStatus.QUEUED, "worker": None, "progress": 0, **values}
    return tx.execute(update(jobs).where(mine).values(back)).rowcount == 1


def give_back(tx: Transaction, job: JobRecord, worker: str) -> None:
    """Put a job back that a stopping server did not finish: that was no attempt."""
    _release(tx, job, worker, {"attempts": job.attempts - 1})


def workers(connection: Connection) -> list[str]:
    """Return who has jobs in work, dead or alive."""
    wanted = jobs.c.status == JobStatus.PROCESSING
    return list(connection.execute(select(jobs.c.worker).where(wanted).distinct()).scalars())


def recover(tx: Transaction, worker: str, now: str) -> None:
    """Put back what a dead server had in work; that was no attempt, but a job that kills servers fails in the end."""
    lost = (jobs.c.worker == worker) & (jobs.c.status == JobStatus.PROCESSING)
    for row in tx.execute(_SELECT.where(lost, jobs.c.interruptions >= MOST_INTERRUPTIONS - 1)).all():
        job = _record(row)
        _end(tx, job, worker, {"status": JobStatus.FAILED, "error": INTERRUPTED}, now)
        batch_rules.settle(tx, job.batch_id, now, Change(jobs=JobCounts(failed=1)))
        tx.emit(_event(EventKind.JOB_FAILED, job, now, error=INTERRUPTED, attempts=job.attempts, final=True))
    tx.execute(
        update(jobs)
        .where(lost)
        .values(
            status=JobStatus.QUEUED,
            worker=None,
            progress=0,
            attempts=jobs.c.attempts - 1,
            interruptions=jobs.c.interruptions + 1,
        )
    )


def cancel(tx: Transaction, owner: str, job_id: str, now: str) -> JobRecord:
    """Cancel one job, queued or in work; raises `Problem` job_not_found, or not_cancellable with the status."""
    stopped = tx.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.owner == owner, _ACTIVE)
        .values(status=JobStatus.CANCELLED, completed_at=now)
    ).rowcount
    job = get(tx.connection, owner, job_id)
    if not stopped:
        raise Problem("not_cancellable", f"The job is {job.status}.", extra={"status": job.status.value})
    batch_rules.settle(tx, job.batch_id, now, Change(jobs=JobCounts(cancelled=1)))
    tx.emit(_event(EventKind.JOB_CANCELLED, job, now))
    return job


def cancel_of_file(tx: Transaction, owner: str, file_id: str, now: str) -> list[JobRecord]:
    """Cancel every unfinished job of a file and return them."""
    wanted = (jobs.c.file_id == file_id) & (jobs.c.owner == owner) & _ACTIVE
    ids = tx.execute(select(jobs.c.id).where(wanted)).scalars().all()
    return [cancel(tx, owner, job_id, now) for job_id in ids]


def forget(tx: Transaction, file_id: str, batch_id: str | None) -> tuple[tuple[str, ...], JobCounts]:
    """Delete the jobs of a file; return their ids, and what its batch had counted for them."""
    rows = tx.execute(
        jobs.delete().where(jobs.c.file_id == file_id).returning(jobs.c.id, jobs.c.batch_id, jobs.c.status)
    ).all()
    counted = [row.status for row in rows if row.batch_id is not None and row.batch_id == batch_id]
    return tuple(row.id for row in rows), JobCounts(
        total=len(counted),
        completed=counted.count(JobStatus.COMPLETED),
        failed=counted.count(JobStatus.FAILED),
        cancelled=counted.count(JobStatus.CANCELLED),
    )
