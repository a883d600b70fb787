"""The ZIP of an export: written, found, given up, and removed when its time is over.

A job that packs holds a locked file; whoever wants to remove what it wrote takes that lock first.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from app.server.api.cell_segmentation_hub.uploads import let_go
from app.server.clock import iso
from app.server.core import Core
from app.server.partial import Partial
from app.server.problems import Problem
from app.server.runner import Work
from app.server.schema import jobs
from app.server.states import JobStatus
from app.server.storage import Storage

EXPORT = "csh_export"
BLOCK_BYTES = 1024 * 1024
_PREFIX = "csh-export-"


def path_of(storage: Storage, job_id: str) -> Path:
    """Return where the ZIP of an export is, or would be."""
    return storage.parts_dir / f"{_PREFIX}{job_id}.zip"


def _unfinished_path(storage: Storage, job_id: str) -> Path:
    return storage.parts_dir / f"{_PREFIX}{job_id}.new"


def _life_path(storage: Storage, job_id: str) -> Path:
    return storage.parts_dir / f"{_PREFIX}{job_id}.life"


def export(work: Work) -> Mapping[str, Any]:
    """Write the ZIP; one that is not wanted any more, or fails, leaves nothing behind."""
    storage, job_id = work.storage, work.job.id
    alive = Partial.open(_life_path(storage, job_id))
    unfinished = _unfinished_path(storage, job_id)
    try:
        _pack(work, unfinished)
        work.progress(99, "compression")
        os.replace(unfinished, path_of(storage, job_id))
    finally:
        unfinished.unlink(missing_ok=True)
        let_go(alive)
    return {"bytes": path_of(storage, job_id).stat().st_size, "images": len(work.job.payload["images"])}


def _pack(work: Work, target: Path) -> None:
    listed = work.job.payload["images"]
    total_bytes, done_bytes = sum(one["size"] for one in listed) or 1, 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for one in listed:
            source = work.storage.stored_file(one["path"])
            with (
                open(source, "rb") as stored,
                packed.open(f"images/{one['name']}", "w", force_zip64=True) as copy,
            ):
                while block := stored.read(BLOCK_BYTES):
                    copy.write(block)
                    done_bytes += len(block)
                    work.progress(95 * done_bytes // total_bytes, "images")
        found = {one["name"]: one["segmentation"] for one in listed}
        packed.writestr("annotations.json", json.dumps(found, ensure_ascii=False))


def is_clean(storage: Storage, job_id: str) -> bool:
    """Whether nothing is left of an export."""
    return not any(path(storage, job_id).exists() for path in (_unfinished_path, path_of))


def drop(storage: Storage, job_id: str) -> bool:
    """Remove what an export has left on the disk; False while somebody writes it."""
    try:
        alive = Partial.open(_life_path(storage, job_id))
    except Problem:
        return False
    try:
        for path in (_unfinished_path, path_of):
            path(storage, job_id).unlink(missing_ok=True)
    finally:
        let_go(alive)
    return True


def expires_at(core: Core, completed_at: str) -> str:
    """Return when a finished export leaves the disk."""
    return iso(datetime.fromisoformat(completed_at) + core.config.keep_exports)


async def sweep(core: Core) -> None:
    """Remove the ZIPs whose time is over, and what cancelled and failed exports have left when their server died."""
    names = await core.on_disk(lambda: os.listdir(core.storage.parts_dir))
    ids = {name.removeprefix(_PREFIX).partition(".")[0] for name in names if name.startswith(_PREFIX)}
    if not ids:
        return
    for job_id in ids - await core.database.read(_needed, iso(core.clock() - core.config.keep_exports)):
        await core.on_disk(drop, core.storage, job_id)


def _needed(connection: Connection, kept_since: str) -> set[str]:
    fresh = (jobs.c.status == JobStatus.COMPLETED) & (jobs.c.completed_at > kept_since)
    wanted = fresh | jobs.c.status.in_([JobStatus.QUEUED, JobStatus.PROCESSING])
    return set(connection.execute(select(jobs.c.id).where(jobs.c.kind == EXPORT, wanted)).scalars())
