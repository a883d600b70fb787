"""The tables' model with 100,000 rows: order, filter, ranges and the rows that arrive late."""

import random

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QTextDocument
from PySide6.QtTest import QAbstractItemModelTester

from app.domain.state import TransferState
from app.domain.transfer import TransferView
from tests.support.views import NOW, batch, frame, moved, transfer
from ui.models.batch_table import BatchTable
from ui.models.file_table import FileTable, StateGroup, group_counts
from ui.models.row_table import MAX_RANGES, merge_ranges, put_back

S = TransferState
MANY = 100_000
ASCENDING, DESCENDING = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


def column(table: FileTable | BatchTable, key: str) -> int:
    return [c.key for c in table.columns].index(key)


def size(row: TransferView) -> int:
    return row.size_bytes


def shown(table: FileTable | BatchTable) -> list[str]:
    return [row.id for row in table.shown()]


@pytest.fixture
def files() -> FileTable:
    """An empty Files table that waits for the rows of batch b1, at a clock that stands still."""
    table = FileTable(lambda: NOW)
    table.expect("b1")
    return table


@pytest.fixture
def many(files: FileTable) -> FileTable:
    """100,000 rows of all sizes, one in ten failed, one in a hundred with "needle" in its folder."""
    dice = random.Random(7)
    rows = [
        transfer(
            n,
            S.FAILED if n % 10 == 0 else S.QUEUED,
            folder="hay/Needle" if n % 100 == 50 else "hay",
            size_bytes=dice.randrange(10**9),
        )
        for n in range(MANY)
    ]
    files.show("b1", rows)
    return files


def test_it_is_a_sound_model(files: FileTable) -> None:
    """Qt's own checker watches every change: it aborts the test with a Qt message if one is announced wrongly."""
    QAbstractItemModelTester(files, QAbstractItemModelTester.FailureReportingMode.Warning, files)
    rows = [transfer(n) for n in range(200)]
    files.show("b1", rows[:100])
    files.sort(column(files, "size"), DESCENDING)
    files.take(frame(transfers=rows[100:]))
    files.take(frame(transfers=[moved(row, S.COMPLETED) for row in rows[::3]]))
    files.filter_by("", StateGroup.UPLOADED)
    files.settle()
    files.sort(-1)
    assert shown(files) == [row.id for row in rows[::3]]


def test_every_column_sorts_a_hundred_thousand_rows_both_ways(many: FileTable) -> None:
    everything = list(many.rows())
    for place, each in enumerate(many.columns):
        many.sort(place, ASCENDING)
        assert shown(many) == [row.id for row in sorted(everything, key=each.sort_key)], each.key
        many.sort(place, DESCENDING)
        assert shown(many) == [row.id for row in sorted(everything, key=each.sort_key, reverse=True)], (
            each.key
        )


def test_the_order_of_arrival_comes_back(many: FileTable) -> None:
    many.sort(column(many, "size"), ASCENDING)
    many.sort(-1)
    assert shown(many) == [f"t{n}" for n in range(MANY)]


def test_text_and_state_filter_together(many: FileTable) -> None:
    """Words match in any case and any order, in name or folder."""
    many.filter_by("needle FILE", StateGroup.WAITING)
    assert shown(many) == [f"t{n}" for n in range(50, MANY, 100) if n % 10]


def test_a_filter_keeps_the_order(many: FileTable) -> None:
    many.sort(column(many, "size"), DESCENDING)
    many.filter_by("needle", StateGroup.ALL)
    sizes = [row.size_bytes for row in many.shown()]
    assert (len(sizes), sizes) == (1000, sorted(sizes, reverse=True))


def test_changes_of_many_rows_are_one_range(many: FileTable) -> None:
    ranges: list[tuple[int, int]] = []
    many.dataChanged.connect(lambda first, last, _roles: ranges.append((first.row(), last.row())))
    many.take(frame(transfers=[moved(transfer(n), S.UPLOADING, 5) for n in range(10, MANY, 7)]))
    assert ranges == [(10, max(range(10, MANY, 7)))]


def test_changes_of_few_rows_are_their_own_ranges(many: FileTable) -> None:
    """Neighbours are merged, each announcement names its roles."""
    told: list[tuple[int, int, bool]] = []
    many.dataChanged.connect(lambda first, last, roles: told.append((first.row(), last.row(), bool(roles))))
    many.take(frame(transfers=[transfer(n, S.UPLOADING) for n in (3, 4, 5, 900, 77_000)]))
    assert told == [(3, 5, True), (900, 900, True), (77_000, 77_000, True)]


@pytest.mark.parametrize(
    ("rows", "ranges"),
    [
        ([], []),
        ([4], [(4, 4)]),
        ([5, 4, 4, 6, 9], [(4, 6), (9, 9)]),
        (range(0, 2 * MAX_RANGES, 2), [(n, n) for n in range(0, 2 * MAX_RANGES, 2)]),
        (range(0, 2 * MAX_RANGES + 2, 2), [(0, 2 * MAX_RANGES)]),
    ],
)
def test_merge_ranges(rows: list[int], ranges: list[tuple[int, int]]) -> None:
    assert merge_ranges(rows) == ranges


def test_live_order_is_put_right_when_it_settles(files: FileTable) -> None:
    """A frame moves no row by itself; the next settle does, once."""
    files.show("b1", [transfer(n, S.UPLOADING) for n in range(3)])
    files.sort(column(files, "progress"), DESCENDING)
    files.take(frame(transfers=[transfer(2, S.UPLOADING, done_bytes=900)]))
    before = shown(files)
    files.settle()
    assert (before, shown(files)) == (["t0", "t1", "t2"], ["t2", "t0", "t1"])


def test_a_row_that_no_longer_fits_leaves_when_it_settles(files: FileTable) -> None:
    """It stays under the person's eyes for a moment; one that now fits comes at the same time."""
    files.show("b1", [transfer(0, S.UPLOADING), transfer(1, S.QUEUED), transfer(2, S.UPLOADING)])
    files.filter_by("", StateGroup.RUNNING)
    files.take(frame(transfers=[transfer(0, S.COMPLETED), transfer(1, S.UPLOADING)]))
    before = shown(files)
    files.settle()
    assert (before, shown(files)) == (["t0", "t2"], ["t1", "t2"])


def test_settling_without_a_reason_tells_nobody(many: FileTable) -> None:
    many.sort(column(many, "size"), ASCENDING)
    told: list[str] = []
    many.about_to_rearrange.connect(lambda: told.append("moved"))
    many.settle()
    many.take(frame(transfers=[moved(row, row.state, 1) for row in many.shown()[:5]]))
    many.settle()
    assert told == []


def test_rows_of_another_batch_are_dropped_however_late(files: FileTable) -> None:
    files.show("b1", [transfer(1)])
    files.expect("b2")
    taken = files.show("b1", [transfer(1)])
    files.take(frame(transfers=[transfer(1), transfer(2, batch_id="b2")]))
    files.show("b2", [])
    assert (taken, shown(files)) == (False, ["t2"])


def test_frames_before_the_answer_are_not_lost(files: FileTable) -> None:
    """Rows that were scanned after the question and came by frame before the answer are there, in order."""
    files.take(frame(transfers=[transfer(2), transfer(1, S.UPLOADING)]))
    files.show("b1", [transfer(0), transfer(1)])
    assert [(row.id, row.state) for row in files.shown()] == [
        ("t0", S.QUEUED),
        ("t1", S.UPLOADING),
        ("t2", S.QUEUED),
    ]


def test_groups_count_every_file_once() -> None:
    files = {state: 10**place for place, state in enumerate(S) if state is not S.SKIPPED}
    counts = group_counts(files)
    assert counts[StateGroup.ALL] == sum(files.values()) == sum(counts.values()) - counts[StateGroup.ALL]


def test_batches_come_and_go() -> None:
    table = BatchTable(lambda: NOW)
    table.take(frame([batch("a"), batch("b"), batch("c")]))
    table.take(frame([batch("b", name="Second")], removed=["a"]))
    assert [(row.id, row.name) for row in table.shown()] == [("b", "Second"), ("c", "Holiday")]


def test_a_new_batch_goes_to_its_sorted_place_at_once() -> None:
    table = BatchTable(lambda: NOW)
    table.sort(column(table, "started"), DESCENDING)
    table.take(frame([batch("old", created_at=NOW - 60)]))
    table.take(frame([batch("new", created_at=NOW)]))
    assert shown(table) == ["new", "old"]


def test_texts_are_served_to_readers_and_screen_readers(files: FileTable) -> None:
    files.show("b1", [transfer(0, S.UPLOADING, name="a.bin", size_bytes=200, done_bytes=50)])
    index = files.index(0, column(files, "progress"))
    roles = (
        Qt.ItemDataRole.DisplayRole,
        Qt.ItemDataRole.AccessibleTextRole,
        Qt.ItemDataRole.ToolTipRole,
        Qt.ItemDataRole.DecorationRole,
    )
    assert [index.data(role) for role in roles] == ["25 %", "25 %", "50 B of 200 B", None]


def test_names_with_broken_bytes_are_shown_with_a_mark(files: FileTable) -> None:
    """Qt would leave the undecodable byte out, and two files would look the same."""
    files.show("b1", [transfer(0, name="caf\udce9.txt")])
    assert files.index(0, 0).data() == "caf\ufffd.txt"


def test_a_name_that_looks_like_html_is_shown_letter_by_letter_in_its_tooltip(files: FileTable) -> None:
    """Qt would show the picture instead, from whatever place the name gives."""
    name = '<img src="file:secret.png">  & co'
    files.show("b1", [transfer(0, name=name)])
    tip = QTextDocument()
    tip.setHtml(files.index(0, column(files, "name")).data(Qt.ItemDataRole.ToolTipRole))
    assert tip.toPlainText() == name


def test_there_is_nothing_below_a_row(files: FileTable) -> None:
    files.show("b1", [transfer(0)])
    inner = files.index(0, 0)
    assert (files.rowCount(inner), files.columnCount(inner), files.rowCount(QModelIndex())) == (0, 0, 1)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_putting_back_is_the_same_as_sorting(seed: int, descending: bool) -> None:
    """Whatever moved where, also among equals, to both ends, and when nothing was kept."""
    dice = random.Random(seed)
    kept = sorted(
        (transfer(n, size_bytes=dice.randrange(9)) for n in range(seed)), key=size, reverse=descending
    )
    back = [transfer(100 + n, size_bytes=dice.randrange(-2, 12)) for n in range(dice.randrange(9))]
    result = put_back(kept, back, size, descending=descending)
    assert (sorted(row.id for row in result), [size(row) for row in result]) == (
        sorted(row.id for row in [*kept, *back]),
        sorted((size(row) for row in [*kept, *back]), reverse=descending),
    )


def test_a_thousand_frames_later_the_order_is_right(files: FileTable) -> None:
    """Frames and settling in any mixture leave exactly what a fresh sort and filter would."""
    dice = random.Random(5)
    rows = {n: transfer(n, size_bytes=1000) for n in range(300)}
    files.show("b1", rows.values())
    files.sort(column(files, "progress"), DESCENDING)
    files.filter_by("", StateGroup.RUNNING)
    for _ in range(1000):
        changed = dice.sample(range(300), 5)
        for n in changed:
            rows[n] = moved(rows[n], dice.choice([S.QUEUED, S.UPLOADING, S.COMPLETED]), dice.randrange(1000))
        files.take(frame(transfers=[rows[n] for n in changed]))
        if dice.random() < 0.1:
            files.settle()
    files.settle()
    running = [row for row in rows.values() if row.state is S.UPLOADING]
    assert (sorted(shown(files)), [row.done_bytes for row in files.shown()]) == (
        sorted(row.id for row in running),
        sorted((row.done_bytes for row in running), reverse=True),
    )
