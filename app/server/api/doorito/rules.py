"""The rules of upload sessions, each in one transaction with the file they belong to. A session stands where its file stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, bindparam, select, update

from app.server import files, outbox
from app.server.api.doorito.numbers import count_of_parts, missing
from app.server.api.doorito.tables import parts, sessions
from app.server.database import Transaction
from app.server.files import FileRecord, NewFile
from app.server.pieces import Piece
from app.server.problems import Problem
from app.server.schema import files as file_rows
from app.server.states import UNFINISHED, FileStatus

NAME = "doorito"
EVENT = "file.uploaded"
SESSION_STATUS = {
    FileStatus.PENDING: "init",
    FileStatus.UPLOADING: "in_progress",
    FileStatus.STORED: "complete",
    FileStatus.FAILED: "failed",
    FileStatus.CANCELLED: "aborted",
}


@dataclass(frozen=True, slots=True)
class Session:
    """An upload session and its file, in one snapshot."""

    id: str
    chunk_size_bytes: int
    total_parts: int
    completed_parts: int
    bytes_received: int
    file: FileRecord

    @property
    def status(self) -> str:
        """init, in_progress, complete, failed or aborted."""
        return SESSION_STATUS[self.file.status]

    def part_bytes(self, number: int) -> int:
        """Return how long a part is; raises `Problem("part_out_of_range")`."""
        if not 1 <= number <= self.total_parts:
            raise Problem("part_out_of_range", f"The parts of this session are 1 to {self.total_parts}.")
        return min(self.chunk_size_bytes, self.file.size_bytes - (number - 1) * self.chunk_size_bytes)

    def require_open(self) -> None:
        """Raise `Problem("session_over")` for a session that takes no more parts."""
        if self.file.status not in UNFINISHED:
            raise Problem("session_over", f"The session is {self.status}.", extra={"status": self.status})


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a client asks for."""

    file: NewFile
    chunk_size_bytes: int
    idempotency_key: str | None


def _session(connection: Connection, owner: str, row: Any) -> Session:
    return Session(
        row.id,
        row.chunk_size_bytes,
        row.total_parts,
        row.completed_parts,
        row.bytes_received,
        files.get(connection, owner, row.file_id),
    )


def get(connection: Connection, owner: str, session_id: str) -> Session:
    """Return one session; raises `Problem("session_not_found")`."""
    row = connection.execute(
        select(sessions).where(sessions.c.id == session_id, sessions.c.owner == owner)
    ).first()
    if row is None:
        raise Problem("session_not_found")
    return _session(connection, owner, row)


def create(
    tx: Transaction, new: NewSession, *, most_files: int | None, now: str, expires_at: str
) -> tuple[Session, bool]:
    """Make a session with its file, or find the one of the same key, however it stands; the flag says which.

    Raises `Problem` idempotency_mismatch, batch_not_found, batch_cancelled, batch_full.
    """
    known = _known(tx, new)
    if known is not None:
        return known, False
    file, _ = files.create(tx, new.file, most_files=most_files, now=now, expires_at=expires_at)
    session_id = str(uuid4())
    size_bytes = new.file.size_bytes or 0
    tx.execute(
        sessions.insert(),
        {
            "id": session_id,
            "owner": file.owner,
            "file_id": file.id,
            "idempotency_key": new.idempotency_key,
            "chunk_size_bytes": new.chunk_size_bytes,
            "total_parts": count_of_parts(size_bytes, new.chunk_size_bytes),
        },
    )
    return get(tx.connection, file.owner, session_id), True


def _known(tx: Transaction, new: NewSession) -> Session | None:
    if new.idempotency_key is None:
        return None
    row = tx.execute(
        select(sessions).where(
            sessions.c.owner == new.file.owner, sessions.c.idempotency_key == new.idempotency_key
        )
    ).first()
    if row is None:
        return None
    known = _session(tx.connection, new.file.owner, row)
    asked = (new.file.size_bytes, new.file.batch_id, new.file.filename)
    if (known.file.size_bytes, known.file.batch_id, known.file.filename) != asked:
        raise Problem(
            "idempotency_mismatch", "This idempotency_key belongs to a file of another name, size or batch."
        )
    return known


_COUNT = (
    update(sessions)
    .where(sessions.c.id == bindparam("session"))
    .values(
        completed_parts=sessions.c.completed_parts + 1,
        bytes_received=sessions.c.bytes_received + bindparam("size"),
    )
)


def record_part(
    tx: Transaction, session: Session, number: int, piece: Piece, name: str, *, now: str, expires_at: str
) -> tuple[Session, bool]:
    """Note a part whose bytes are on the disk as *name*; the flag says whether they are needed.

    The same bytes again change nothing. Raises `Problem` part_conflict for others, session_over, session_not_found.
    """
    owner = session.file.owner
    current = get(tx.connection, owner, session.id)
    current.require_open()
    same_part = (parts.c.session_id == session.id) & (parts.c.part_number == number)
    known = tx.execute(select(parts.c.sha256).where(same_part)).scalar()
    if known is not None:
        if known != piece.sha256:
            raise Problem("part_conflict", f"Part {number} was received with other bytes.")
        return current, False
    row = {"session_id": session.id, "part_number": number, "name": name}
    tx.execute(parts.insert(), row | {"size_bytes": piece.size_bytes, "sha256": piece.sha256})
    tx.execute(_COUNT, {"session": session.id, "size": piece.size_bytes})
    arrived_bytes = current.bytes_received + piece.size_bytes
    files.progress(tx, current.file.id, arrived_bytes, now, expires_at)
    return get(tx.connection, owner, session.id), True


def received_numbers(connection: Connection, session_id: str) -> list[int]:
    """Return the numbers of the parts that are there, ascending."""
    wanted = select(parts.c.part_number).where(parts.c.session_id == session_id)
    return list(connection.execute(wanted.order_by(parts.c.part_number)).scalars())


def status(connection: Connection, owner: str, session_id: str) -> tuple[Session, list[int]]:
    """Return a session and its received parts from one snapshot; raises `Problem("session_not_found")`."""
    return get(connection, owner, session_id), received_numbers(connection, session_id)


def part_names(connection: Connection, session: Session) -> list[str]:
    """Return the names of all parts in their order; raises `Problem("parts_missing")`, which names those that are not there."""
    rows = connection.execute(
        select(parts.c.part_number, parts.c.name)
        .where(parts.c.session_id == session.id)
        .order_by(parts.c.part_number)
    ).all()
    lacking = missing([row.part_number for row in rows], session.total_parts)
    if lacking:
        named = ", ".join(map(str, lacking[:50]))
        raise Problem(
            "parts_missing",
            f"{len(rows)} of {session.total_parts} parts are here; missing: {named}.",
            extra={"missing_parts": lacking},
        )
    return [row.name for row in rows]


def sessions_of_files(connection: Connection, file_ids: list[str]) -> dict[str, str]:
    """Return the session ids of those files that came by one, by file id."""
    rows = connection.execute(
        select(sessions.c.file_id, sessions.c.id).where(sessions.c.file_id.in_(file_ids))
    )
    return {row.file_id: row.id for row in rows}


def open_ids(connection: Connection) -> set[str]:
    """Return the ids of the sessions whose parts are needed, whosever they are."""
    open_ones = select(sessions.c.id).join(file_rows, file_rows.c.id == sessions.c.file_id)
    return set(connection.execute(open_ones.where(file_rows.c.status.in_(UNFINISHED))).scalars())


def ids_over(connection: Connection, *, file_id: str | None, batch_id: str | None) -> list[str]:
    """Return the ids of the sessions of a file, or of a whole batch, that are over."""
    which = file_rows.c.id == file_id if file_id is not None else file_rows.c.batch_id == batch_id
    found = select(sessions.c.id).join(file_rows, file_rows.c.id == sessions.c.file_id)
    return list(connection.execute(found.where(which, file_rows.c.status.not_in(UNFINISHED))).scalars())


def tell(tx: Transaction, file: FileRecord) -> None:
    """Write the event of a stored file down, in the transaction that stores it: docs/server/doorito.md has its schema."""
    session_id = sessions_of_files(tx.connection, [file.id]).get(file.id)
    told = {
        "id": file.id,
        "session_id": session_id,
        "batch_id": file.batch_id,
        "original_filename": file.filename,
        "content_type": file.extra.get("content_type", ""),
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
    }
    storage = {"backend": "local", "bucket": "files", "key": file.stored_path}
    outbox.add(
        tx,
        kind=EVENT,
        owner=file.owner,
        file_id=file.id,
        batch_id=file.batch_id,
        data={"file": told, "storage": storage},
        now=file.completed_at or "",
    )
