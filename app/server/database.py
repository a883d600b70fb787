"""The database: one writer thread with short IMMEDIATE transactions, and an async engine for reading."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, CursorResult, Engine, create_engine, event, inspect
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql import Executable

from app.server.events import Event, Events
from app.server.problems import Problem
from app.server.schema import HEAD

log = logging.getLogger("uphaul.server")

P = ParamSpec("P")
T = TypeVar("T")

BUSY_SECONDS = 10
PROBE_BUSY_SECONDS = 1
HALF_A_CHARACTER = "A text has half a character (a lone surrogate), which cannot be stored."
"""JSON can bring one; SQLite takes only what can be written as UTF-8."""
_TROUBLES = {
    "SQLITE_BUSY": "is locked by another process",
    "SQLITE_LOCKED": "is locked by another process",
    "SQLITE_CANTOPEN": "cannot be opened",
    "SQLITE_READONLY": "is read-only",
    "SQLITE_IOERR": "cannot be read or written",
    "SQLITE_CORRUPT": "is damaged",
    "SQLITE_NOTADB": "is damaged",
    "SQLITE_FULL": "has no room left on the disk",
}
"""What SQLite's error codes, up to their details, say about the whole database."""


class Transaction:
    """One write transaction. Steps on the disk that belong to it say how they are taken back."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._undo: list[Callable[[], object]] = []
        self._then: list[Callable[[], object]] = []
        self._events: list[Event] = []
        self._totals: dict[object, Event] = {}
        self.wakes: set[str] = set()

    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Execute one Core statement; *parameters* is a mapping, or a list of them."""
        return self.connection.execute(statement, parameters)

    def on_rollback(self, step: Callable[[], object]) -> None:
        """Call *step* if this transaction does not come to be."""
        self._undo.append(step)

    def on_commit(self, step: Callable[[], object]) -> None:
        """Call *step* as soon as this transaction is durable."""
        self._then.append(step)

    def emit(self, event: Event, *, total_of: object = None) -> None:
        """Publish *event* after the commit. Of those that name the same *total_of* only the last one is, after all others."""
        if total_of is None:
            self._events.append(event)
        else:
            self._totals[total_of] = event

    def wake(self, who: str) -> None:
        """Tell a worker of the server after the commit that there is something for it to do."""
        self.wakes.add(who)

    @property
    def events(self) -> Sequence[Event]:
        """What this transaction has to tell."""
        return [*self._events, *self._totals.values()]

    def rolled_back(self) -> None:
        """Take the disk steps back, the last one first."""
        for step in reversed(self._undo):
            step()

    def committed(self) -> None:
        """Do what waited for the commit."""
        for step in self._then:
            step()


class Database:
    """The truth about batches and files. Several processes may have the same one open."""

    def __init__(self, path: Path, events: Events, wake: Callable[[str], None]) -> None:
        self._events = events
        self._wake = wake
        self._path = path
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="uphaul-writer")
        self._prober = ThreadPoolExecutor(1, thread_name_prefix="uphaul-probe")
        # The writer's one connection is used by the writer thread alone, but made and closed by others.
        self._write_engine = create_engine(
            URL.create("sqlite", database=str(path)),
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
        )
        _prepare(self._write_engine, begin="BEGIN IMMEDIATE")
        self._read_engine: AsyncEngine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=str(path)), pool_size=4, max_overflow=0, pool_timeout=60
        )
        _prepare(self._read_engine.sync_engine, begin="BEGIN")

    async def open(self) -> None:
        """Bring the tables up to date; several servers may start at the same moment."""
        await asyncio.get_running_loop().run_in_executor(self._writer, self._migrate)
        self._opened = os.stat(self._path)

    def _migrate(self) -> None:
        with (
            self._write_engine.connect() as connection,
            connection.begin(),
        ):  # IMMEDIATE: the others wait here
            if _revision(connection) != HEAD:
                _upgrade(connection)

    async def write(
        self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run *work* in the writer thread inside one transaction, and return what it returns.

        Raises what *work* raises, after a roll-back; `Problem("database_busy")` if another process holds the lock for
        too long, `Problem("validation_failed")` for text that is none. A caller that is cancelled meanwhile does not stop the transaction.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, lambda: self._transact(work, *args, **kwargs))

    def _transact(
        self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            with self._write_engine.connect() as connection:
                transaction = Transaction(connection)
                try:
                    with connection.begin():
                        result = work(transaction, *args, **kwargs)
                except BaseException:
                    transaction.rolled_back()
                    raise
                transaction.committed()
                self._events.publish_all(transaction.events)
                for who in transaction.wakes:
                    self._wake(who)
                return result
        except DatabaseError as error:
            if (problem := _problem(error)) is None:
                raise
            raise problem from error
        except UnicodeEncodeError:
            raise Problem("validation_failed", HALF_A_CHARACTER) from None

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run *work* against one consistent snapshot; it must not write."""
        try:
            async with self._read_engine.connect() as connection:
                return await connection.run_sync(work, *args, **kwargs)
        except DatabaseError as error:
            if (problem := _problem(error)) is None:
                raise
            raise problem from error
        except UnicodeEncodeError:
            raise Problem("validation_failed", HALF_A_CHARACTER) from None

    async def probe(self) -> None:
        """See whether the database that was opened still lies there and takes a write; nobody else's connection is needed for that.

        Raises `Problem("database_unavailable")`, which says why.
        """
        await asyncio.get_running_loop().run_in_executor(self._prober, _probe, self._path, self._opened)

    async def close(self) -> None:
        """Finish the transaction that runs, close every connection and end the threads."""
        await self._read_engine.dispose()
        await asyncio.get_running_loop().run_in_executor(self._writer, self._write_engine.dispose)
        self._writer.shutdown()
        self._prober.shutdown(wait=False)


def _prepare(engine: Engine, *, begin: str) -> None:
    """Let SQLAlchemy say BEGIN itself: sqlite3's own guess is deferred, and would fail where it could wait."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _problem(error: DatabaseError) -> Problem | None:
    name = _error_name(error.orig)
    if name in {"SQLITE_BUSY", "SQLITE_LOCKED"}:
        return Problem("database_busy", headers={"Retry-After": "1"})
    if name == "SQLITE_FULL":
        return Problem("disk_full")
    if name in _TROUBLES:
        log.error("event=database_unavailable error=%s", error.orig)
        return Problem("database_unavailable", f"The database {_TROUBLES[name]}.")
    return None


def _error_name(error: BaseException | None) -> str:
    """Return SQLite's name of what is wrong without its details: SQLITE_READONLY_DBMOVED is SQLITE_READONLY."""
    return "_".join(str(getattr(error, "sqlite_errorname", "")).split("_")[:2])


def _probe(path: Path, opened: os.stat_result) -> None:
    """SQLite alone would not see it all: it reuses descriptors, and reads a strange file by the journal beside it."""
    trouble = None
    try:
        if not os.path.samestat(os.stat(path), opened):
            trouble = "was replaced by another file"
        elif not os.access(path, os.W_OK):
            trouble = _TROUBLES["SQLITE_READONLY"]
        else:
            _begin_to_write(path)
    except OSError:
        trouble = _TROUBLES["SQLITE_CANTOPEN"]
    except sqlite3.Error as error:
        trouble = _TROUBLES.get(_error_name(error), f"cannot be used: {error}")
    if trouble is not None:
        raise Problem("database_unavailable", f"The database {trouble}.")


def _begin_to_write(path: Path) -> None:
    address = f"{path.absolute().as_uri()}?mode=rw"  # must be there: a missing one is not made anew
    with closing(sqlite3.connect(address, PROBE_BUSY_SECONDS, isolation_level=None, uri=True)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT 1 FROM batches LIMIT 1")
        connection.execute("ROLLBACK")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _upgrade(connection: Connection) -> None:
    """Import Alembic only now: a start with an up-to-date database does not pay for it."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
