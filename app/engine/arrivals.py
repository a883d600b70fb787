"""Feeds what intake finds into the engine, drop by drop, and finishes scans that a stopped program left half done."""

import os
import uuid
from collections.abc import Awaitable, Callable, Sequence

from app.domain.batch import Batch, IntakeReport
from app.domain.state import TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.intake.walker import Found

Hear = Callable[[Sequence[Found]], Awaitable[None]]
Walk = Callable[[Sequence[str], Hear], Awaitable[IntakeReport]]
"""Walk paths in a thread, hand over what is found in batches; wired by the manager with the person's rules."""
Enqueue = Callable[[Batch, Sequence[Transfer]], None]


class Arrivals:
    """Turns found files into transfers of a batch."""

    def __init__(self, book: Book, walk: Walk, enqueue: Enqueue) -> None:
        self._book = book
        self._walk = walk
        self._enqueue = enqueue

    async def scan(self, batch: Batch) -> None:
        """Walk the batch's roots to the end. What the batch has already (a scan that goes on) is left out."""
        known = {transfer.source for transfer in self._book.members[batch.id]}

        async def found(files: Sequence[Found]) -> None:
            fresh = [file for file in files if file.source not in known] if known else files
            if fresh:
                added = self._add(batch, fresh)
                # A transfer's id is its key at the server: the journal has it before a request can carry it. And the
                # scan is quicker than the journal: everybody else's commit would wait behind its backlog.
                await self._book.written()
                self._enqueue(batch, added)

        report = await self._walk(batch.roots, found)
        batch.report = report
        self._add_skipped(batch, report)
        batch.scanning = False
        self._book.save_batch(batch)

    def _add(self, batch: Batch, files: Sequence[Found]) -> list[Transfer]:
        state = TransferState.PAUSED if batch.paused else TransferState.QUEUED
        position = len(self._book.members[batch.id])
        family = uuid.uuid4().hex
        transfers = [
            Transfer(
                # In order: the journal's indexes grow at one end, three times as fast. And different within the first
                # 12 digits, so that a person can name one; a walk hands over at most 500 at once.
                id=f"{family[:8]}{number:04x}{family[8:28]}",
                batch_id=batch.id,
                position=position + number,
                source=file.source,
                relative_path=file.relative_path,
                size_bytes=file.size_bytes,
                mtime_ns=file.mtime_ns,
                state=state,
            )
            for number, file in enumerate(files)
        ]
        self._book.add_transfers(batch, transfers)
        return transfers

    def _add_skipped(self, batch: Batch, report: IntakeReport) -> None:
        """What was not taken is a row, too: skipped, with its reason as the answer."""
        position = len(self._book.members[batch.id])
        rows = [
            Transfer(
                id=uuid.uuid4().hex,
                batch_id=batch.id,
                position=position + number,
                source=skipped.path,
                relative_path=_below(skipped.path, batch.roots),
                size_bytes=0,
                mtime_ns=0,
                state=TransferState.SKIPPED,
                answer=skipped.reason,
            )
            for number, skipped in enumerate(report.skipped)
        ]
        if rows:
            self._book.add_transfers(batch, rows)


def _below(path: str, roots: Sequence[str]) -> str:
    """Return a local path as the tables show it: below the dropped folder if it is one, else by its name."""
    for root in roots:
        folder = os.path.join(root, "")
        if path.startswith(folder):
            inside = path[len(folder) :].replace(os.sep, "/")
            return inside if len(roots) == 1 else f"{os.path.basename(root)}/{inside}"
    return os.path.basename(path) or path
