"""On the server: the list as a table, and the whole window at a server whose work stands still until a file is gone."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from app.remote.base import CancelAnswer, RemoteBatchRow, RemoteState
from app.words import exact_time
from tests.support.keyring_in_memory import Memory
from tests.support.server import ServerProcess
from tests.support.views import EMBEDDED, LAB, NOW, batch, frame
from tests.support.vuemantics_client import PASSWORD, VuemanticsClient, pictures
from tests.ui.running import Running, add, album, dialog
from ui.actions import Do
from ui.on_server import answer_text
from ui.theme import Theme
from ui.views.main_window import MainWindow
from ui.views.server_pane import ServerPane

R = RemoteState
TEN_UTC = datetime(2026, 11, 18, 10, tzinfo=UTC).timestamp()


def row(number: int, state: RemoteState = R.STORED, **facts: object) -> RemoteBatchRow:
    """Return line *number* of a list."""
    made = RemoteBatchRow(f"r{number}", f"Scans {number}", state, 10, 4, 0, 0.4, "2026-11-21T10:00:00", "")
    return replace(made, **facts)


@pytest.fixture
def pane(qtbot: QtBot, theme: Theme) -> ServerPane:
    """The view, on the screen, waiting for a list."""
    pane = ServerPane(theme, lambda: NOW, None)
    qtbot.addWidget(pane)
    pane.resize(1000, 400)
    pane.show()
    pane.expect("lab")
    return pane


def texts(pane: ServerPane, key: str) -> list[str]:
    """Return the texts of one column."""
    place = [column.key for column in pane.model.columns].index(key)
    return [pane.model.index(number, place).data() for number in range(pane.model.rowCount())]


def test_a_line_says_what_the_server_says(pane: ServerPane) -> None:
    """Also where a server counts more than there is, or names nothing."""
    said = pane.show_batches(
        [
            row(1, R.PROCESSING, message="Analysing\n3 of 10"),
            row(2, R.FAILED, failed_files=2),
            row(3, name="", done_files=12, share=1.2),
        ]
    )
    keys = ("name", "progress", "state", "files", "failed", "message")
    lines = list(zip(*(texts(pane, key) for key in keys), strict=True))
    assert (said, lines) == (
        "3 batches, 1 unfinished",
        [
            ("Scans 1", "40 %", "Processing", "4 / 10", "", "Analysing 3 of 10"),
            ("Scans 2", "40 %", "Failed", "4 / 10", "2", ""),
            ("r3", "100 %", "Done", "12 / 10", "", ""),
        ],
    )


def test_the_selection_stays_when_the_list_comes_again(pane: ServerPane) -> None:
    """One batch has moved on, another is new, and one is gone."""
    pane.show_batches([row(1, R.PROCESSING), row(2), row(3)])
    pane.table.select_ids(["r1"], "r1")
    pane.show_batches([row(1, R.STORED), row(2), row(3)])
    changed = (pane.table.selected_ids(), texts(pane, "state"))
    pane.show_batches([row(4), row(1), row(2)])
    assert changed == (["r1"], ["Done", "Done", "Done"])
    assert (pane.table.selected_ids(), texts(pane, "name")) == (["r1"], ["Scans 4", "Scans 1", "Scans 2"])


def test_an_empty_list_says_why(pane: ServerPane) -> None:
    waiting = (pane.working.isVisible(), pane.table.hint)
    pane.show_problem("The server cannot be reached. Check the network and that the server runs.")
    problem = pane.table.hint
    pane.show_batches([])
    empty = pane.table.hint
    pane.show_batches([row(1)])
    pane.filter_text("nothing like it")
    assert (waiting, problem.startswith("The server cannot be reached"), empty, pane.table.hint) == (
        (True, ""),
        True,
        "There is no batch of yours on this server.",
        "No batch fits the filter.",
    )


def test_the_filter_looks_at_name_state_and_message(pane: ServerPane) -> None:
    pane.show_batches([row(1, R.PROCESSING), row(2), row(3, message="disk FULL")])
    found = []
    for text in ("scans 2", "processing", "full disk"):
        pane.filter_text(text)
        found += texts(pane, "name")
    assert found == ["Scans 2", "Scans 1", "Scans 3"]


def test_when_a_batch_was_made_is_told_as_of_our_own_and_sorted_by_the_moment(pane: ServerPane) -> None:
    """One server's zone is not ours, one names none, and one writes no date."""
    written = ["2026-11-18T10:30:00.5", "once", "2026-11-18T12:00:00+02:00", "2025-11-21T10:30:00Z"]
    pane.show_batches([row(number, created=text) for number, text in enumerate(written)])
    column = [each.key for each in pane.model.columns].index("created")
    pane.table.sortByColumn(column, Qt.SortOrder.AscendingOrder)
    tips = [pane.model.index(place, column).data(Qt.ItemDataRole.ToolTipRole) for place in range(4)]
    assert texts(pane, "name") == ["Scans 3", "Scans 2", "Scans 0", "Scans 1"]
    assert texts(pane, "created") == ["21 Nov 2025", "1 h ago", "18 Nov 2026, 10:30:00", "once"]
    assert tips[1:] == [
        exact_time(TEN_UTC),
        "18 Nov 2026, 10:30:00 on the server's clock (it names no time zone)",
        "once",
    ]


def test_a_thousand_lines_that_all_change_are_one_announcement(pane: ServerPane) -> None:
    """The view repaints what can be seen; nothing is made anew and nothing moves."""
    pane.show_batches([row(number, R.PROCESSING) for number in range(1000)])
    told: list[tuple[int, int]] = []
    pane.model.dataChanged.connect(lambda first, last: told.append((first.row(), last.row())))
    resets: list[int] = []
    pane.model.modelReset.connect(lambda: resets.append(1))
    pane.show_batches([row(number, R.PROCESSING, share=0.5) for number in range(1000)])
    pane.show_batches([row(number, R.PROCESSING, share=0.5) for number in range(1000)])
    assert (told, resets) == ([(0, 999)], [])


@pytest.mark.parametrize(
    ("answer", "now", "said"),
    [
        (
            CancelAnswer(204, "The server has cancelled the batch."),
            row(1, R.CANCELLED),
            "“Scans 1”: The server has cancelled the batch. It stands so now: Cancelled.",
        ),
        (
            CancelAnswer(500, ""),
            row(1, R.PROCESSING),
            "“Scans 1”: The server answered 500. It stands so now: Processing, 40%.",
        ),
        (
            CancelAnswer(204, "Deleted"),
            None,
            "“Scans 1”: Deleted. It is no longer in the server's list.",
        ),
    ],
)
def test_the_servers_answer_is_told_as_it_is(
    answer: CancelAnswer, now: RemoteBatchRow | None, said: str
) -> None:
    assert answer_text("Scans 1", answer, now) == said


@pytest.fixture
def window(qtbot: QtBot, theme: Theme, store: object) -> MainWindow:
    """A window that knows of one server with a list and one without."""
    window = MainWindow(theme, store, lambda: NOW)
    qtbot.addWidget(window)
    window.show()
    lab = replace(LAB, lists_batches=True)
    window.apply(frame([batch("b1")], servers=[EMBEDDED, lab]))
    return window


def test_the_switch_turns_the_page_and_what_the_actions_are_for(window: MainWindow) -> None:
    wanted: list[str] = []
    window.server_wanted.connect(wanted.append)
    without = window.switch.there.isEnabled()
    window.top.choose("lab")
    window.apply(frame(servers=window.servers))
    window.switch.there.click()
    window.on_server.show_batches([row(1, R.PROCESSING)])
    window.on_server.table.selectRow(0)
    cancel, pause = window.actions_[Do.CANCEL_BATCH], window.actions_[Do.PAUSE]
    there = (window.stack.currentWidget(), cancel.isEnabled(), pause.isEnabled(), window.active_view)
    tip = cancel.toolTip()
    window.select_batch("b1")
    assert (without, wanted[0], wanted[-1]) == (False, "lab", "")
    assert there == (window.on_server, True, False, window.on_server.table)
    assert tip.endswith("Ask lab to cancel “Scans 1”, wherever it was begun.")
    assert (window.stack.currentWidget(), window.switch.mine.isChecked()) == (window.splitter, True)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that works on nothing as long as DATA/hold is there."""
    data_dir = tmp_path / "held"
    data_dir.mkdir()
    (data_dir / "hold").touch()
    with ServerProcess(data_dir, module="tests.support.held_server") as running:
        yield running


def server_column(run: Running, key: str) -> Sequence[str]:
    """Return the texts of a column of the list."""
    return texts(run.window.on_server, key)


async def test_batches_from_here_and_elsewhere_are_seen_live_and_cancelled(
    run: Running, held: ServerProcess, vault: Memory, tmp_path: Path
) -> None:
    """One is begun by another program, one by a drop; the first is cancelled from here, the second is let go."""
    with VuemanticsClient(held) as other:
        await add(run, f"{held.url}/vuemantics", other.email, PASSWORD, "lab")
        other.bulk(pictures(3))
        run.window.actions_[Do.ON_SERVER].trigger()
        await run.until(lambda: server_column(run, "files") == ["0 / 3"], "the batch from elsewhere")
        run.window.on_server.table.selectRow(0)
        QGuiApplication.clipboard().clear()
        run.use(Do.COPY)
        await run.until(lambda: QGuiApplication.clipboard().text() != "", "the copy")
        copied = QGuiApplication.clipboard().text().splitlines()[0].split("\t")[0]
        run.window.notices.dismiss()
        run.use(Do.CANCEL_BATCH)
        await run.until(lambda: server_column(run, "state") == ["Cancelled"], "it is cancelled")
        await run.until(lambda: run.window.notices.text != "", "the answer")
        answer = run.window.notices.text
        run.drop(album(tmp_path / "Mine", 2))
        await run.until(lambda: run.batches("state") == ["Processing"], "the drop is there")
        page = run.window.stack.currentWidget()
        run.window.actions_[Do.ON_SERVER].trigger()
        await run.until(lambda: "0 / 2" in server_column(run, "files"), "the drop is on the server, too")
        (held.data_dir / "hold").unlink()
        await run.until(lambda: "2 / 2" in server_column(run, "files"), "it is done, and seen by itself")
    assert (copied, page, answer.endswith("deleted. It stands so now: Cancelled.")) == (
        "Batch",
        run.window.splitter,
        True,
    )


async def test_a_server_that_goes_away_leaves_its_list_and_says_so(
    run: Running, held: ServerProcess, vault: Memory
) -> None:
    with VuemanticsClient(held) as other:
        await add(run, f"{held.url}/vuemantics", other.email, PASSWORD, "lab")
        other.bulk(pictures(1))
        run.window.actions_[Do.ON_SERVER].trigger()
        await run.until(lambda: server_column(run, "files") == ["0 / 1"], "the list")
        listed = run.window.switch.text
        held.kill()
        run.window.switch.refresh.emit()
        await run.until(lambda: run.window.switch.text != listed, "that it is away")
    assert listed == "1 batch, 1 unfinished"
    assert (
        run.window.switch.text.startswith("The server cannot be reached"),
        server_column(run, "files"),
    ) == (
        True,
        ["0 / 1"],
    )


async def test_what_a_server_keeps_after_a_cancel_can_be_deleted_there(
    run: Running, held: ServerProcess, vault: Memory, tmp_path: Path
) -> None:
    """It cannot cancel a single file; so it says what is left there, and the menu of the file offers to delete it."""
    with VuemanticsClient(held) as account:
        await add(run, f"{held.url}/vuemantics", account.email, PASSWORD, "lab")
        run.drop(album(tmp_path / "Mine", 2))
        await run.until(lambda: run.rows("state") == ["Processing", "Processing"], "both are there")
        run.window.files.table.selectRow(0)
        run.use(Do.CANCEL_FILE)
        await run.until(lambda: run.rows("state")[0] == "Cancelled", "its ending")
        ending = run.rows("what")[0]
        run.use(Do.DELETE_THERE)
        question = await dialog(run, QMessageBox)
        next(button for button in question.buttons() if button.text() == "Delete").click()
        await run.until(lambda: run.rows("what")[0] == "Deleted from the server.", "it is deleted")
        left = account.uploads()["items"]
    assert (ending.startswith("The server answered 405"), len(left)) == (True, 1)
