"""Servers in the whole window: a real server of ours, a real account, the dialogs as a person uses them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox

from tests.support import hub_client
from tests.support.keyring_in_memory import Memory
from tests.support.server import ServerProcess
from tests.support.vuemantics_client import PASSWORD, VuemanticsClient
from tests.ui.running import Running, add, album, dialog, names, press, refusal
from ui.actions import Do
from ui.dialogs.parts import Mood
from ui.dialogs.project import ProjectDialog
from ui.dialogs.server import ServerDialog
from ui.dialogs.servers import ServersDialog
from ui.dialogs.sign_in import SignInDialog


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of ours, somewhere."""
    with ServerProcess(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def account(server: ServerProcess) -> Iterator[VuemanticsClient]:
    """An account at its vuemantics."""
    with VuemanticsClient(server) as client:
        yield client


async def test_a_pasted_address_is_enough_to_find_the_server(
    run: Running, account: VuemanticsClient, vault: Memory
) -> None:
    """An address of its API is pasted; the dialog finds the server, tells what it can do, and asks for an account."""
    run.use(Do.ADD_SERVER)
    adding = await dialog(run, ServerDialog)
    form = adding.form
    before = (form.user.isVisible(), form.save.isEnabled(), form.look.isDefault())
    form.address.setText(f"{account.server.url}/vuemantics/docs")
    form.look.click()
    await run.until(lambda: form.address_said.mood is Mood.GOOD, "what answers there")
    found = (form.address.text(), form.kind_name, form.user.isVisible(), form.secret.isVisible())
    hint, powers = form.address_said.text, form.powers.accessibleDescription()
    form.user.setText(account.email)
    form.secret.setText(PASSWORD)
    await press(run, form.test)
    await run.until(lambda: form.end_said.mood in (Mood.GOOD, Mood.BAD), "the test's answer")
    tested = form.end_said.text
    await press(run, form.save)
    await run.until(lambda: run.window.top.server_name == "vuemantics", "the new server is chosen")
    assert before == (False, False, True)
    assert found == (f"{account.server.url}/vuemantics", "vuemantics", True, True)
    assert hint == "vuemantics answers there. It wants a name and a password."
    assert (tested, "Cancels a batch;" in powers) == ("The connection works.", True)
    assert list(vault.kept.values()) == [PASSWORD]


async def test_a_wrong_password_is_said_beside_it(
    run: Running, account: VuemanticsClient, vault: Memory
) -> None:
    run.use(Do.ADD_SERVER)
    form = (await dialog(run, ServerDialog)).form
    form.address.setText(f"{account.server.url}/vuemantics")
    form.look.click()
    await run.until(lambda: form.address_said.mood is Mood.GOOD, "what answers there")
    form.user.setText(account.email)
    await press(run, form.test)
    missing = form.secret_said.text
    form.secret.setText("wrong")
    form.test.click()
    await run.until(lambda: form.secret_said.mood is Mood.BAD and form.secret_said.text != missing, "why")
    assert (
        missing,
        form.secret_said.text,
        form.end_said.text,
    ) == (
        "The password is missing.",
        "The user name or the password is wrong. Check both, then sign in again.",
        "",
    )


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "Paste an address of the server first."),
        ("http://127.0.0.1:9", "The server cannot be reached"),
        ("not an address", "No upload server answers at this address"),
    ],
)
async def test_what_does_not_answer_is_said_beside_the_address(run: Running, address: str, said: str) -> None:
    """And the person may say which kind it is, if they know."""
    run.use(Do.ADD_SERVER)
    form = (await dialog(run, ServerDialog)).form
    form.address.setText(address)
    form.look.click()
    await run.until(lambda: form.address_said.mood is Mood.BAD, "the sentence")
    assert (form.address_said.text.startswith(said), form.kind.isVisible()) == (True, bool(address))


async def test_looking_can_be_stopped(run: Running) -> None:
    """An address behind which nothing ever answers; the window goes on working meanwhile."""
    run.use(Do.ADD_SERVER)
    form = (await dialog(run, ServerDialog)).form
    form.address.setText("https://10.255.255.1")
    form.look.click()
    was = (form.look.text(), form.working.isVisible())
    form.look.click()
    await run.until(lambda: form.look.text() == "Look", "it has stopped")
    assert (was, form.address_said.text, form.working.isVisible()) == (("Stop", True), "Stopped.", False)


@pytest.mark.usefixtures("no_vault")
async def test_without_a_keyring_the_dialog_says_so_before_anything_is_saved(run: Running) -> None:
    run.use(Do.ADD_SERVER)
    form = (await dialog(run, ServerDialog)).form
    await run.until(lambda: form.keep_said.text != "", "the hint")
    assert (form.keep.isChecked(), form.keep.isEnabled(), form.keep_said.text) == (
        False,
        False,
        "This system has no keyring. The sign-in is kept until Uphaul is closed.",
    )


async def test_several_accounts_at_one_address(
    run: Running, server: ServerProcess, account: VuemanticsClient, vault: Memory
) -> None:
    with VuemanticsClient(server) as other:
        await add(run, f"{server.url}/vuemantics", account.email, PASSWORD, "first")
        await add(run, f"{server.url}/vuemantics", other.email, PASSWORD, "second")
        await add(run, f"{server.url}/vuemantics", other.email, PASSWORD, "third")
    assert (names(run), refusal(run)) == (
        ["This computer", "first", "second"],
        "“second” is this account already.",
    )


async def test_the_list_tests_changes_and_removes(
    run: Running, account: VuemanticsClient, vault: Memory
) -> None:
    await add(run, f"{account.server.url}/vuemantics", account.email, PASSWORD, "lab")
    run.use(Do.SERVERS)
    servers = await dialog(run, ServersDialog)
    await run.until(lambda: servers.selected is not None and servers.selected.name == "lab", "it is selected")
    servers.test.click()
    await run.until(lambda: servers.said.mood is Mood.GOOD, "the test's answer")
    tested = servers.said.text
    servers.change.click()
    changing = await dialog(run, ServerDialog)
    changing.form.name.setText("laboratory")
    changing.form.advanced.fold.setChecked(True)
    changing.form.advanced._files.setValue(50)
    changing.form.save.click()
    await run.until(lambda: names(run) == ["This computer", "laboratory"], "its new name")
    servers.remove.click()
    box = await dialog(run, QMessageBox)
    question, form = box.informativeText(), box.textFormat()
    next(button for button in box.buttons() if button.text() == "Remove").click()
    await run.until(lambda: names(run) == ["This computer"], "it is gone")
    assert tested.startswith("lab answers. ")
    assert question == "Its sign-in is forgotten. What has arrived there stays there."
    assert form is Qt.TextFormat.PlainText
    assert vault.kept == {}


async def test_one_that_is_added_from_the_list_is_selected_there(
    run: Running, account: VuemanticsClient, vault: Memory
) -> None:
    run.use(Do.SERVERS)
    servers = await dialog(run, ServersDialog)
    address = f"{account.server.url}/vuemantics"
    await add(run, address, account.email, PASSWORD, "lab", begin=servers.add.click)
    await run.until(lambda: servers.selected is not None and servers.selected.name == "lab", "it is selected")
    assert servers.said.text == "“lab” is added. New batches go there now."


async def test_the_keyboard_goes_through_the_fields_as_they_are_read(
    run: Running, account: VuemanticsClient
) -> None:
    """And a screen reader has a name for each of them."""
    run.use(Do.ADD_SERVER)
    adding = await dialog(run, ServerDialog)
    form = adding.form
    form.address.setText(f"{account.server.url}/vuemantics")
    form.look.click()
    await run.until(form.save.isEnabled, "what answers there")
    order, widget = [], form.address
    while widget not in order:
        order.append(widget)
        widget = widget.nextInFocusChain()
    stops = [each for each in order if each.focusPolicy() & Qt.FocusPolicy.TabFocus and each.isVisible()]
    wanted = [form.look, form.kind, form.user, form.secret, form.keep, form.name]
    names = [each.accessibleName() or getattr(each, "text", str)() for each in [form.address, *wanted]]
    assert [each for each in stops if each in wanted] == wanted
    assert names == [
        "Address of the server",
        "Look",
        "Kind of server",
        "User name",
        "Password",
        "Keep it in the system's keyring",
        "Name in Uphaul",
    ]


async def test_this_computer_stays_as_it_is(run: Running) -> None:
    run.use(Do.SERVERS)
    servers = await dialog(run, ServersDialog)
    await run.until(lambda: servers.tree.topLevelItemCount() == 1, "the list")
    enabled = [
        b.isEnabled() for b in (servers.add, servers.change, servers.test, servers.sign_in, servers.remove)
    ]
    assert (servers.selected_id, enabled) == ("embedded", [True, False, False, False, False])


async def test_the_queue_waits_for_a_new_password_and_goes_on(
    run: Running, account: VuemanticsClient, vault: Memory, tmp_path: Path
) -> None:
    """The kept password is no longer right: a banner says what waits; a wrong one again is said beside the field."""
    await add(run, f"{account.server.url}/vuemantics", account.email, "not any more", "lab")
    run.drop(album(tmp_path / "Holiday", 3))
    banner = "lab: sign in again. 3 files wait; nothing is lost."
    await run.until(lambda: run.window.sign_in.text == banner and run.window.sign_in.isVisible(), banner)
    said = (run.window.top.server.accessibleName(), run.window.status._link.text(), run.batches("state"))
    run.window.sign_in.button.click()
    asking = await dialog(run, SignInDialog)
    asking.secret.setText("wrong")
    asking.enter.click()
    await run.until(lambda: asking.said.mood is Mood.BAD, "that it was wrong")
    wrong = asking.said.text
    asking.secret.setText(PASSWORD)
    await press(run, asking.enter)
    await run.until(lambda: run.batches("state") == ["Done"], "it arrives")
    assert said == ("Server: lab, asks you to sign in", "lab asks you to sign in", ["Waiting"])
    assert wrong == "The user name or the password is wrong. Check both, then sign in again."
    await run.until(lambda: not run.window.sign_in.isVisible(), "the banner leaves")
    assert list(vault.kept.values()) == [PASSWORD]


async def test_a_drop_without_a_project_asks_for_one(
    run: Running, server: ServerProcess, vault: Memory, tmp_path: Path
) -> None:
    """There is none, so it is made in the question; the next drop goes there without one."""
    with hub_client.login(server) as client:
        email = client.headers["x-test-email"]
        await add(run, f"{server.url}{hub_client.PREFIX}", email, hub_client.PASSWORD, "hub")
        before = (run.window.top.project.isVisible(), run.window.top.project.text())
        run.drop(album(tmp_path / "Cells", 2))
        asking = await dialog(run, ProjectDialog)
        await run.until(
            lambda: asking.said.text == "There is no project yet. Make one.", "that there is none"
        )
        asking.name.setText("HeLa 2026")
        asking.make.click()
        await run.until(lambda: run.batches("state") == ["Done"], "it arrives")
        run.drop(album(tmp_path / "More", 1))
        await run.until(lambda: run.batches("state") == ["Done", "Done"], "the second arrives, too")
        titles = [each["title"] for each in client.get("/api/projects").json()["data"]["projects"]]
    assert before == (True, " Choose a project ▾")
    assert (run.window.top.project.text(), titles) == (" HeLa 2026 ▾", ["HeLa 2026"])


async def test_no_project_no_upload(
    run: Running, server: ServerProcess, vault: Memory, tmp_path: Path
) -> None:
    with hub_client.login(server) as client:
        email = client.headers["x-test-email"]
        hub_client.project(client)
        await add(run, f"{server.url}{hub_client.PREFIX}", email, hub_client.PASSWORD, "hub")
        run.window.notices.dismiss()
        run.drop(album(tmp_path / "Cells", 2))
        asking = await dialog(run, ProjectDialog)
        await run.until(lambda: asking.list.count() == 1, "the projects")
        asking.reject()
        await run.until(lambda: run.window.notices.text != "", "what became of it")
        run.window.top.project.menu().aboutToShow.emit()
        await run.until(lambda: run.window.top.project.menu().actions()[0].text() == "Buňky", "the menu")
        run.window.top.project.menu().actions()[0].trigger()
        await run.until(lambda: run.window.top.project.text() == " Buňky ▾", "the choice")
    assert (run.window.batches.rowCount(), run.window.top.place) == (0, "hub, Buňky")
