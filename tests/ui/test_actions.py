"""Which action may be used when, and what its tooltip says."""

import re

import pytest
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget
from pytestqt.qtbot import QtBot

from app.domain.batch import IntakeReport
from app.domain.state import BatchState, CancelEnding, TransferState
from app.remote.base import RemoteBatchRow, RemoteState
from tests.support.views import batch, transfer
from ui import selection as rules
from ui.actions import SPECS, Actions, Do
from ui.selection import Selection, Table
from ui.theme import Theme
from ui.views.header import ColumnHeader
from ui.views.menus import batches_menu, files_menu, fill_bar, server_menu

S, B, R, E = TransferState, BatchState, RemoteState, CancelEnding
NOTHING = Selection()
HERE = frozenset({"This computer"})


def of_files(**counts: int) -> Selection:
    """A selection of files in the Files table."""
    return Selection(table=Table.FILES, files={S(state): number for state, number in counts.items()})


def of_batch(state: BatchState, *, server: str = "This computer", **counts: int) -> Selection:
    """A selection of one batch in the Batches table."""
    row = batch("b1", state, {S(name): number for name, number in counts.items()}, server=server)
    return Selection(batches=(row,), every=(row,), shown=row, embedded=HERE)


def there(*states: RemoteState) -> Selection:
    """Batches of the server's own list."""
    rows = tuple(RemoteBatchRow(str(n), f"Scans {n}", state, 3, 1, 0, 0.3) for n, state in enumerate(states))
    return Selection(table=Table.SERVER, server="lab", remote=rows)


TRUTH = [
    # rule, selection, enabled, words that must be among the answer's
    (rules.can_add, NOTHING, True, ""),
    (rules.can_add, Selection(ready=False), False, "still starting"),
    (rules.can_pause, NOTHING, False, "Select a batch or files"),
    (rules.can_pause, of_batch(B.UPLOADING, uploading=1, completed=5), True, "Pause “Holiday”"),
    (rules.can_pause, of_batch(B.QUEUED, queued=3), True, "“Holiday”"),
    (rules.can_pause, of_batch(B.SCANNING), True, "“Holiday”"),
    (rules.can_pause, of_batch(B.PAUSED, paused=3), False, "paused already"),
    (rules.can_pause, of_batch(B.PROCESSING, processing=3), False, "cannot be paused"),
    (rules.can_pause, of_batch(B.COMPLETED, completed=3), False, "Nothing here"),
    (rules.can_pause, of_files(waiting=1, completed=1), True, "Pause 2 files"),
    (rules.can_pause, of_files(completed=1), False, "Nothing here"),
    (rules.can_resume, NOTHING, False, "Select"),
    (rules.can_resume, of_batch(B.PAUSED, paused=2), True, "“Holiday”"),
    (rules.can_resume, of_batch(B.UPLOADING, uploading=2), False, "Nothing here is paused"),
    (rules.can_resume, of_files(paused=1), True, "1 file"),
    (rules.can_cancel_file, NOTHING, False, "Select one or more files"),
    (rules.can_cancel_file, of_batch(B.UPLOADING, uploading=2), False, "Select one or more files"),
    (rules.can_cancel_file, of_files(uploading=1, queued=1, completed=3), True, "Cancel 2 files"),
    (rules.can_cancel_file, of_files(processing=1), True, "Cancel 1 file"),
    (rules.can_cancel_file, of_files(cancelling=1, completed=1), False, "being asked already"),
    (rules.can_cancel_file, of_files(completed=1), False, "it has arrived"),
    (rules.can_cancel_file, of_files(failed=2), False, "they are over"),
    (rules.can_cancel_batch, NOTHING, False, "Select a batch"),
    (rules.can_cancel_batch, of_batch(B.UPLOADING, uploading=2, queued=1), True, "3 files not yet there"),
    (rules.can_cancel_batch, of_batch(B.PAUSED, paused=1), True, "1 file"),
    (rules.can_cancel_batch, of_batch(B.SCANNING), True, "“Holiday”"),
    (rules.can_cancel_batch, of_batch(B.CANCELLING, cancelling=2), False, "being asked already"),
    (rules.can_cancel_batch, of_batch(B.PARTIAL, completed=2, failed=1), False, "is over"),
    (rules.can_cancel_batch, there(), False, "Select a batch"),
    (rules.can_cancel_batch, there(R.PROCESSING, R.STORED), True, "Ask lab to cancel “Scans 0”"),
    (rules.can_cancel_batch, there(R.UNFINISHED, R.PROCESSING), True, "2 batches"),
    (rules.can_cancel_batch, there(R.STORED), False, "is over"),
    (rules.can_delete_there, NOTHING, False, "Select files"),
    (rules.can_delete_there, of_files(completed=1), False, "although they were cancelled"),
    (
        rules.can_delete_there,
        Selection(table=Table.FILES, files={S.CANCELLED: 2}, left_there=2),
        True,
        "Delete 2 files",
    ),
    (rules.can_look_at_server, there(), True, "begun elsewhere"),
    (rules.can_look_at_server, NOTHING, False, "does not list batches"),
    (rules.can_copy, there(R.STORED), True, "Copy"),
    (rules.can_retry, NOTHING, False, "Select"),
    (rules.can_retry, of_batch(B.PARTIAL, completed=2, failed=3), True, "Try 3 files again"),
    (rules.can_retry, of_batch(B.CANCELLED, cancelled=3), False, "Nothing here has failed"),
    (rules.can_retry, of_files(cancelled=1), True, "Try 1 file again"),
    (rules.can_retry, of_files(completed=1), False, "Nothing here has failed"),
    (rules.can_remove, NOTHING, False, "No batch is finished"),
    (rules.can_remove, of_batch(B.PARTIAL, failed=1), True, "1 finished batch off the list"),
    (rules.can_remove, of_batch(B.PAUSED, paused=1), False, "No batch is finished"),
    (rules.can_remove_batch, NOTHING, False, "Select a batch"),
    (rules.can_remove_batch, of_batch(B.COMPLETED, completed=1), True, "“Holiday” off the list"),
    (rules.can_remove_batch, of_batch(B.UPLOADING, uploading=1), False, "Cancel it first"),
    (rules.can_open_folder, NOTHING, False, "Select one batch"),
    (rules.can_open_folder, of_batch(B.COMPLETED, completed=1), True, "Open the folder"),
    (rules.can_open_folder, of_batch(B.UPLOADING, uploading=1), False, "No file of this batch has arrived"),
    (rules.can_open_folder, of_batch(B.COMPLETED, completed=1, server="lab"), False, "on “lab”"),
    (rules.can_show_report, NOTHING, False, "Select one batch"),
    (rules.can_show_report, of_batch(B.SCANNING), False, "still being read"),
    (
        rules.can_show_report,
        Selection(batches=(batch("b1", report=IntakeReport(files=1)),)),
        True,
        "What was taken",
    ),
    (rules.can_copy, NOTHING, False, "Select rows"),
    (rules.can_copy, of_files(completed=1), True, "Copy"),
    (rules.can_copy, of_batch(B.COMPLETED), True, "Copy"),
    (rules.can_pause_all, of_batch(B.UPLOADING, uploading=1), True, "every batch"),
    (rules.can_pause_all, of_batch(B.PAUSED, paused=1), False, "Nothing"),
    (rules.can_resume_all, of_batch(B.PAUSED, paused=1), True, "paused"),
    (rules.can_resume_all, of_batch(B.UPLOADING, uploading=1), False, "Nothing is paused"),
    (rules.can_always, NOTHING, True, ""),
]


@pytest.mark.parametrize(("rule", "selection", "enabled", "words"), TRUTH)
def test_rule(rule: rules.Answer, selection: Selection, enabled: bool, words: str) -> None:
    answer = rule(selection)
    assert (answer.enabled, words in answer.words) == (enabled, True), answer


@pytest.mark.parametrize(
    ("state", "ending", "answer", "left"),
    [
        (S.COMPLETED, None, "", False),
        (S.COMPLETED, E.FINISHED_FIRST, "", True),
        (S.COMPLETED, E.FINISHED_FIRST, "deleted", False),
        (S.CANCELLED, E.HERE_ONLY, "stored", True),
        (S.CANCELLED, E.HERE_ONLY, "goes_on 500: error", True),
        (S.CANCELLED, E.HERE_ONLY, "nothing_stored", False),
        (S.CANCELLED, E.HERE_ONLY, "deleted", False),
        (S.CANCELLED, E.CANCELLED, "", False),
    ],
)
def test_what_a_server_still_has_of_a_cancelled_file(
    state: TransferState, ending: CancelEnding | None, answer: str, left: bool
) -> None:
    assert rules.is_left_there(transfer(1, state, ending=ending, answer=answer)) is left


def test_every_rule_is_in_the_table() -> None:
    """A new action without a row in the truth table is noticed here."""
    assert {spec.rule for spec in SPECS} == {row[0] for row in TRUTH}


def test_files_count_only_in_their_own_table() -> None:
    """Files may be selected while the person works in the Batches table; Pause is then meant for the batch."""
    row = batch("b1", B.UPLOADING, {S.UPLOADING: 1})
    both = Selection(table=Table.BATCHES, batches=(row,), files={S.COMPLETED: 1})
    assert rules.can_pause(both).words.startswith("Pause “Holiday”")


@pytest.mark.parametrize(
    ("counts", "busy"),
    [
        ({}, False),
        ({S.COMPLETED: 3, S.FAILED: 1, S.CANCELLED: 1}, False),
        ({S.PAUSED: 3}, False),
        ({S.WAITING: 1}, True),
        ({S.CANCELLING: 1}, True),
    ],
)
def test_busy(counts: dict[TransferState, int], busy: bool) -> None:
    assert rules.is_busy((batch("b1", B.PAUSED, counts),)) is busy


def test_a_scan_alone_is_busy() -> None:
    assert rules.is_busy((batch("b1", B.SCANNING),))


def test_tooltips_say_why_not_and_how(qtbot: QtBot, theme: Theme) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    actions = Actions(theme, parent)
    actions.update(of_files(completed=1))
    cancel = actions[Do.CANCEL_FILE]
    assert (cancel.isEnabled(), cancel.toolTip()) == (
        False,
        "Cancel file (Del)\nNothing to cancel: it has arrived.",
    )


def test_shortcuts_are_not_given_twice(qtbot: QtBot, theme: Theme) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    actions = Actions(theme, parent)
    keys = [key.toString() for what in Do for key in dict.fromkeys(actions[what].shortcuts())]
    assert sorted(keys) == sorted(set(keys))


def test_no_menu_gives_a_letter_twice(qtbot: QtBot, theme: Theme) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    actions, bar = Actions(theme, parent), QMenuBar(parent)
    fill_bar(bar, actions, *(ColumnHeader((), "files", parent) for _ in range(3)))
    menus = [make(actions, parent) for make in (batches_menu, files_menu, server_menu)]
    twice = []
    for menu in (*menus, *(action.menu() for action in bar.actions())):
        assert isinstance(menu, QMenu)
        letters = [found[1].lower() for one in menu.actions() if (found := re.search("&(.)", one.text()))]
        twice += [(menu.title(), letter) for letter in set(letters) if letters.count(letter) > 1]
    assert twice == []


def test_every_action_has_words_and_a_picture(qtbot: QtBot, theme: Theme) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    actions = Actions(theme, parent)
    actions.update(NOTHING)
    mute = [what for what in Do if "\n" not in actions[what].toolTip() or actions[what].icon().isNull()]
    assert mute == []
