"""Events to a WebSocket: token first, then what happens to the user's files, and a heartbeat.

client ──{"type": "auth", "token": …}──► within 5 s, else 4001      server ──{"action": "ping"} every 30 s
close codes: 4001 no token in time   4002 no token   4003 a token that is not valid (any more)   4004 no JSON
             1012 the server stops
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from app.server.accounts import User
from app.server.core import Core
from app.server.events import Event, EventKind, Subscription

AUTH_SECONDS = 5.0
PING_SECONDS = 30.0

Translate = Callable[[Event], Iterable[Mapping[str, Any]]]
OfClient = Callable[[Mapping[str, Any]], None]
"""Hears what the client says after its token."""


class _Refused(Exception):
    def __init__(self, code: int, reason: str, *, says_so: bool = True) -> None:
        super().__init__(reason)
        self.code, self.reason, self.says_so = code, reason, says_so


async def push(
    core: Core,
    websocket: WebSocket,
    translate: Translate,
    *,
    of_client: OfClient | None = None,
    welcome: Callable[[User], Iterable[Mapping[str, Any]]] | None = None,
) -> None:
    """Serve one socket until it closes. *welcome* is what follows `auth_success` at once, e.g. the state as it is."""
    await websocket.accept()
    try:
        token, user = await _authenticate(core, websocket)
    except _Refused as refused:
        with suppress(WebSocketDisconnect, RuntimeError):
            if refused.says_so:
                await websocket.send_json({"action": "auth_error", "message": refused.reason})
            await websocket.close(refused.code, refused.reason)
        return
    except WebSocketDisconnect:
        return
    async with core.events.subscribe(user.id) as events:
        with suppress(WebSocketDisconnect):  # it may have gone while its token was looked at
            await websocket.send_json({"action": "auth_success", "user_id": user.id})
            for message in welcome(user) if welcome is not None else ():
                await websocket.send_json(message)
            await _serve(core, websocket, token, events, translate, of_client)


async def _authenticate(core: Core, websocket: WebSocket) -> tuple[str, User]:
    try:
        async with asyncio.timeout(AUTH_SECONDS):
            frame = await websocket.receive()
    except TimeoutError:
        raise _Refused(4001, "Authentication timeout") from None
    if frame["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(frame.get("code", 1000))
    told = _object(frame.get("text"))
    if told is None:
        raise _Refused(4004, "Invalid message format", says_so=False)
    token = told.get("token")
    if told.get("type") != "auth" or not isinstance(token, str) or not token:
        raise _Refused(4002, "Authentication required")
    user = await core.accounts.who(token)
    if user is None:
        why = await core.accounts.why(token)
        raise _Refused(4003, "Token has expired" if why == "expired" else "Could not validate token")
    return token, user


def _object(text: str | None) -> dict[str, Any] | None:
    with suppress(ValueError, TypeError, RecursionError):
        told = json.loads(text or "")
        if isinstance(told, dict):
            return told
    return None


async def _serve(
    core: Core,
    websocket: WebSocket,
    token: str,
    events: Subscription,
    translate: Translate,
    of_client: OfClient | None,
) -> None:
    work = [
        asyncio.create_task(_send(websocket, events, translate)),
        asyncio.create_task(_listen(websocket, of_client)),
        asyncio.create_task(_beat(core, websocket, token)),
    ]
    try:
        await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in work:
            task.cancel()
        results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect | RuntimeError):
            raise result


async def _send(websocket: WebSocket, events: Subscription, translate: Translate) -> None:
    async for event in events:
        for message in translate(event):
            await websocket.send_json(message)
    await websocket.close(1012, "The server stops")


async def _listen(websocket: WebSocket, of_client: OfClient | None) -> None:
    while True:
        frame = await websocket.receive()
        if frame["type"] == "websocket.disconnect":
            return
        told = _object(frame.get("text"))
        if told is not None and of_client is not None:
            of_client(told)


async def _beat(core: Core, websocket: WebSocket, token: str) -> None:
    """A token that ended meanwhile ends its socket."""
    while websocket.client_state is WebSocketState.CONNECTED:
        await asyncio.sleep(PING_SECONDS)
        if await core.accounts.who(token) is None:
            await websocket.close(4003, "Token has expired")
            return
        await websocket.send_json({"action": "ping"})


_FILE_STATUS = {
    EventKind.FILE_PROGRESS: "uploading",
    EventKind.FILE_STORED: "stored",
    EventKind.FILE_FAILED: "failed",
    EventKind.JOB_STARTED: "processing",
    EventKind.JOB_PROGRESS: "processing",
    EventKind.JOB_COMPLETED: "completed",
    EventKind.JOB_CANCELLED: "cancelled",
}
_BATCH_STATUS = {
    EventKind.BATCH_CHANGED: "processing",
    EventKind.BATCH_COMPLETED: "completed",
    EventKind.BATCH_CANCELLED: "cancelled",
}


def messages(event: Event) -> Iterable[Mapping[str, Any]]:
    """Translate an event for our own socket: the messages of the vuemantics contract, `batch_cancelled`, `file_cancelled`.

    `batch_progress` counts files that are over, and where the batch has jobs, jobs that are over.
    """
    if event.kind is EventKind.RESYNC:
        return [{"action": "resync", "timestamp": event.at}]
    if event.kind in _BATCH_STATUS:
        return _of_batch(event)
    if event.kind is EventKind.FILE_CANCELLED:
        payload = {"batch_id": event.batch_id, "file_id": event.file_id, "filename": event.data["filename"]}
        return [{"action": "file_cancelled", "payload": payload, "timestamp": event.at}]
    if event.kind in _FILE_STATUS or (event.kind is EventKind.JOB_FAILED and event.data["final"]):
        return [{"action": "file_progress", "payload": _file_payload(event), "timestamp": event.at}]
    return []


def _of_batch(event: Event) -> list[Mapping[str, Any]]:
    counts = event.data["counts"]
    if counts["jobs"]:
        total, good, bad = counts["total"], counts["jobs_completed"], counts["jobs_failed"] + counts["failed"]
        over = good + bad + counts["jobs_cancelled"] + counts["cancelled"]
    else:
        total, good, bad = counts["total"], counts["stored"], counts["failed"]
        over = good + bad + counts["cancelled"]
    payload = {
        "batch_id": event.batch_id,
        "status": _BATCH_STATUS[event.kind],
        "total": total,
        "processed": good + bad,
        "successful": good,
        "failed": bad,
        "progress_percentage": min(100.0, round(100 * over / total, 1)) if total else 0.0,
    }
    told: list[Mapping[str, Any]] = [{"action": "batch_progress", "payload": payload, "timestamp": event.at}]
    if event.kind is EventKind.BATCH_CANCELLED:
        about = {"batch_id": event.batch_id, "cancelled": counts["cancelled"], "stored": counts["stored"]}
        told.append({"action": "batch_cancelled", "payload": about, "timestamp": event.at})
    return told


def _file_payload(event: Event) -> dict[str, Any]:
    size = event.data.get("size") or 0
    percent = event.data.get("progress", 0)
    if event.kind is EventKind.FILE_PROGRESS:
        percent = 100 * event.data["offset"] // size if size else 0
    elif event.kind in {EventKind.FILE_STORED, EventKind.JOB_COMPLETED, EventKind.JOB_FAILED}:
        percent = 100
    return {
        "batch_id": event.batch_id,
        "upload_id": event.file_id,
        "file_id": event.file_id,
        "file_name": event.data.get("filename"),
        "file_size": size,
        "progress_percentage": percent,
        "status": _FILE_STATUS.get(event.kind, "failed"),
        "stage": event.data.get("stage"),
        "error": event.data.get("error"),
    }
