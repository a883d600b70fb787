"""Bytes from anywhere become one file: the entrance for APIs that do not say beforehand how long a file is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from app.server.appending import Body
from app.server.bodies_in import ChainBody
from app.server.core import Core
from app.server.creating import WHOLE_BYTES, Created, create
from app.server.files import NewFile
from app.server.problems import Problem


async def receive(core: Core, new: NewFile, body: Body, *, sha256: str | None = None) -> Created:
    """Store *body* as a new file; its length may be unknown (`new.size_bytes` None), memory stays flat.

    The first 256 KiB are read before anything is written: a body that ends there is stored in one transaction. A longer one is a
    row first, so that it can be seen and cancelled, and then a stream. Raises what :func:`app.server.creating.create` raises;
    after :class:`DisconnectedError` the file is still unfinished, if it was longer: its API says what that means. A body
    shorter than its declared size ends with `appended.offset_bytes` below it.
    """
    chunks, is_all = await _first_bytes(core, body)
    content_bytes = sum(map(len, chunks))
    whole = ChainBody(chunks, body)
    if not is_all:
        return await create(core, new, whole, body_bytes=None, sha256=sha256)
    if new.size_bytes is None:
        new = replace(new, size_bytes=content_bytes)
    return await create(core, new, whole, body_bytes=content_bytes, sha256=sha256)


async def _first_bytes(core: Core, body: Body) -> tuple[list[bytes], bool]:
    chunks: list[bytes] = []
    room_bytes = WHOLE_BYTES
    try:
        async with asyncio.timeout(core.config.stall_seconds):
            while room_bytes >= 0:
                chunk = await body.read()
                if chunk is None:
                    return chunks, True
                chunks.append(chunk)
                room_bytes -= len(chunk)
    except TimeoutError:
        raise Problem("upload_stalled") from None
    return chunks, False
