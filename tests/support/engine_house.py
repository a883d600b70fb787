"""An engine with a real journal and real files, against a server in memory, under a clock that the test turns."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from app.domain.batch import Batch, BatchView
from app.domain.events import EngineEvent
from app.domain.state import TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.connections import Connections
from app.engine.engine import Engine, Limits
from app.engine.progress import ProgressLedger
from app.engine.reader import FileFeed
from app.intake.rules import Rules
from app.intake.walker import walk
from app.journal.sqlite import SqliteJournal
from app.ownership import Ownership
from app.remote.base import Connect, ParcelLimits
from app.shelf import Shelf
from tests.support.clock import TestClock, until
from tests.support.memory_server import MemoryServer


class House:
    """The parts, and short ways to tell a story with them."""

    def __init__(self, engine: Engine, ledger: ProgressLedger, shelf: Shelf, journal: SqliteJournal) -> None:
        self.engine = engine
        self.ledger = ledger
        self.shelf = shelf
        self.journal = journal
        self.events: list[EngineEvent] = []
        self.clock: TestClock

    def drop(self, *paths: Path, name: str = "Photos", target: str | None = None) -> Batch:
        batch = Batch(f"batch-of-{name}", name, "profile", self.clock.now(), roots=tuple(map(str, paths)))
        batch.target = target
        self.shelf.created(batch)
        self.engine.add(batch)
        return batch

    def rows(self, batch: Batch) -> dict[str, Transfer]:
        """Return the transfers by file name."""
        return {t.relative_path.rpartition("/")[2]: t for t in self.engine.book.members[batch.id]}

    def states(self, batch: Batch) -> dict[str, TransferState]:
        return {name: transfer.state for name, transfer in self.rows(batch).items()}

    @property
    def batch(self) -> Batch:
        """Return the only batch."""
        (batch,) = self.engine.book.batches.values()
        return batch

    def view(self, batch: Batch) -> BatchView:
        return self.ledger.view(batch)

    async def over(self, batch: Batch) -> None:
        await until(lambda: not batch.scanning and batch.counts.unfinished == 0)

    async def reach(self, batch: Batch, state: TransferState, files: int = 1) -> None:
        await until(lambda: batch.counts.files[state] >= files)


@asynccontextmanager
async def open_house(
    home: Path,
    server: MemoryServer | Connect,
    clock: TestClock | None = None,
    limits: Limits | None = None,
    parcel: ParcelLimits | None = None,
) -> AsyncIterator[House]:
    """Open everything on *home*, adopt what is unfinished, and close it in order.

    *server* is one in memory, or the function that connects to a real one; *parcel* is set where many files go in one
    request.
    """
    clock = clock or TestClock()
    home.mkdir(parents=True, exist_ok=True)
    readers = ThreadPoolExecutor(2, thread_name_prefix="reader")
    journal = SqliteJournal(home / "journal.sqlite3")
    await journal.open()
    ledger = ProgressLedger(clock.now)
    events: list[EngineEvent] = []
    engine = Engine(
        Book(journal, ledger, clock.now),
        ledger,
        journal,
        Connections(server.connect if isinstance(server, MemoryServer) else server),
        lambda transfer, created, progress: FileFeed(
            transfer, readers, on_created=created, on_progress=progress, throttle=None
        ),
        lambda paths, found: walk(paths, Rules(), found),
        clock,
        limits or Limits(),
        events.append,
        lambda _: parcel,
    )
    await engine.start()
    ownership = Ownership(home / "locks")
    shelf = Shelf(journal, engine, ledger, ownership, events.append)
    house = House(engine, ledger, shelf, journal)
    house.events, house.clock = events, clock
    for batch in await shelf.open():
        await shelf.adopt(batch, paused=False)
    try:
        yield house
    finally:
        await engine.close()
        await journal.close()
        ownership.release_all()
        readers.shutdown()


def make_files(folder: Path, sizes: Sequence[int]) -> dict[str, Path]:
    """Write files f0, f1, … of these sizes in bytes; return them by name."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for number, size in enumerate(sizes):
        path = folder / f"f{number}"
        path.write_bytes(
            bytes((number + index) % 251 for index in range(min(size, 4096))) + bytes(max(0, size - 4096))
        )
        made[path.name] = path
    return made


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)
