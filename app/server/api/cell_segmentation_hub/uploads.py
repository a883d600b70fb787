"""The rules of uploads: one request of files is there as a whole or not at all, and can be cancelled by its id.

uploading ──last byte, published──► completed
    │  └── refused, cut, server died ──► failed
    └──► cancelling ──nothing is left──► cancelled

The core's batch counts and cancels the files; this says only whether the request that brings them may go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select, update

from app.server import batches
from app.server.api.cell_segmentation_hub import projects
from app.server.api.cell_segmentation_hub.envelope import conflict, missing
from app.server.api.cell_segmentation_hub.intake import Picture
from app.server.api.cell_segmentation_hub.tables import images, uploads
from app.server.core import Core
from app.server.database import Transaction
from app.server.files import FileRecord
from app.server.partial import Partial
from app.server.problems import Problem

ORIGIN = "cell_segmentation_hub"


class State(StrEnum):
    """Where an upload stands."""

    UPLOADING = "uploading"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as it stood in one snapshot."""

    id: str
    batch_id: str
    owner: str
    project_id: str
    state: State
    created_at: str
    completed_at: str | None


_COLUMNS = [uploads.c[name] for name in Upload.__slots__]


def _record(row: Any) -> Upload:
    values = dict(row._mapping)
    return Upload(**(values | {"state": State(values["state"])}))


def get(connection: Connection, user: str, project_id: str, upload_id: str) -> Upload:
    """Return an upload into a project that *user* may see: an own one, or any if the project is the user's."""
    project = projects.get(connection, user, project_id)
    wanted: Any = (uploads.c.id == upload_id) & (uploads.c.project_id == project.id)
    if project.owner != user:
        wanted &= uploads.c.owner == user
    row = connection.execute(select(*_COLUMNS).where(wanted)).first()
    if row is None:
        raise missing("Upload not found")
    return _record(row)


def find(connection: Connection, user: str, upload_id: str) -> Upload | None:
    """Return an own upload, whatever its project."""
    wanted = (uploads.c.id == upload_id) & (uploads.c.owner == user)
    row = connection.execute(select(*_COLUMNS).where(wanted)).first()
    return None if row is None else _record(row)


def running(connection: Connection, user: str | None = None, project_id: str | None = None) -> list[Upload]:
    """Return the uploads that are not over, of one user and project or of all."""
    wanted: Any = uploads.c.state.in_([State.UPLOADING, State.CANCELLING])
    if user is not None:
        wanted &= uploads.c.owner == user
    if project_id is not None:
        wanted &= uploads.c.project_id == project_id
    return [_record(row) for row in connection.execute(select(*_COLUMNS).where(wanted))]


def begin(tx: Transaction, core: Core, user: str, project_id: str, upload_id: str, batch_id: str) -> Upload:
    """Make an upload with its batch; raises the 404 of the project, or the 409 of an id that is used."""
    project = projects.get(tx.connection, user, project_id)
    if find(tx.connection, user, upload_id) is not None:
        raise conflict("Upload id is already used")
    now = core.now()
    extra = {"project_id": project.id, "upload_id": upload_id}
    batch, _ = batches.create(
        tx,
        user,
        project.title,
        None,
        now,
        core.storage.has_folder,
        batch_id=batch_id,
        origin=ORIGIN,
        extra=extra,
    )
    upload = Upload(upload_id, batch.id, user, project.id, State.UPLOADING, now, None)
    tx.execute(uploads.insert(), {name: getattr(upload, name) for name in Upload.__slots__})
    return upload


def on_stored(tx: Transaction, file: FileRecord) -> None:
    """Note a stored image, unpublished; a file of an upload that is not to go on is not stored at all."""
    if file.batch_id is None or _state(tx, file.batch_id) is not State.UPLOADING:
        raise Problem("cancelled")
    row = {
        "file_id": file.id,
        "owner": file.owner,
        "project_id": file.extra["project_id"],
        "batch_id": file.batch_id,
        "name": file.filename,
        "stored_path": file.stored_path,
        "mime_type": file.extra["content_type"],
        "size_bytes": file.size_bytes,
        "is_video": file.extra.get("is_video", False),
        "created_at": file.completed_at,
        "updated_at": file.completed_at,
    }
    tx.execute(images.insert(), row)


def _state(tx: Transaction, batch_id: str) -> State | None:
    found = tx.execute(select(uploads.c.state).where(uploads.c.batch_id == batch_id)).scalar()
    return None if found is None else State(found)


def state(tx: Transaction, upload: Upload) -> State:
    """Return where an upload stands now."""
    return _record(_row(tx.connection, upload.batch_id)).state


def of_batch(connection: Connection, batch_id: str) -> Upload:
    """Return the upload of a batch, whosever it is."""
    return _record(_row(connection, batch_id))


def _row(connection: Connection, batch_id: str) -> Any:
    return connection.execute(select(*_COLUMNS).where(uploads.c.batch_id == batch_id)).one()


def publish(tx: Transaction, upload: Upload, pictures: Mapping[str, Picture], now: str) -> None:
    """Let all images of an upload be seen, at once; raises `Problem("cancelled")` if a cancel was first."""
    if not move(tx, upload, (State.UPLOADING,), State.COMPLETED, now):
        raise Problem("cancelled")
    for file_id, picture in pictures.items():
        seen = {"is_published": 1, "width": picture.width, "height": picture.height, "updated_at": now}
        tx.execute(update(images).where(images.c.file_id == file_id).values(seen))


def move(tx: Transaction, upload: Upload, before: tuple[State, ...], after: State, now: str) -> bool:
    """Change the state if it is still one of *before*; say whether that was so."""
    over = None if after is State.CANCELLING else now
    return (
        tx.execute(
            update(uploads)
            .where(uploads.c.batch_id == upload.batch_id, uploads.c.state.in_(before))
            .values(state=after, completed_at=over)
        ).rowcount
        == 1
    )


def start_cancel(tx: Transaction, user: str, project_id: str, upload_id: str, now: str) -> tuple[Upload, int]:
    """Make an upload `cancelling`; return it, and how many of its files are stored.

    Raises the 404, or 400 with the state if it is over or somebody is at it.
    """
    upload = get(tx.connection, user, project_id, upload_id)
    if not move(tx, upload, (State.UPLOADING,), State.CANCELLING, now):
        state = {"status": upload.state.value}
        raise Problem("not_cancellable", f"Upload already {upload.state}", extra=state)
    wanted = select(func.count()).select_from(images).where(images.c.batch_id == upload.batch_id)
    return upload, tx.execute(wanted).scalar_one()


def life_path(core: Core, batch_id: str) -> Path:
    """Return the file that the request which brings an upload holds locked."""
    return core.storage.parts_dir / f"csh-{batch_id}"


def let_go(alive: Partial) -> None:
    """Remove such a file, and give its lock back."""
    try:
        alive.path.unlink(missing_ok=True)  # first, so that nobody can lock what is about to go
    except PermissionError:  # Windows: not while it is open
        alive.close()
        alive.path.unlink(missing_ok=True)
    finally:
        alive.close()
