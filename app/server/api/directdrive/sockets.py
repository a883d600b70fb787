"""Bytes by WebSocket: one socket brings one file, and closing it before the last byte is a cancel.

frames ─► append ─► success, close 1000          more or fewer bytes than announced, no byte for too long ─► failed
            │
            ├─ the client closes, or is cut off ─► cancelled by "socket_closed"
            ├─ cancel by HTTP ─► error frame, close 1000
            └─ the server stops ─► error frame, close 1012; the file waits to be sent again from its start
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import logging
from typing import Any

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from app.server import files
from app.server.api.directdrive.answers import file_status
from app.server.api.directdrive.uploads import find_for_socket
from app.server.appending import Appended, DisconnectedError, append
from app.server.core import Core
from app.server.files import FileRecord
from app.server.partial import Partial
from app.server.problems import Problem
from app.server.states import UNFINISHED

CANCELLED_BY_SOCKET = "socket_closed"
LARGE_TEXT = 64 * 1024
OVER, REFUSED, STOPPING = 1000, 1008, 1012
PROTOCOL_ERRORS = {1002, 1007, 1009}
"""The server's own reasons to cut a socket: a frame that is broken, is no UTF-8, or is larger than 16 MiB."""

log = logging.getLogger("uphaul.directdrive")


def router(core: Core) -> APIRouter:
    """Build both sockets, which take the same frames."""
    api = APIRouter(prefix="/ws_api")

    @api.websocket("/upload/{file_id}")
    @api.websocket("/upload_parallel/{file_id}")
    async def upload(websocket: WebSocket, file_id: str) -> None:
        upload_url = websocket.query_params.get("gdrive_url")
        if upload_url is None:
            await websocket.close(REFUSED)  # before it is accepted: the client sees 403
            return
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            await _serve(core, websocket, file_id, upload_url)

    return api


async def _serve(core: Core, websocket: WebSocket, file_id: str, upload_url: str) -> None:
    if not upload_url:
        await websocket.close(REFUSED, "gdrive_url query parameter is missing.")
        return
    file = await find_for_socket(core, websocket.state.owner, file_id, upload_url)
    if file is None:
        await websocket.close(REFUSED, "File ID not found")
        return
    if file.status not in UNFINISHED:
        await _tell(websocket, "error", f"Upload failed: The file is {file_status(file)}.")
        await websocket.close(REFUSED, f"The file is {file_status(file)}.")
        return
    await _take(core, websocket, file)


class _Frames:
    """The body that the frames of a socket make: binary ones, or text ones with base64 in JSON; `DONE` ends it."""

    def __init__(self, core: Core, websocket: WebSocket, size_bytes: int) -> None:
        self._core, self._websocket, self._size_bytes = core, websocket, size_bytes
        self._received_bytes = 0
        self._told_percent = -1
        self.close_code: int | None = None

    async def read(self) -> bytes | None:
        await self._tell_progress()
        while self._received_bytes < self._size_bytes:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                self.close_code = message.get("code")
                raise DisconnectedError
            chunk = await self._bytes_of(message)
            if chunk is None:
                return None
            if chunk:
                self._received_bytes += len(chunk)
                return chunk
        return None

    async def _bytes_of(self, message: Any) -> bytes | None:
        content: bytes | None = message.get("bytes")
        if content is not None:
            return content
        text: str = message["text"]
        if text == "DONE":
            return None
        return await self._core.on_disk(_decode, text) if len(text) > LARGE_TEXT else _decode(text)

    async def _tell_progress(self) -> None:
        """100 is not said here: it means that the file is stored."""
        percent = min(99, 100 * self._received_bytes // self._size_bytes)
        if self._received_bytes and percent != self._told_percent:
            self._told_percent = percent
            try:
                await _tell(self._websocket, "progress", percent)
            except WebSocketDisconnect:
                raise DisconnectedError from None


def _decode(text: str) -> bytes:
    try:
        message = json.loads(text)
        return base64.b64decode(message["bytes"], validate=True)
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        raise Problem("invalid_request", 'A text frame must be {"bytes": "<base64>"} or DONE.') from None


async def _take(core: Core, websocket: WebSocket, file: FileRecord) -> None:
    """Take the bytes of one file and say how that ended."""
    frames = _Frames(core, websocket, file.size_bytes)
    try:
        await _start_over(core, file)
        appended = await append(core, file, 0, frames)
    except DisconnectedError:
        await _left(core, file, frames.close_code)
    except Problem as problem:
        await _refused(core, websocket, file, problem)
    except OSError:
        log.exception("event=upload_failed file_id=%s", file.id)
        await _refused(core, websocket, file, Problem("internal_error"))
    else:
        await _ended(core, websocket, file, appended)


async def _start_over(core: Core, file: FileRecord) -> None:
    """Forget what an earlier socket brought before the server stopped: this one begins with the first byte again."""
    if not await core.on_disk(core.storage.partial_size, file.id):
        return
    partial = await core.on_disk(Partial.open, core.storage.partial_path(file.id))
    try:
        await core.on_disk(partial.cut_back, 0, hashlib.sha256())
    finally:
        partial.close()
    core.hashes.forget(file.id)


async def _ended(core: Core, websocket: WebSocket, file: FileRecord, appended: Appended) -> None:
    if appended.sha256 is None:
        words = f"The upload ended after {appended.offset_bytes} of {file.size_bytes} bytes."
        await _refused(core, websocket, file, Problem("short_body", words))
        return
    await _tell(websocket, "progress", 100)
    await _tell(websocket, "success", f"/api/v1/download/stream/{file.id}")
    await websocket.close(OVER)


async def _left(core: Core, file: FileRecord, close_code: int | None) -> None:
    """The client has gone. It has no way to go on later, so that is a cancel, unless it was the server that went."""
    if close_code == STOPPING:
        return
    with contextlib.suppress(Problem):  # somebody else has ended the file meanwhile
        if close_code in PROTOCOL_ERRORS:
            await _fail(core, file, f"The socket was closed for a frame that is not allowed ({close_code}).")
        else:
            await core.cancel_file(file.owner, file.id, CANCELLED_BY_SOCKET)


async def _refused(core: Core, websocket: WebSocket, file: FileRecord, problem: Problem) -> None:
    code, words = OVER, f"Upload failed: {problem.detail}"
    if problem.code == "locked":  # another socket is bringing this file; it is none the worse for this one
        code = REFUSED
    elif problem.code == "stopping":
        code = STOPPING
    else:
        try:
            await _fail(core, file, problem.detail)
        except Problem as earlier:
            words = "Upload cancelled" if earlier.code == "cancelled" else words
    await _tell(websocket, "error", words)
    await websocket.close(code)


async def _fail(core: Core, file: FileRecord, words: str) -> None:
    """End a file that this protocol has no way to continue; raises `Problem` cancelled, or what the database says."""
    await core.database.write(files.fail, file, words, core.now())
    core.hashes.forget(file.id)
    await core.on_disk(core.storage.drop_partial, file.id)


async def _tell(websocket: WebSocket, kind: str, value: int | str) -> None:
    await websocket.send_text(json.dumps({"type": kind, "value": value}))
