"""A job as it is asked for, and as the database has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.server.states import JobStatus


@dataclass(frozen=True, slots=True)
class NewJob:
    """Work to be done; events tell the `filename` and `size` that *payload* has. *batch_id* is the batch that counts it; *lane* defaults to that batch, else the job is alone."""

    kind: str
    owner: str
    file_id: str | None = None
    batch_id: str | None = None
    lane: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it stood in one snapshot."""

    seq: int
    id: str
    kind: str
    owner: str
    file_id: str | None
    batch_id: str | None
    lane: str
    status: JobStatus
    attempts: int
    progress: int
    """0 to 100."""
    stage: str | None
    error: str | None
    result: Mapping[str, Any]
    payload: Mapping[str, Any]
    created_at: str
    started_at: str | None
    completed_at: str | None
