"""A piece of a file that comes in parts: written whole or not at all, hashed on the way, ended by a cancel at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from app.server.appending import STOPPED, Body, Gatherer, watch
from app.server.core import Core
from app.server.partial import Partial
from app.server.problems import Problem
from app.server.reception import Reception


@dataclass(frozen=True, slots=True)
class Piece:
    """What was written."""

    size_bytes: int
    sha256: str


async def receive_piece(core: Core, key: str, path: Path, body: Body, *, limit_bytes: int) -> Piece:
    """Write *body* to *path*, whose folder exists; *key* names it to `core.receptions.stop`.

    A piece that was there before is replaced only by a whole new one. Raises :class:`DisconnectedError`, and `Problem`
    locked, too_large, cancelled, upload_stalled, stopping, disk_full.
    """
    core.storage.require_room(0)
    unfinished = path.with_name(path.name + ".new")
    with core.receptions.enter(key) as reception:
        partial = await core.on_disk(Partial.open, unfinished)
        try:
            await core.on_disk(partial.cut_back, 0, partial.hash)
            await _fill(core, reception, partial, body, limit_bytes)
            piece = Piece(partial.size_bytes, partial.hash.hexdigest())
            if os.name == "nt":
                partial.close()  # Windows does not rename an open file
            await core.on_disk(os.replace, unfinished, path)
            return piece
        finally:
            partial.close()
            unfinished.unlink(missing_ok=True)


async def _fill(core: Core, reception: Reception, partial: Partial, body: Body, limit_bytes: int) -> None:
    gatherer = Gatherer(core, partial, limit_bytes, excess="too_large")
    try:
        await reception.run(gatherer.gather(body), watch(core, reception, gatherer))
    finally:
        await gatherer.finish()
    if reception.stop_reason is not None:
        raise Problem(STOPPED[reception.stop_reason])
