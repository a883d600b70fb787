"""The journal on a real file: what goes in comes out, whatever the names, the moment of death or the damage."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.batch import Batch, IntakeReport, SkippedPath
from app.domain.failure import Failure, FailureKind
from app.domain.state import OVER, CancelEnding, TransferState
from app.domain.transfer import TimelineEntry, Transfer
from app.journal.files import connect
from app.journal.journal import BadRow, Entry, JournalError, PendingCancel
from app.journal.purge import purge_some
from app.journal.schema import MIGRATIONS
from app.journal.sqlite import SqliteJournal

NOW = 1_800_000_000.0
DAY_S = 24 * 3600.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "journal.sqlite3"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(path)
    await journal.open()
    yield journal
    await journal.close()


def a_transfer(number: int, state: TransferState = TransferState.QUEUED, batch_id: str = "b") -> Transfer:
    return Transfer(f"{batch_id}{number:031d}", batch_id, number, f"/f/{number}", f"f/{number}", 10, 1, state)


async def stored(journal: SqliteJournal, batch_id: str = "b") -> list[Transfer]:
    return await journal.transfers(batch_id)


def change(path: Path, statement: str, values: Sequence[object] = ()) -> None:
    with sqlite3.connect(path, timeout=5) as connection:
        connection.execute(statement, tuple(values))
    connection.close()


def look(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute(query).fetchall()
    connection.close()
    return rows


any_text = st.text(st.characters(), max_size=30)
maybe = st.none() | any_text
moments = st.floats(0, 4e9)
failures = st.builds(
    Failure, st.sampled_from(FailureKind), any_text, st.none() | st.integers(100, 599), st.none() | moments,
    st.none() | st.integers(0, 2**60),
)  # fmt: skip
transfers = st.builds(
    Transfer,
    id=st.uuids().map(lambda each: each.hex),
    batch_id=st.just("b"),
    position=st.just(0),
    source=st.binary(min_size=1, max_size=300).map(os.fsdecode),
    relative_path=any_text,
    size_bytes=st.integers(0, 2**62),
    mtime_ns=st.integers(-(2**70), 2**70),
    state=st.sampled_from(TransferState),
    offset_bytes=st.integers(0, 2**62),
    remote_id=maybe,
    failure=st.none() | failures,
    ending=st.none() | st.sampled_from(CancelEnding),
    answer=any_text,
    attempts=st.integers(0, 1000),
    retry_at=st.none() | moments,
    generation=st.integers(0, 1000),
    begun_at=st.none() | moments,
)
batches = st.builds(
    Batch,
    st.uuids().map(str),
    any_text,
    any_text,
    moments,
    remote_id=maybe,
    remote_folder=maybe,
    started_at=st.none() | moments,
    finished_at=st.none() | moments,
    scanning=st.booleans(),
    paused=st.booleans(),
    roots=st.lists(any_text, max_size=3).map(tuple),
    report=st.none()
    | st.builds(
        IntakeReport,
        files=st.integers(0, 2**40),
        skipped_count=st.lists(st.tuples(any_text, st.integers(0, 9)), max_size=3).map(tuple),
        skipped=st.lists(st.builds(SkippedPath, any_text, any_text), max_size=3).map(tuple),
    ),
    ending=st.none() | st.sampled_from(CancelEnding),
    answer=any_text,
    target=maybe,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(transfer=transfers, batch=batches, note=any_text)
async def test_everything_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, transfer: Transfer, batch: Batch, note: str
) -> None:
    journal = SqliteJournal(tmp_path_factory.mktemp("journal") / "j.sqlite3")
    await journal.open()
    transfer.batch_id = batch.id
    journal.put_batches([batch])
    journal.put_transfers([transfer], [Entry(transfer.id, 5.5, transfer.state, note)])
    await journal.commit()
    found = await journal.transfers(batch.id)
    lines = await journal.timeline(transfer.id)
    ((batch_found, counts),), bad = await journal.batches()
    await journal.close()
    transfer.sent_bytes = transfer.offset_bytes  # what a socket once took means nothing after a restart
    batch_found.done_bytes = 0
    assert (found, lines, batch_found, counts.files[transfer.state], bad) == (
        [transfer],
        [TimelineEntry(5.5, transfer.state, note)],
        batch,
        1,
        [],
    )


async def test_values_are_copied_when_they_are_put(journal: SqliteJournal) -> None:
    transfer = a_transfer(0)
    journal.put_transfers([transfer])
    transfer.state = TransferState.COMPLETED
    await journal.commit()
    assert [each.state for each in await stored(journal)] == [TransferState.QUEUED]


async def test_only_unfinished_transfers_in_pages(journal: SqliteJournal) -> None:
    states = list(TransferState)
    journal.put_transfers([a_transfer(n, states[n % len(states)]) for n in range(33)])
    await journal.commit()
    pages, after = [], -1
    while page := await journal.transfers("b", after, 5, unfinished=True):
        pages.append([each.position for each in page])
        after = page[-1].position
    wanted = [n for n in range(33) if states[n % len(states)] not in OVER]
    assert pages == [wanted[i : i + 5] for i in range(0, len(wanted), 5)]


async def test_the_unfinished_are_found_by_their_index(journal: SqliteJournal, path: Path) -> None:
    (plan,) = look(
        path,
        "EXPLAIN QUERY PLAN SELECT id FROM transfers WHERE batch_id = 'b' AND position > -1"
        " AND state NOT IN ('completed', 'failed', 'cancelled', 'skipped') ORDER BY position",
    )
    assert "transfers_unfinished" in str(plan[3])


async def test_a_cancel_is_remembered_until_it_is_done(journal: SqliteJournal) -> None:
    whole, single = PendingCancel("b", None, 1.0), PendingCancel("b", "t", 2.0)
    journal.put_cancel(whole)
    journal.put_cancel(single)
    await journal.commit()
    before = await journal.cancels()
    journal.put_cancel(whole, done=True)
    await journal.commit()
    assert (before, await journal.cancels()) == ([whole, single], [single])


async def test_a_removed_batch_is_hidden_and_can_come_back(journal: SqliteJournal) -> None:
    journal.put_batches([Batch("a", "A", "p", 2.0), Batch("b", "B", "p", 1.0)])
    journal.remove_batches(["b"])
    await journal.commit()
    hidden = [batch.id for batch, _ in (await journal.batches())[0]]
    journal.remove_batches(["b"], restore=True)
    await journal.commit()
    assert (hidden, [batch.id for batch, _ in (await journal.batches())[0]]) == (["a"], ["b", "a"])


async def a_hidden_batch(path: Path, hidden_at: float) -> None:
    journal = SqliteJournal(path, clock=lambda: hidden_at)
    await journal.open()
    journal.put_batches([Batch("b", "B", "p", 1.0)])
    many = [a_transfer(n, TransferState.COMPLETED) for n in range(5000)]
    journal.put_transfers(many, [Entry(each.id, 1.0, each.state, "") for each in many])
    journal.remove_batches(["b"])
    await journal.close()


EVERYTHING = "SELECT id FROM batches UNION ALL SELECT id FROM transfers UNION ALL SELECT note FROM timeline"


async def test_a_hidden_batch_is_purged_at_a_start_a_day_later(path: Path) -> None:
    await a_hidden_batch(path, NOW)
    later = SqliteJournal(path, clock=lambda: NOW + DAY_S + 1)
    await later.open()
    async with asyncio.timeout(20):
        while look(path, EVERYTHING):  # noqa: ASYNC110 - another thread purges behind
            await asyncio.sleep(0.01)
    await later.close()
    assert look(path, EVERYTHING) == []


@pytest.mark.parametrize("hidden_before, cancels", [(NOW, 0), (NOW + 1, 1)])
async def test_a_batch_hidden_since_less_or_with_an_open_cancel_is_kept(
    path: Path, hidden_before: float, cancels: int
) -> None:
    await a_hidden_batch(path, NOW)
    connection = connect(path)
    connection.executemany("INSERT INTO cancels VALUES ('b', '', ?)", [(NOW,)] * cancels)
    again = purge_some(connection, hidden_before)
    connection.close()
    assert (again, len(look(path, EVERYTHING))) == (False, 10_001)


def test_what_was_committed_survives_kill_9(path: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from app.domain.transfer import Transfer
from app.journal.purge import purge_some
from app.journal.sqlite import SqliteJournal

async def main():
    journal = SqliteJournal(Path(sys.argv[1]))
    await journal.open()
    number = 0
    while True:
        journal.put_transfers([Transfer(f"{number}", "b", number, "/f", "f", 1, 1)])
        await journal.commit()
        print(number, flush=True)
        number += 1

asyncio.run(main())
"""
    child = subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    promised = -1
    for line in child.stdout:
        promised = int(line)
        if promised == 200:
            break
    child.send_signal(signal.SIGKILL)
    promised = max(promised, *(int(line) for line in child.stdout.read().split("\n") if line), 0)
    child.stdout.close()
    child.wait()
    positions = [row[0] for row in look(path, "SELECT position FROM transfers ORDER BY position")]
    assert positions[: promised + 1] == list(range(promised + 1))


async def test_two_programs_write_and_notice_each_other(path: Path, journal: SqliteJournal) -> None:
    other = SqliteJournal(path)
    await other.open()
    journal.put_transfers([a_transfer(0)])
    await journal.commit()
    seen_own = await journal.changed_elsewhere()
    other.put_transfers([a_transfer(1)])
    await other.commit()
    seen = [await journal.changed_elsewhere(), await journal.changed_elsewhere()]
    await other.close()
    assert (seen_own, seen, [each.position for each in await stored(journal)]) == (
        False,
        [True, False],
        [0, 1],
    )


async def test_many_programs_can_begin_the_same_file(path: Path) -> None:
    journals = [SqliteJournal(path) for _ in range(8)]
    notices = await asyncio.gather(*(each.open() for each in journals))
    for number, each in enumerate(journals):
        each.put_transfers([a_transfer(number)])
    await asyncio.gather(*(each.close() for each in journals))
    assert (notices, look(path, "SELECT COUNT(*) FROM transfers")) == ([()] * 8, [(8,)])


@pytest.mark.parametrize(
    "damage, reason",
    [
        ("UPDATE transfers SET state = 'levitating' WHERE position = 1", "unknown state 'levitating'"),
        ("UPDATE transfers SET failure_kind = 'hm' WHERE position = 1", "unknown kind of failure 'hm'"),
        ("UPDATE transfers SET ending = 'happy' WHERE position = 1", "unknown ending 'happy'"),
        (
            "UPDATE transfers SET relative_path = CAST(X'66FF' AS TEXT) WHERE position = 1",
            "text that is not UTF-8",
        ),
        (
            "UPDATE transfers SET mtime_ns = 'noon' WHERE position = 1",
            "invalid literal for int() with base 10: 'noon'",
        ),
    ],
)
async def test_a_row_nobody_understands_is_set_aside_and_told(
    journal: SqliteJournal, path: Path, damage: str, reason: str
) -> None:
    journal.put_batches([Batch("b", "B", "p", 1.0)])
    journal.put_transfers([a_transfer(n) for n in range(4)])
    await journal.commit()
    change(path, damage)
    pages = [[each.position for each in await journal.transfers("b", after, 2)] for after in (-1, 2)]
    _, told = await journal.batches()
    await journal.commit()
    (kept,) = look(path, "SELECT source, key, reason, content LIKE '%\"position\": 1%' FROM bad_rows")
    ((_, counts),), told_again = await journal.batches()
    key = a_transfer(1).id
    assert (pages, set(told), kept, counts.total_files, told_again) == (
        [[0, 2], [3]],
        {BadRow("transfers", key, reason)},
        ("transfers", key, reason, 1),
        3,
        [],
    )


async def test_a_batch_nobody_understands_does_not_hide_the_others(
    journal: SqliteJournal, path: Path
) -> None:
    journal.put_batches([Batch(each, each, "p", 1.0) for each in ("a", "b", "c")])
    await journal.commit()
    change(path, "UPDATE batches SET report = '{' WHERE id = 'b'")
    change(path, "UPDATE batches SET ending = 'happy' WHERE id = 'c'")
    found, bad = await journal.batches()
    assert ([batch.id for batch, _ in found], [row.key for row in bad]) == (["a"], ["b", "c"])


@pytest.mark.expects_log
async def test_a_value_that_cannot_be_written_does_not_stop_the_rest(
    journal: SqliteJournal, path: Path
) -> None:
    too_large = a_transfer(1)
    too_large.size_bytes = 2**70
    journal.put_transfers([a_transfer(0), too_large, a_transfer(2)])
    await journal.commit()
    assert ([each.position for each in await stored(journal)], look(path, "SELECT key FROM bad_rows")) == (
        [0, 2],
        [(too_large.id,)],
    )


@pytest.mark.parametrize("content", [b"no database at all" * 300, b"SQLite format 3\x00" + b"\xff" * 5000])
async def test_a_corrupt_file_is_set_aside_and_a_new_one_begun(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    journal = SqliteJournal(path)
    (notice,) = await journal.open()
    journal.put_transfers([a_transfer(0)])
    await journal.close()
    (aside,) = path.parent.glob("journal-corrupt-*.sqlite3")
    assert (aside.read_bytes(), str(aside) in notice, look(path, "SELECT COUNT(*) FROM transfers")) == (
        content,
        True,
        [(1,)],
    )


async def test_damage_found_while_reading_is_told_and_set_aside_at_the_next_start(path: Path) -> None:
    journal = SqliteJournal(path)
    await journal.open()
    journal.put_transfers([a_transfer(n) for n in range(3000)])
    await journal.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(16 * 4096)
        file.write(b"\xee" * (size - 32 * 4096))
    damaged = SqliteJournal(path)
    first = await damaged.open()
    with pytest.raises(JournalError, match="damaged"):
        await damaged.transfers("b", limit=5000)
    await damaged.close()
    anew = SqliteJournal(path)
    (notice,) = await anew.open()
    await anew.close()
    assert (first, "set aside" in notice, len(list(path.parent.glob("journal-corrupt-*.sqlite3")))) == (
        (),
        True,
        1,
    )


async def test_a_newer_programs_file_is_left_alone(path: Path, journal: SqliteJournal) -> None:
    change(path, "PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="newer version"):
        await SqliteJournal(path).open()
    assert look(path, "PRAGMA user_version") == [(99,)]


async def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(JournalError, match="cannot be used"):
        await SqliteJournal(tmp_path / "data" / "journal.sqlite3").open()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no file-size limit to play a full disk with")
def test_nothing_is_lost_while_the_disk_refuses(path: Path) -> None:
    script = """
import asyncio, resource, sys
from pathlib import Path
from app.domain.transfer import Transfer
from app.journal.journal import JournalError
from app.journal.purge import purge_some
from app.journal.sqlite import SqliteJournal

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main():
    journal = SqliteJournal(Path(sys.argv[1]))
    await journal.open()
    limit(200_000)
    try:
        for batch in range(20):
            many = [Transfer(f"{batch}-{n}", "b", batch * 1000 + n, "/f", "f", 1, 1) for n in range(1000)]
            journal.put_transfers(many)
            await journal.commit()
    except JournalError as error:
        print(error)
    limit(resource.RLIM_INFINITY)
    await journal.commit()
    print(batch)
    await journal.close()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    sentence, last = done.stdout.splitlines()
    written = look(path, "SELECT COUNT(*) FROM transfers")
    assert ("disk" in sentence, written) == (True, [((int(last) + 1) * 1000,)])


async def test_close_writes_what_waits(path: Path) -> None:
    journal = SqliteJournal(path)
    await journal.open()
    journal.put_transfers([a_transfer(0)])
    await journal.close()
    with pytest.raises(JournalError, match="closed"):
        await journal.commit()
    assert look(path, "SELECT COUNT(*) FROM transfers") == [(1,)]


async def test_a_journal_of_the_first_version_goes_on(path: Path) -> None:
    path.parent.mkdir()
    old = sqlite3.connect(path)
    old.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
    old.execute(
        "INSERT INTO batches VALUES ('b', 'B', 'p', 1, NULL, NULL, NULL, NULL, 0, 0, NULL, '', '[]', NULL, NULL)"
    )
    old.execute(
        "INSERT INTO transfers VALUES ('t', 'b', 0, X'2F66', 'f', 10, 1, 'queued', 0, NULL, NULL, NULL, '', 0,"
        " NULL, 0, NULL, NULL, NULL, NULL, NULL)"
    )
    old.commit()
    old.close()
    journal = SqliteJournal(path)
    await journal.open()
    (row,) = await stored(journal)
    ((batch, _),), bad = await journal.batches()
    await journal.close()
    assert (row, batch, bad) == (Transfer("t", "b", 0, "/f", "f", 10, 1), Batch("b", "B", "p", 1.0), [])
