"""The journal in one SQLite file: a thread that writes, a thread that reads, and a plain promise.

The promise: when ``commit()`` has returned, everything put before it survives ``kill -9`` and a loss of power
(WAL with synchronous=FULL: the log is fsynced at each transaction). What was put but not committed is written within
about 20 ms, and lost as a whole, never in part, if the program dies before. All that waits goes into one transaction,
so that hundreds of workers share one fsync. Nothing is lost while the disk refuses (full, read-only, locked): it is
kept in memory, ``commit()`` raises, and the next write tries everything again.

Several processes may have the file open. The last writer of a row wins; ``changed_elsewhere()`` tells that another
process wrote.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar

from app.domain.batch import Batch, Counts
from app.domain.transfer import TimelineEntry, Transfer
from app.journal import reading
from app.journal.files import connect, open_or_begin_anew, problem
from app.journal.group import Group
from app.journal.journal import BadRow, Entry, JournalError, PendingCancel
from app.journal.purge import purge_some
from app.journal.reading import Unreadable
from app.journal.rows import batch_row, text_in, transfer_row

_T = TypeVar("_T")
_LINGER_S = 0.02
_HIDDEN_FOR_S = 24 * 3600.0
_log = logging.getLogger(__name__)


class SqliteJournal:
    """Journal and JournalReader on the file at *path*. Use it from one event loop, between open() and close()."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._jobs: SimpleQueue[Callable[[Group], None] | None] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._reading: sqlite3.Connection | None = None
        self._bad_rows: list[BadRow] = []
        self._data_version = 0
        self._refused = False

    # --- life ---------------------------------------------------------------------------------------------------

    async def open(self) -> tuple[str, ...]:
        """Open the file, or make it; return sentences a person should read (a damaged file was set aside, say).

        Batches hidden for more than a day are purged behind. Raises JournalError.
        """
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[tuple[str, ...]] = loop.create_future()
        # A daemon: a program that dies without close() must not hang at its exit.
        self._writer = threading.Thread(
            target=self._write_all, args=(loop, opened), name="journal-writer", daemon=True
        )
        self._writer.start()
        try:
            notices = await opened
        except JournalError:
            self._writer.join()
            self._writer = None
            raise
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="journal-reader")
        return notices

    async def close(self) -> None:
        """Write what waits and close the file. Raises JournalError if the last of it could not be written."""
        if self._writer is None:
            return
        readers, self._readers = self._readers, None
        if readers is not None:
            await asyncio.get_running_loop().run_in_executor(readers, self._close_reader)
            readers.shutdown()
        try:
            await self.commit()
        finally:
            self._jobs.put(None)
            writer, self._writer = self._writer, None
            await asyncio.to_thread(writer.join)

    # --- writing ------------------------------------------------------------------------------------------------

    def put_batches(self, batches: Sequence[Batch]) -> None:
        """Insert or replace the rows of these batches (counters are not stored)."""
        rows = [batch_row(batch) for batch in batches]
        self._jobs.put(lambda group: group.add_batches(rows))

    def put_transfers(self, transfers: Sequence[Transfer], entries: Sequence[Entry] = ()) -> None:
        """Insert or replace the rows of these transfers, and append to their timelines."""
        rows = [transfer_row(transfer) for transfer in transfers]
        lines = [(entry.transfer_id, entry.at, entry.state.value, text_in(entry.note)) for entry in entries]
        self._jobs.put(lambda group: group.add_transfers(rows, lines))

    def put_cancel(self, cancel: PendingCancel, *, done: bool = False) -> None:
        """Remember a cancel that the server must still hear, or (done) forget it."""
        key = (cancel.batch_id, cancel.transfer_id or "")
        asked_at = None if done else cancel.asked_at
        self._jobs.put(lambda group: group.add_cancel(key, asked_at))

    def remove_batches(self, batch_ids: Sequence[str], *, restore: bool = False) -> None:
        """Hide batches (they are purged at a later start), or bring hidden ones back."""
        hidden_at = None if restore else self._clock()
        hidden = dict.fromkeys(batch_ids, hidden_at)
        self._jobs.put(lambda group: group.hidden.update(hidden))

    async def commit(self) -> None:
        """Return when everything put so far is on disk. Raises JournalError with a sentence."""
        if self._writer is None:
            raise JournalError("The journal is closed.")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs.put(lambda group: group.waiters.append(done))
        await done

    # --- reading ------------------------------------------------------------------------------------------------

    async def batches(self) -> tuple[list[tuple[Batch, Counts]], list[BadRow]]:
        """Return all batches that are not hidden, oldest first, with counters, and every bad row found so far."""
        found, bad = await self._read(reading.batches)
        self._set_aside(bad)
        told, self._bad_rows = self._bad_rows, []
        return found, told

    async def transfers(
        self, batch_id: str, after: int = -1, limit: int = 2000, *, unfinished: bool = False
    ) -> list[Transfer]:
        """Return transfers of a batch by position, greater than *after*; only unfinished ones if asked.

        A row that cannot be understood is left out, set aside, and told by the next :meth:`batches`.
        """
        found, bad = await self._read(
            lambda connection: reading.transfers(connection, batch_id, after, limit, unfinished=unfinished)
        )
        self._set_aside(bad)
        return found

    async def transfer(self, transfer_id: str) -> Transfer | None:
        """Return one transfer by its id, or None."""
        found, bad = await self._read(lambda connection: reading.transfer(connection, transfer_id))
        self._set_aside(bad)
        return found

    async def timeline(self, transfer_id: str) -> list[TimelineEntry]:
        """Return the timeline of one transfer, oldest first."""
        found, bad = await self._read(lambda connection: reading.timeline(connection, transfer_id))
        self._set_aside(bad)
        return found

    async def cancels(self) -> list[PendingCancel]:
        """Return the cancels that the server has not yet confirmed, oldest first."""
        return await self._read(reading.cancels)

    async def changed_elsewhere(self) -> bool:
        """Whether another process wrote since the last call (PRAGMA data_version of the writer's connection)."""
        version: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._jobs.put(lambda group: group.versions.append(version))
        before, self._data_version = self._data_version, await version
        return before != self._data_version

    async def _read(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._readers is None:
            raise JournalError("The journal is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._query, query)

    def _query(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            if self._reading is None:
                self._reading = connect(self._path, read_only=True)
            return query(self._reading)
        except sqlite3.Error as error:
            raise problem(error, self._path) from error

    def _close_reader(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _set_aside(self, bad: Sequence[Unreadable]) -> None:
        if bad:
            self._bad_rows.extend(each.row for each in bad)
            at = self._clock()
            self._jobs.put(lambda group: group.bad.extend((row, at) for row in bad))

    # --- the writer's thread ------------------------------------------------------------------------------------

    def _write_all(self, loop: asyncio.AbstractEventLoop, opened: "asyncio.Future[tuple[str, ...]]") -> None:
        try:
            connection, notices = open_or_begin_anew(self._path, self._clock)
            self._data_version = _data_version(connection)
        except (sqlite3.Error, OSError) as error:
            _fail_later(loop, opened, problem(error, self._path))
            return
        except JournalError as error:
            _fail_later(loop, opened, error)
            return
        _tell(loop, lambda: _resolve(opened, notices))
        try:
            self._drain(connection, loop)
        finally:
            connection.close()

    def _drain(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        group = Group()
        purge = True
        while self._gather(group, may_wait_forever=not purge):
            if purge and not group.has_rows and not group.is_urgent:
                purge = purge_some(connection, self._clock() - _HIDDEN_FOR_S)
            else:
                group = self._write(connection, loop, group)

    def _gather(self, group: Group, *, may_wait_forever: bool) -> bool:
        """Move what waits into *group*; return False at the end. Lingers a little while nobody waits for the disk."""
        deadline = None if may_wait_forever else time.monotonic() + _LINGER_S
        while True:
            try:
                if deadline is None:
                    job = self._jobs.get()
                elif group.is_urgent:
                    job = self._jobs.get_nowait()
                else:
                    job = self._jobs.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                return True
            if job is None:
                return False
            job(group)
            deadline = deadline or time.monotonic() + _LINGER_S

    def _write(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop, group: Group) -> Group:
        """Write *group* in one transaction; return what the next one starts from: nothing, or all of it again."""
        waiters, versions = group.take_waiters()
        refusal: JournalError | None = None
        try:
            group.write(connection)
            group, self._refused = Group(), False
        except sqlite3.Error as error:
            refusal = problem(error, self._path)
            if not self._refused:
                _log.warning("%s What waits is kept in memory and tried again.", refusal)
            self._refused = True
        version = _data_version(connection) if versions else 0
        _tell(loop, lambda: _answer(waiters, versions, version, refusal))
        return group


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:  # the loop is closed: nobody waits any more
        _log.debug("the journal's loop is closed")


def _answer(
    waiters: Sequence["asyncio.Future[None]"],
    versions: Sequence["asyncio.Future[int]"],
    version: int,
    refusal: JournalError | None,
) -> None:
    for waiter in waiters:
        if refusal is None:
            _resolve(waiter, None)
        else:
            _fail(waiter, refusal)
    for asked in versions:
        _resolve(asked, version)


def _resolve(future: "asyncio.Future[_T]", value: _T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[_T]", refusal: JournalError) -> None:
    if not future.done():
        # Each waiter gets an exception of its own: one object raised in many tasks mixes their tracebacks.
        future.set_exception(JournalError(str(refusal)))


def _fail_later(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[_T]", refusal: JournalError) -> None:
    _tell(loop, lambda: _fail(future, refusal))
