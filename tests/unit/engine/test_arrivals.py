"""The scan and the journal keep step."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from app.domain.batch import Batch, IntakeReport
from app.engine.arrivals import Arrivals
from app.engine.book import Book
from app.engine.progress import ProgressLedger
from app.intake.walker import Found
from app.journal.sqlite import SqliteJournal


async def test_the_journal_is_never_behind_the_scan(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite3")
    await journal.open()
    batch = Batch("b" * 32, "Photos", "embedded", 0.0, roots=("/photos",))
    stored: list[list[int]] = []

    async def walk(_: Sequence[str], found: Callable[[Sequence[Found]], Awaitable[None]]) -> IntakeReport:
        for first in (0, 3, 6):
            await found([Found(f"/photos/{n}.jpg", f"{n}.jpg", 1, 0) for n in range(first, first + 3)])
            stored.append([transfer.position for transfer in await journal.transfers(batch.id)])
        return IntakeReport()

    book = Book(journal, ProgressLedger(lambda: 0.0), lambda: 0.0)
    book.add_batch(batch)
    await Arrivals(book, walk, lambda _batch, _transfers: None).scan(batch)
    await journal.close()
    assert stored == [list(range(3)), list(range(6)), list(range(9))]
