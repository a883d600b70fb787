"""Quitting in the middle of an upload: the window ends by itself, the journal is true, the next start goes on."""

from pathlib import Path

from tests.e2e.support.child import is_over
from tests.e2e.support.folders import digests, plain_folder
from tests.e2e.support.program import BATCHES, SLOW_BPS, Programs, settle
from tests.e2e.support.wait import until


def test_quit_and_go_on(start: Programs, home: Path, tmp_path: Path) -> None:
    """Ctrl+Q, and after the next start everything arrives, each file once."""
    folder = plain_folder(tmp_path / "Letters", 5, 2_000_000)
    settle(home, speed_limit_bps=SLOW_BPS, uploads_at_once=2)
    program = start(folder)
    until(
        lambda: program.records.stored().get("stored") and program.records.partials(),
        "one file and a part of one",
    )
    server = program.server_pid()

    exit_code = program.quit()
    left = program.records.states()
    until(lambda: is_over(server), "the server to end with the window")
    assert exit_code == 0
    assert left.keys() <= {"completed", "queued", "waiting", "paused"}, (
        "a journal that claims work nobody does"
    )

    settle(home)
    again = start()
    again.until_row(BATCHES, "Letters", "Done")
    assert again.records.stored() == {"stored": 5}
    assert digests(again.records.files_folder / "Letters") == digests(folder)


def test_an_idle_window_quits_at_once(start: Programs) -> None:
    """With nothing to do there is nothing to ask, and nothing to complain about on standard error."""
    program = start()
    assert (program.quit(), program.child.words()) == (0, "")
