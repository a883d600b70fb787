"""One command's engine: the manager without a window, what it tells on the way, and the servers it may send to."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from app import settings
from app.accounts import profiles
from app.accounts.profiles import ProfileError, ServerProfile
from app.accounts.secrets import Secrets
from app.cli_output import Output, printable
from app.domain.batch import BatchView
from app.domain.events import EngineEvent, EngineNotice
from app.domain.failure import FailureKind, TransferError
from app.journal.journal import JournalError
from app.manager import UploadManager
from app.places import Places
from app.words import failure_text

EMBEDDED_ID = "embedded"
_EMBEDDED_NAMES = frozenset({EMBEDDED_ID, "this computer"})
_LOOK_EVERY_S = 0.1
_KEYRING_TIMEOUT_S = 20.0


class CliError(Exception):
    """The command cannot do what was asked: a stable code for JSON, and a sentence. Exit code 2."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class Session:
    """The manager, the output, and the profiles of this installation."""

    def __init__(
        self, manager: UploadManager, output: Output, places: Places, env: Mapping[str, str]
    ) -> None:
        self.manager = manager
        self.output = output
        self._env = env
        self._path = profiles.profiles_path(places.config_dir)
        self._reached: set[str] = set()
        self._secrets = Secrets(timeout_s=_KEYRING_TIMEOUT_S)
        self.profiles, problems = profiles.load(self._path)
        for problem in problems:
            output.say(problem)

    async def server(self, text: str | None, token: str | None) -> str:
        """Return the profile id of the server that *text* names; reach it once. Raises CliError."""
        if text is None or text.casefold() in _EMBEDDED_NAMES:
            if token is not None:
                raise CliError("usage", "A token belongs to a server: name it with --server.")
            return EMBEDDED_ID
        profile = self._profile(text)
        given = token or self._env.get("UPHAUL_TOKEN") or None
        profile_id = await self._connect(profile, given or await self._secrets.get(profile.id))
        self._remember(profile)
        if token is not None:
            kept = await self._secrets.put(profile.id, token)
            needed_again = f"{kept.sentence} `uphaul resume` needs it again, in UPHAUL_TOKEN."
            self.output.say("The token is kept in the system's keyring." if kept.in_keyring else needed_again)
        return profile_id

    async def connect_again(self, batches: Sequence[BatchView]) -> dict[str, CliError]:
        """Connect the servers that *batches* of earlier runs go to; return what failed, by batch id."""
        problems: dict[str, CliError] = {}
        known = {profile.id: profile for profile in self.profiles}
        elsewhere = [b for b in batches if not self._is_embedded(b) and b.server not in self._reached]
        servers = {b.server for b in elsewhere}
        # A token in the environment is for one server; it is not shown to others.
        given = self._env.get("UPHAUL_TOKEN") if len(servers) == 1 else None
        for server in servers:
            try:
                if server not in known:
                    raise CliError(
                        "unknown_server", "The server of this batch is not known on this computer."
                    )
                await self._connect(known[server], given or await self._secrets.get(server))
            except CliError as error:
                problems |= {b.id: error for b in elsewhere if b.server == server}
        return problems

    async def wait(self, batch_ids: Sequence[str]) -> list[BatchView]:
        """Show progress until these batches are over or need a person; return them as they are then."""
        idle = asyncio.ensure_future(self.manager.wait_idle(batch_ids))
        try:
            while not idle.done():
                self.output.progress(await self.views(batch_ids), time.time())
                await asyncio.wait({idle}, timeout=_LOOK_EVERY_S)
            await idle
        finally:
            idle.cancel()
        return await self.views(batch_ids)

    async def views(self, batch_ids: Sequence[str]) -> list[BatchView]:
        """Return these batches as they are now; the speeds are measured when a frame is taken."""
        self.manager.drain(None)
        wanted = set(batch_ids)
        return [batch for batch in await self.manager.batches() if batch.id in wanted]

    def _is_embedded(self, batch: BatchView) -> bool:
        # Before a server is connected, the manager names its batches by the profile's id.
        return batch.server.casefold() in _EMBEDDED_NAMES

    def _profile(self, text: str) -> ServerProfile:
        found = profiles.find(self.profiles, text)
        if found is not None:
            return replace(found, id=profiles.id_of(found.url))
        if "://" not in text:
            names = ", ".join(printable(each.name) for each in self.profiles)
            known = f" Known servers: {names}." if names else ""
            raise CliError(
                "unknown_server",
                f"There is no server called “{printable(text)}”.{known} An address begins with http:// or https://.",
            )
        try:
            return profiles.new_profile(urlsplit(text).netloc, text, "uphaul")
        except (ProfileError, ValueError) as error:
            raise CliError("bad_address", str(error)) from None

    async def _connect(self, profile: ServerProfile, token: str | None) -> str:
        try:
            profile_id = await self.manager.connect_server(profile.url, token, profile.name)
        except TransferError as error:
            kind = error.failure.kind
            how = " A token comes from --token-stdin or UPHAUL_TOKEN." if kind is FailureKind.SIGN_IN else ""
            sentence = f"{printable(profile.name)}: {printable(failure_text(error.failure))}{how}"
            raise CliError(kind.value, sentence) from None
        self._reached.add(profile.name)
        return profile_id

    def _remember(self, profile: ServerProfile) -> None:
        """Keep the server's address (never its token), so that `uphaul resume` finds it."""
        if any(each.url == profile.url for each in self.profiles):
            return
        try:
            profiles.save(self._path, [*self.profiles, profile])
        except ProfileError as error:
            self.output.say(str(error))


@asynccontextmanager
async def open_session(output: Output, env: Mapping[str, str] = os.environ) -> AsyncIterator[Session]:
    """Run the manager around one command. Unfinished work of earlier runs is left alone. Raises CliError."""

    def on_event(event: EngineEvent) -> None:
        if isinstance(event, EngineNotice):
            output.say(event.text)

    places = Places.from_environment(env)
    chosen, problems = settings.load(places.settings_path)
    for problem in problems:
        output.say(problem)
    # Nobody presses Undo here: a cancel is sent at once.
    manager = UploadManager(places, replace(chosen, undo_cancel_s=0), on_event=on_event)
    try:
        await manager.start(adopt=False)
    except JournalError as error:
        raise CliError("journal", str(error)) from None
    try:
        yield Session(manager, output, places, env)
    finally:
        await manager.close()
