"""Progress by WebSocket, in the messages of vuemantics: every batch of the user, and single files on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.websockets import WebSocket

from app.server.core import Core
from app.server.events import Event, EventKind
from app.server.push import push

_BATCH = {
    EventKind.BATCH_CHANGED: "processing",
    EventKind.BATCH_COMPLETED: "completed",
    EventKind.BATCH_CANCELLED: "cancelled",
}
_JOB = {
    EventKind.JOB_STARTED: "processing",
    EventKind.JOB_PROGRESS: "processing",
    EventKind.JOB_COMPLETED: "completed",
    EventKind.JOB_FAILED: "failed",
    EventKind.JOB_CANCELLED: "cancelled",
}
_STAGES = {
    "verifying": "queued",
    "detecting": "vision_analysis",
    "thumbnail": "vision_analysis",
    "done": "indexing",
}
"""The stages of the original that ours come nearest to; `message` has the true one."""


async def serve(core: Core, websocket: WebSocket) -> None:
    """Serve one socket until it closes."""
    socket = _Socket()
    await push(core, websocket, socket.messages, of_client=socket.hear)


class _Socket:
    """What one socket wants to hear. Events are the owner's own: a subscription to somebody else's file hears nothing."""

    def __init__(self) -> None:
        self._wanted: set[str] = set()

    def hear(self, told: Mapping[str, Any]) -> None:
        """Understand `subscribe_upload` and `unsubscribe_upload`; everything else means nothing."""
        upload_id = told.get("upload_id")
        if not isinstance(upload_id, str) or len(upload_id) > 64:
            return
        if told.get("action") == "subscribe_upload" and len(self._wanted) < 10_000:
            self._wanted.add(upload_id.lower())
        elif told.get("action") == "unsubscribe_upload":
            self._wanted.discard(upload_id.lower())

    def messages(self, event: Event) -> Iterable[Mapping[str, Any]]:
        """Translate one event."""
        if event.kind in _BATCH:
            yield batch_progress(event)
        elif event.kind is EventKind.FILE_CANCELLED and event.batch_id is not None:
            yield _file_progress(event, "cancelled", 0)
        elif event.kind in _JOB:
            if event.batch_id is not None:
                yield _file_progress(event, *_how(event))
            if event.file_id in self._wanted:
                yield from _upload_messages(event)


def batch_progress(event: Event) -> Mapping[str, Any]:
    """Tell the counters of a batch: a file is processed when its processing is over, or when it failed to arrive."""
    counts = event.data["counts"]
    failed = counts["jobs_failed"] + counts["failed"]
    total, processed = counts["total"], counts["jobs_completed"] + failed
    payload = {
        "batch_id": event.batch_id,
        "status": _BATCH[event.kind],
        "total": total,
        "processed": processed,
        "successful": counts["jobs_completed"],
        "failed": failed,
        "progress_percentage": min(100.0, round(100 * processed / total, 1)) if total else 0.0,
    }
    return {"action": "batch_progress", "payload": payload, "timestamp": event.at}


def _how(event: Event) -> tuple[str, int]:
    if event.kind is EventKind.JOB_FAILED and not event.data["final"]:
        return "processing", 0  # tried once more
    percent = int(event.data.get("progress") or 0)
    return _JOB[event.kind], 100 if _JOB[event.kind] in {"completed", "failed"} else percent


def _file_progress(event: Event, status: str, percent: int) -> Mapping[str, Any]:
    payload = {
        "batch_id": event.batch_id,
        "upload_id": event.file_id,
        "file_name": event.data.get("filename"),
        "file_size": event.data.get("size"),
        "progress_percentage": percent,
        "status": status,
    }
    return {"action": "file_progress", "payload": payload, "timestamp": event.at}


def _upload_messages(event: Event) -> Iterable[Mapping[str, Any]]:
    if event.kind in {EventKind.JOB_STARTED, EventKind.JOB_PROGRESS}:
        stage = event.data.get("stage")
        payload = {
            "upload_id": event.file_id,
            "status": "analyzing",
            "stage": _STAGES.get(stage or "verifying", "vision_analysis"),
            "progress_percent": int(event.data.get("progress") or 0),
            "message": stage or "starting",
            "error_message": None,
            "description_audit_score": None,
        }
        yield {"action": "upload_progress", "payload": payload, "timestamp": event.at}
    elif event.kind is EventKind.JOB_COMPLETED:
        nothing = {"description": None, "audit_score": None}
        yield {"action": "upload_completed", "upload_id": event.file_id, **nothing, "timestamp": event.at}
    elif event.kind in {EventKind.JOB_FAILED, EventKind.JOB_CANCELLED}:
        why = event.data.get("error") or "Cancelled"
        yield {
            "action": "upload_failed",
            "upload_id": event.file_id,
            "error_message": why,
            "timestamp": event.at,
        }
