"""A server of somebody's own: its address is pasted, its password lives in the keyring, its answers are seen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support.desktop import Desktop
from tests.e2e.support.program import BATCHES, FILES, Program, Programs
from tests.e2e.support.stranger import drag_source
from tests.support.server import ServerProcess
from tests.support.vuemantics_client import PASSWORD, VuemanticsClient, picture

SERVER_BATCHES = "server_batches"


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[ServerProcess]:
    """`uphaul serve` somewhere; it works on no file as long as DATA/hold is there."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "hold").touch()
    with ServerProcess(data, module="tests.support.held_server") as server:
        yield server


@pytest.fixture
def account(serving: ServerProcess) -> Iterator[VuemanticsClient]:
    """An account at its vuemantics."""
    with VuemanticsClient(serving) as client:
        yield client


def album(folder: Path, count: int) -> Path:
    """Fill *folder* with pictures."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.png").write_bytes(picture(number))
    return folder


def add_by_keyboard(program: Program, address: str, account: VuemanticsClient) -> None:
    """Add the server as a person does who never touches the mouse after the first click."""
    program.until_said("This computer is ready")
    program.push(" Add a server…")
    program.until_said("Uphaul finds out what answers there")
    program.hand.type(address)
    program.hand.press("Return")
    program.until_said("vuemantics answers there. It wants a name and a password.")
    program.hand.type(account.email)
    program.hand.press("Tab")
    program.hand.type(PASSWORD)
    program.hand.press("Return")
    program.until_said("“vuemantics” is added. New batches go there now.")


def drop(program: Program, folder: Path) -> None:
    """Drag *folder* onto the window."""
    with drag_source(program.desktop, [folder]) as stranger:
        program.hand.drag(stranger.place, program.place)
        program.until(lambda look: folder.name in str(look.rows(BATCHES)), "the new batch")


@pytest.mark.usefixtures("keyring")
def test_the_whole_story(
    desktop: Desktop, start: Programs, serving: ServerProcess, account: VuemanticsClient, tmp_path: Path
) -> None:
    """Pasted, signed in, processing, cancelled with the server's own answer; the next start signs in by itself."""
    program = start()
    add_by_keyboard(program, f"{serving.url}/vuemantics/docs", account)

    drop(program, album(tmp_path / "Holiday", 3))
    program.until_row(FILES, "0.png", "Processing")
    program.use("cancel_batch")
    program.until_row(BATCHES, "Holiday", "Cancelled")
    answer = program.until_row(FILES, "0.png", "Cancelled")["What happened"]
    there = {batch["status"] for batch in account.batches()}
    code = program.quit()

    program = start()
    (serving.data_dir / "hold").unlink()
    drop(program, album(tmp_path / "Scans", 2))
    program.until_row(BATCHES, "Scans", "Done")
    program.press("ctrl+l")
    program.until(lambda look: len(look.rows(SERVER_BATCHES)) == 2, "both batches on the server")
    listed = [row["State"] for row in program.look().rows(SERVER_BATCHES)]
    assert (code, there, answer) == (
        0,
        {"cancelled"},
        "The server has stopped working on it, and keeps the file. Delete it there if it should go.",
    )
    assert listed == ["Done", "Cancelled"]


@pytest.mark.usefixtures("keyring")
def test_another_program_s_batch_is_seen_and_cancelled_from_the_toolbar(
    start: Programs, serving: ServerProcess, account: VuemanticsClient
) -> None:
    """It was begun by a client that knows nothing of this window."""
    program = start()
    add_by_keyboard(program, f"{serving.url}/vuemantics", account)
    account.bulk([("a.png", picture(1), "image/png")])
    program.push("On the server")
    (row,) = program.until(lambda look: look.rows(SERVER_BATCHES), "the batch")
    program.select(SERVER_BATCHES, row["Batch"])
    program.use("cancel_batch")
    program.until_said("It stands so now: Cancelled")
    assert {batch["status"] for batch in account.batches()} == {"cancelled"}
