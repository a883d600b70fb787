"""The servers' half of the facade, with real servers on loopback, a keyring, and files on disk."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from keyring.backends import fail

from app.accounts.profiles import ProfileError, ServerProfile
from app.accounts.secrets import Kept, Secrets
from app.domain.events import EngineEvent, EngineNotice, Link, ServerView
from app.domain.failure import FailureKind, TransferError
from app.domain.state import BatchState
from app.manager import UploadManager
from app.places import Places
from app.settings import Settings
from tests.support.clock import until
from tests.support.engine_house import make_files
from tests.support.keyring_in_memory import Memory
from tests.support.server import ServerProcess

B = BatchState


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("remote")) as server:
        yield server


class House:
    """A manager that only ever meets servers elsewhere, and its keyring."""

    def __init__(self, uploads: UploadManager, events: list[EngineEvent]) -> None:
        self.uploads = uploads
        self.events = events

    async def saved(self, url: str, secret: str | None, *, keep: bool = True) -> ServerProfile:
        await self.uploads.save_server(ServerProfile("", "Lab", url, "uphaul"), secret, keep)
        return next(each for each in await self.uploads.profiles() if each.name == "Lab")

    def view(self, profile_id: str) -> ServerView:
        return next(each for each in self.uploads.drain(None).servers if each.profile_id == profile_id)

    async def state(self, batch_id: str) -> BatchState:
        return next(view.state for view in await self.uploads.batches() if view.id == batch_id)

    def notices(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, EngineNotice)]


@asynccontextmanager
async def manager(home: Path, keyring: Memory | fail.Keyring | None = None) -> AsyncIterator[House]:
    backend = keyring or Memory()
    events: list[EngineEvent] = []
    made = UploadManager(
        Places(home, home), Settings(), on_event=events.append, secrets=Secrets(lambda: backend)
    )
    await made.start(adopt=False)
    try:
        yield House(made, events)
    finally:
        await made.close()


def files_at(server: ServerProcess, batch_name: str) -> set[str]:
    return {path.name for path in (server.files_dir / batch_name).rglob("*") if path.is_file()}


async def test_a_server_that_was_added_is_there_at_the_next_start_and_takes_files(
    tmp_path: Path, server: ServerProcess
) -> None:
    make_files(tmp_path / "Photos", [100, 200])
    keyring = Memory()
    async with manager(tmp_path / "home", keyring) as house:
        profile = await house.saved(server.url, server.token)
    async with manager(tmp_path / "home", keyring) as house:
        batch = await house.uploads.add([str(tmp_path / "Photos")], profile.id, tmp_path.name)
        await house.uploads.wait_idle([batch])
        await until(lambda: house.view(profile.id).link is Link.READY)
        view = house.view(profile.id)
        assert (
            await house.state(batch),
            files_at(server, tmp_path.name),
            view.secret_in_keyring,
            view.title,
        ) == (
            B.COMPLETED,
            {"f0", "f1"},
            True,
            "Uphaul",
        )


async def test_no_secret_reaches_the_disk(tmp_path: Path, server: ServerProcess) -> None:
    home = tmp_path / "home"
    async with manager(home) as house:
        profile = await house.saved(server.url, server.token)
        with_proxy = replace(profile, proxy="http://ada:pr0xy-pw@proxy:3128")
        await house.uploads.save_server(with_proxy, None, True)
        (kept,) = await house.uploads.profiles()
    on_disk = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert (kept.proxy, server.token.encode() in on_disk, b"pr0xy-pw" in on_disk) == (
        "http://ada@proxy:3128",
        False,
        False,
    )


async def test_without_a_keyring_the_secret_is_of_this_session_and_that_is_said(
    tmp_path: Path, server: ServerProcess
) -> None:
    async with manager(tmp_path / "home", fail.Keyring()) as house:
        kept = await house.uploads.save_server(
            ServerProfile("", "Lab", server.url, "uphaul"), server.token, keep=True
        )
        (profile,) = await house.uploads.profiles()
        assert (kept, house.view(profile.id).secret_in_keyring) == (
            Kept(False, "This system has no keyring. The sign-in is kept until Uphaul is closed."),
            False,
        )


async def test_a_test_says_what_the_server_can_do_or_what_is_wrong(
    tmp_path: Path, server: ServerProcess
) -> None:
    async with manager(tmp_path / "home") as house:
        profile = ServerProfile("", "Lab", server.url, "uphaul")
        abilities = await house.uploads.test_server(profile, server.token)
        wrong = []
        for bad, secret in (
            (profile, "wrong"),
            (replace(profile, url="http://127.0.0.1:9"), None),
            (replace(profile, ca_file="/not/there.pem", url="https://127.0.0.1:9"), None),
            (replace(profile, dialect="gopher"), None),
        ):
            with pytest.raises(TransferError) as caught:
                await house.uploads.test_server(bad, secret)
            wrong.append(caught.value.failure.kind)
        assert (abilities.resume, abilities.cancel_batch, wrong, await house.uploads.profiles()) == (
            True,
            True,
            [
                FailureKind.SIGN_IN,
                FailureKind.UNREACHABLE,
                FailureKind.TLS,
                FailureKind.NOT_A_SERVER,
            ],
            (),
        )


async def test_a_wrong_token_keeps_the_queue_waiting_until_a_person_signs_in_again(
    tmp_path: Path, server: ServerProcess
) -> None:
    make_files(tmp_path / "Photos", [100, 200, 300])
    async with manager(tmp_path / "home") as house:
        profile = await house.saved(server.url, "an-old-token")
        batch = await house.uploads.add([str(tmp_path / "Photos")], profile.id, tmp_path.name)
        await until(lambda: house.view(profile.id).link is Link.SIGN_IN)
        waiting = await house.state(batch)
        kept = await house.uploads.sign_in_again(profile.id, server.token, keep=True)
        await house.uploads.wait_idle([batch])
        assert (waiting, kept, await house.state(batch), files_at(server, tmp_path.name)) == (
            B.WAITING,
            Kept(True),
            B.COMPLETED,
            {"f0", "f1", "f2"},
        )


async def test_a_server_that_moved_is_found_at_its_new_address_by_the_batches_that_wait(
    tmp_path: Path, server: ServerProcess
) -> None:
    make_files(tmp_path / "Photos", [100])
    async with manager(tmp_path / "home") as house:
        profile = await house.saved("http://127.0.0.1:9", server.token)
        batch = await house.uploads.add([str(tmp_path / "Photos")], profile.id, tmp_path.name)
        await until(lambda: house.view(profile.id).link is Link.WAITING)
        await house.uploads.save_server(replace(profile, url=server.url), None, True)
        await house.uploads.wait_idle([batch])
        assert (await house.state(batch), files_at(server, tmp_path.name)) == (B.COMPLETED, {"f0"})


async def test_the_batches_of_a_removed_server_wait_for_it_to_be_added_again(
    tmp_path: Path, server: ServerProcess
) -> None:
    make_files(tmp_path / "Photos", [100])
    async with manager(tmp_path / "home") as house:
        profile = await house.saved(server.url, "an-old-token")
        batch = await house.uploads.add([str(tmp_path / "Photos")], profile.id, tmp_path.name)
        await house.uploads.wait_idle([batch])
        await house.uploads.remove_server(profile.id)
        (view,) = await house.uploads.batches()
        waiting = (view.state, view.server, await house.uploads.profiles())
        await house.saved(server.url, server.token)
        await house.uploads.wait_idle([batch])
        assert (waiting, house.notices(), await house.state(batch)) == (
            (B.WAITING, "A removed server", ()),
            ["1 unfinished batch for Lab stays and waits. Add the same server again to go on, or cancel."],
            B.COMPLETED,
        )


async def test_two_programs_add_servers_and_both_keep_both(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with manager(home) as one, manager(home) as other:
        await one.uploads.save_server(ServerProfile("", "One", "http://one", "uphaul"), None, True)
        await other.uploads.save_server(ServerProfile("", "Other", "http://other", "tus"), None, True)
        await until(lambda: len(one.uploads.drain(None).servers) == 3)
        seen = [[each.name for each in await house.uploads.profiles()] for house in (one, other)]
        assert seen == [["One", "Other"], ["One", "Other"]]


async def test_what_no_server_can_be_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    async with manager(tmp_path / "home") as house:
        await house.saved("http://lab.example", None)
        for wrong in (
            ServerProfile("", "Lab", "http://elsewhere.example", "uphaul"),
            ServerProfile("", "New", "ftp://lab.example", "uphaul"),
        ):
            with pytest.raises(ProfileError):
                await house.uploads.save_server(wrong, "t", True)
        assert [each.url for each in await house.uploads.profiles()] == ["http://lab.example"]


async def test_a_server_without_projects_or_a_list_says_so(tmp_path: Path, server: ServerProcess) -> None:
    async with manager(tmp_path / "home") as house:
        await house.uploads.save_server(
            ServerProfile("", "Lab", f"{server.url}/files", "tus"), server.token, True
        )
        (profile,) = await house.uploads.profiles()
        with pytest.raises(TransferError) as caught:
            await house.uploads.create_target(profile.id, "New")
        assert (
            await house.uploads.targets(profile.id),
            await house.uploads.server_batches(profile.id),
            caught.value.failure.kind,
        ) == ((), (), FailureKind.REFUSED)


async def test_what_answers_at_an_address_is_told(tmp_path: Path, server: ServerProcess) -> None:
    async with manager(tmp_path / "home") as house:
        found = await house.uploads.detect(f"{server.url}/docs")
        assert (found.dialect, found.url, found.sentence) == (
            "uphaul",
            server.url,
            "Uphaul answers there. It wants a token.",
        )
