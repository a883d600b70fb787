"""UploadManager: the only class that the window and the command line drive. Wiring, no logic.

Every ``async`` method runs in the engine's event loop; :meth:`UploadManager.drain` alone may be called from any thread.
"""

import asyncio
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from app import updates
from app.accounts.secrets import Secrets
from app.domain.batch import Batch, BatchView, IntakeReport
from app.domain.events import EngineEvent, EngineNotice, Frame
from app.domain.transfer import Transfer, TransferDetails, TransferView
from app.engine.arrivals import Hear
from app.engine.book import Book
from app.engine.clock import Clock, SystemClock
from app.engine.connections import Connections
from app.engine.engine import Engine, Limits
from app.engine.progress import ProgressLedger
from app.engine.reader import FileFeed
from app.engine.throttle import Throttle
from app.engine.worker import Created, Progress
from app.intake.rules import Rules
from app.intake.walker import batch_name, walk
from app.journal.journal import PendingCancel
from app.journal.sqlite import SqliteJournal
from app.ownership import Ownership
from app.places import Places
from app.remote.base import Target
from app.server_desk import ServerDesk
from app.servers import EMBEDDED_ID, Servers
from app.settings import Settings, save
from app.shelf import Shelf
from app.update_file import Outcome

_FOLLOW_EVERY_S = 1.0
_LOOK_EVERY_S = 0.1
_WARM_AFTER_S = 0.5
_READERS = min(8, max(2, os.cpu_count() or 1))
"""Reading and hashing are work for a core: more threads than cores send nothing faster, and the window waits for them."""


class UploadManager(ServerDesk):
    """The engine with everything around it: journal, intake, servers (their half is ServerDesk), settings.

    *on_event* is called in the engine's thread. Commands on a batch that another program works on are refused with an
    EngineNotice, but for cancel, which that program then carries out.
    """

    def __init__(
        self,
        places: Places,
        settings: Settings,
        *,
        on_event: Callable[[EngineEvent], None],
        clock: Clock | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        self._places = places
        self._settings = settings
        self._emit = on_event
        self._clock = clock or SystemClock()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="reader")
        self._ledger = ProgressLedger(self._clock.now)
        self._servers = Servers(places, secrets or Secrets(), self._ledger.gates)
        self._journal = SqliteJournal(places.journal_path)
        self._ownership = Ownership(places.locks_dir)
        self._connections = Connections(self._servers.connect, self._servers.disconnect)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def settings(self) -> Settings:
        """What is in force."""
        return self._settings

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self, *, adopt: bool = True) -> None:
        """Open the journal and, if asked to *adopt*, go on with what was not finished. Raises JournalError."""
        loop = asyncio.get_running_loop()
        self._throttle = Throttle(self._settings.speed_limit_bps, loop.time, self._clock.sleep)
        for sentence in (*self._servers.problems, *await self._journal.open()):
            self._emit(EngineNotice(sentence))
        book = Book(self._journal, self._ledger, self._clock.now)
        self._engine = Engine(
            book,
            self._ledger,
            self._journal,
            self._connections,
            self._open_feed,
            self._walk,
            self._clock,
            _limits(self._settings),
            self._emit,
            self._servers.parcel_limits,
        )
        self._book = book
        await self._engine.start()
        self._shelf = Shelf(self._journal, self._engine, self._ledger, self._ownership, self._emit)
        unfinished = await self._shelf.open()
        self._ledger.set_servers(self._servers.views())
        self._tasks.append(asyncio.create_task(self._look_around(), name="look-around"))
        if adopt:
            self._tasks.append(asyncio.create_task(self._adopt_all(unfinished), name="adopt"))

    async def close(self) -> None:
        """Stop sending, leave the journal true, end the embedded server."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._engine.close()
        await self._servers.close()
        await self._journal.close()
        self._ownership.release_all()
        self._readers.shutdown(wait=False, cancel_futures=True)

    def drain(self, watched: str | None) -> Frame:
        """Return what changed since the last call, with the changed rows of the batch *watched*. Thread-safe."""
        return self._ledger.drain(watched)

    # -- batches ------------------------------------------------------------------------------------------------

    async def add(
        self, paths: Sequence[str], profile_id: str, name: str | None = None, target: Target | None = None
    ) -> str:
        """Make a batch of these local paths; return its id. The scan goes on behind and ends with IntakeEnded.

        *target* is the project it goes into, where the server has such; None for the one that was chosen last.
        """
        now = self._clock.now()
        roots = tuple(os.path.abspath(path) for path in paths)
        batch = Batch(uuid.uuid4().hex, name or batch_name(roots, now), profile_id, now, roots=roots)
        batch.target = target.id if target else self._servers.chosen_target(profile_id)
        self._shelf.created(batch)
        self._engine.add(batch)
        await self._journal.commit()
        return batch.id

    async def batches(self) -> Sequence[BatchView]:
        """Return all batches, oldest first."""
        return [self._ledger.view(batch) for batch in self._book.batches.values()]

    async def transfers(self, batch_id: str) -> Sequence[TransferView]:
        """Return all rows of a batch, in order."""
        return [transfer.view() for transfer in await self._shelf.load(batch_id)]

    async def details(self, transfer_id: str) -> TransferDetails | None:
        """Return everything known of one transfer; None if there is no such transfer."""
        transfer = self._book.transfers.get(transfer_id) or await self._journal.transfer(transfer_id)
        if transfer is None:
            return None
        await self._journal.commit()
        timeline = [*await self._journal.timeline(transfer_id), *self._book.late_entries(transfer_id)]
        return TransferDetails(
            transfer.view(),
            transfer.source,
            transfer.relative_path,
            transfer.remote_id,
            transfer.attempts,
            tuple(timeline),
        )

    def is_elsewhere(self, batch_id: str) -> bool:
        """Whether another program works on a batch: a cancel is then that program's to carry out, not ours."""
        return not self._shelf.is_ours(batch_id) and not self._ownership.is_free(batch_id)

    async def remove(self, batch_ids: Sequence[str]) -> None:
        """Take finished batches off the list; others stay."""
        over = [name for name in batch_ids if name in self._book.batches and not self._unfinished(name)]
        for batch_id in over:
            self._book.drop_batch(batch_id)
            self._shelf.forget(batch_id)
        self._journal.remove_batches(over)
        await self._journal.commit()

    async def restore(self, batch_ids: Sequence[str]) -> None:
        """Undo a removal."""
        self._journal.remove_batches(batch_ids, restore=True)
        await self._journal.commit()
        for batch_id in batch_ids:
            await self._shelf.show(batch_id)

    async def folder(self, batch_id: str) -> Path | None:
        """Return the local folder of a batch on the embedded server; None if there is none."""
        batch = self._book.batches.get(batch_id)
        if batch is None or batch.profile_id != EMBEDDED_ID or not batch.remote_folder:
            return None
        path = self._places.server_data_dir / "files" / batch.remote_folder
        return path if await asyncio.to_thread(path.is_dir) else None

    # -- what a person asks ---------------------------------------------------------------------------------------

    async def pause(self, batch_ids: Sequence[str] = (), transfer_ids: Sequence[str] = ()) -> None:
        """Pause batches and single transfers; everything if both are empty."""
        for batch in await self._owned(batch_ids, everything=not transfer_ids):
            self._engine.pause_batch(batch)
        self._engine.pause(await self._named(transfer_ids))
        await self._journal.commit()

    async def resume(self, batch_ids: Sequence[str] = (), transfer_ids: Sequence[str] = ()) -> None:
        """Let batches and single transfers go on; everything if both are empty."""
        for batch in await self._owned(batch_ids, everything=not transfer_ids):
            self._engine.resume_batch(batch)
        self._engine.resume(await self._named(transfer_ids))
        await self._journal.commit()

    async def cancel_transfers(self, transfer_ids: Sequence[str]) -> None:
        """Cancel single files; they are ``cancelling`` at once, their endings come with frames and CancelEnded."""
        transfers = sorted(await self._named(transfer_ids), key=lambda transfer: transfer.batch_id)
        for batch_id, group in groupby(transfers, key=lambda transfer: transfer.batch_id):
            self._engine.cancel(self._book.batches[batch_id], list(group))
        for transfer_id in set(transfer_ids) - {transfer.id for transfer in transfers}:
            await self._ask_owner(await self._journal.transfer(transfer_id))
        await self._journal.commit()

    async def cancel_batch(self, batch_id: str) -> None:
        """Cancel a whole batch by one request, whoever works on it."""
        batch = self._book.batches.get(batch_id)
        if batch is None:
            return
        if await self._shelf.adopt(batch, paused=not self._shelf.is_ours(batch_id)):
            self._engine.cancel(batch)
        else:
            self._journal.put_cancel(PendingCancel(batch_id, None, self._clock.now()))
        await self._journal.commit()

    async def undo_cancel(self) -> int:
        """Take back the cancels that were not sent yet; return how many files go on."""
        return self._engine.undo_cancel()

    async def retry(self, batch_ids: Sequence[str] = (), transfer_ids: Sequence[str] = ()) -> int:
        """Try failed files of these batches again, and single ones, also cancelled; return how many."""
        chosen = await self._named(transfer_ids)
        for batch in await self._owned(batch_ids, everything=not transfer_ids):
            chosen += [t for t in await self._shelf.load(batch.id) if t.failure is not None]
        return await self._engine.again.retry(chosen)

    async def delete_remote(self, transfer_ids: Sequence[str]) -> int:
        """Delete files from their server that were stored there; return how many. Raises TransferError."""
        return await self._engine.again.delete_remote(await self._named(transfer_ids))

    async def change_settings(self, settings: Settings) -> None:
        """Apply and store. Raises SettingsError if they cannot be written."""
        self._settings = settings
        self._throttle.limit_bps = settings.speed_limit_bps
        self._engine.set_limits(_limits(settings))
        await asyncio.to_thread(save, self._places.settings_path, settings)

    async def check_for_update(self, *, only_if_due: bool = False) -> Outcome | None:
        """Ask the address in the settings whether there is a newer Uphaul.

        *only_if_due*: None unless that is switched on and the last answer is a day old.
        """
        memory, now = self._places.updates_path, datetime.now(UTC)
        if only_if_due and not updates.is_due(self._settings, memory, now):
            return None
        return await updates.check(self._settings, memory, now)

    # -- for the command line -------------------------------------------------------------------------------------

    async def wait_idle(self, batch_ids: Sequence[str]) -> None:
        """Return when these batches are over, or cannot go on without a person (a server that wants a sign-in)."""
        while any(self._unfinished(batch_id) and not self._stuck(batch_id) for batch_id in batch_ids):
            await self._clock.sleep(_LOOK_EVERY_S)

    # -- wiring ---------------------------------------------------------------------------------------------------

    def _open_feed(self, transfer: Transfer, created: Created, progress: Progress) -> FileFeed:
        return FileFeed(
            transfer, self._readers, on_created=created, on_progress=progress, throttle=self._throttle
        )

    async def _walk(self, paths: Sequence[str], found: Hear) -> IntakeReport:
        rules = Rules(include_hidden=self._settings.include_hidden, exclude=self._settings.exclude)
        return await walk(paths, rules, found)

    async def _adopt_all(self, batches: Iterable[Batch]) -> None:
        """Go on with unfinished work, then have the embedded server ready before the first drop."""
        for batch in batches:
            await self._shelf.adopt(batch, paused=not self._settings.resume_on_start)
        await self._clock.sleep(_WARM_AFTER_S)  # the window comes first
        await self._servers.warm()

    async def _look_around(self) -> None:
        """Keep the list of servers true, and follow what other programs do with the journal."""
        while True:
            self._servers.follow()
            self._ledger.set_servers(self._servers.views())
            await self._clock.sleep(_FOLLOW_EVERY_S)
            await self._shelf.follow()

    async def _owned(self, batch_ids: Sequence[str], *, everything: bool) -> list[Batch]:
        """Return these batches (all unfinished ones if none is named and *everything* is meant), made ours."""
        names = batch_ids or (
            [name for name in self._book.batches if self._unfinished(name)] if everything else ()
        )
        owned = []
        for batch in (self._book.batches[name] for name in names if name in self._book.batches):
            if await self._shelf.adopt(batch, paused=True):
                owned.append(batch)
            else:
                self._emit(EngineNotice(f"Another Uphaul is working on {batch.name}."))
        return owned

    async def _named(self, transfer_ids: Sequence[str]) -> list[Transfer]:
        """Return those of these transfers that are in the book."""
        return [self._book.transfers[name] for name in transfer_ids if name in self._book.transfers]

    async def _ask_owner(self, transfer: Transfer | None) -> None:
        if transfer is None or transfer.batch_id not in self._book.batches:
            return
        if await self._shelf.adopt(self._book.batches[transfer.batch_id], paused=True):
            self._engine.cancel(self._book.batches[transfer.batch_id], await self._named([transfer.id]))
        else:
            self._journal.put_cancel(PendingCancel(transfer.batch_id, transfer.id, self._clock.now()))

    def _unfinished(self, batch_id: str) -> bool:
        batch = self._book.batches.get(batch_id)
        return batch is not None and (batch.scanning or batch.counts.unfinished > 0)

    def _stuck(self, batch_id: str) -> bool:
        batch = self._book.batches[batch_id]
        gate = self._ledger.gates.get(batch.profile_id)
        return gate is not None and gate.closed and gate.until is None and not batch.counts.sending


def _limits(settings: Settings) -> Limits:
    return Limits(
        settings.uploads_at_once, settings.stall_s, settings.undo_cancel_s, settings.roll_back_cancelled
    )
