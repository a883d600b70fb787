"""What this room does now and then: end what dead servers left, and let exports expire."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from app.server.api.cell_segmentation_hub import packing
from app.server.api.cell_segmentation_hub.ending import Endings
from app.server.core import Core
from app.server.problems import Problem

LOOK_SECONDS = 10.0

log = logging.getLogger("uphaul.server")


class Chores:
    """One task; it also runs once before the first request is answered."""

    def __init__(self, core: Core, endings: Endings) -> None:
        self._core, self._endings = core, endings
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Do them, and again from now on."""
        await self._do()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Do them no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        pause_seconds = min(LOOK_SECONDS, self._core.config.keep_exports.total_seconds() / 4)
        while True:
            await asyncio.sleep(max(pause_seconds, 0.2))
            try:
                await self._do()
            except (Problem, OSError):
                log.warning("event=hub_chores_failed", exc_info=True)

    async def _do(self) -> None:
        await self._endings.recover()
        await packing.sweep(self._core)
