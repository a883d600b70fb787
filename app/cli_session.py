"""One command's engine: the manager without a window, what it tells on the way, and the servers it may send to."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from app import settings
from app.accounts import profiles
from app.accounts.profiles import ProfileError, ServerProfile
from app.cli_output import Output, printable
from app.domain.batch import BatchView
from app.domain.events import EngineEvent, EngineNotice
from app.domain.failure import FailureKind, TransferError
from app.journal.journal import JournalError
from app.manager import UploadManager
from app.places import Places
from app.remote.registry import UPHAUL
from app.words import failure_text

EMBEDDED_ID = "embedded"
_EMBEDDED_NAMES = frozenset({EMBEDDED_ID, "this computer"})
_LOOK_EVERY_S = 0.1
_PASSWORD_VARIABLE, _TOKEN_VARIABLE = "UPHAUL_PASSWORD", "UPHAUL_TOKEN"
_WHENCE = (
    "A token comes from --token-stdin or UPHAUL_TOKEN, a password from --password-stdin or UPHAUL_PASSWORD."
)


class CliError(Exception):
    """The command cannot do what was asked: a stable code for JSON, and a sentence. Exit code 2."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Secret:
    """A token or password that this command was given; never in a repr."""

    text: str = field(repr=False)
    is_password: bool
    is_from_stdin: bool

    @property
    def what(self) -> str:
        """The word for it."""
        return "password" if self.is_password else "token"

    @property
    def variable(self) -> str:
        """The variable of the environment that it can come from."""
        return _PASSWORD_VARIABLE if self.is_password else _TOKEN_VARIABLE


def secret_in(env: Mapping[str, str]) -> Secret | None:
    """Return the secret that the environment holds; a password wins."""
    for variable, is_password in ((_PASSWORD_VARIABLE, True), (_TOKEN_VARIABLE, False)):
        if env.get(variable):
            return Secret(env[variable], is_password, is_from_stdin=False)
    return None


class Session:
    """The manager, the output, and the secrets that this command was given."""

    def __init__(
        self, manager: UploadManager, output: Output, env: Mapping[str, str], given: Secret | None
    ) -> None:
        self.manager = manager
        self.output = output
        self._given = given or secret_in(env)
        self._reached: set[str] = set()

    async def server(self, text: str | None) -> str:
        """Return the profile id of the server that *text* names; reach it once. Raises CliError.

        An address that is not known yet is looked at, and kept when it was reached.
        """
        if text is None or text.casefold() in _EMBEDDED_NAMES:
            if self._given is not None and self._given.is_from_stdin:
                raise CliError("usage", "A token or password belongs to a server: name it with --server.")
            return EMBEDDED_ID
        profile = await self.profile(text)
        await self._reach(profile, self._given)
        if not profile.id or (self._given is not None and self._given.is_from_stdin):
            profile = await self.save(profile)
        return profile.id

    async def save(self, profile: ServerProfile) -> ServerProfile:
        """Keep a server, and the secret in the system's keyring if it came from standard input; say where it went."""
        given = self._given if self._given is not None and self._given.is_from_stdin else None
        try:
            kept = await self.manager.save_server(profile, given.text if given else None, keep=True)
        except ProfileError as error:
            raise CliError("bad_address", str(error)) from None
        profile = await self.profile(profile.name)
        if given is not None and kept.in_keyring:
            self.output.say(f"The {given.what} is kept in the system's keyring.")
        elif given is not None:
            self.output.say(f"{kept.sentence} The next command needs it again, in {given.variable}.")
        elif self._given is not None:
            self.manager.use_secret(profile.id, self._given.text)
        return profile

    async def connect_again(self, batches: Sequence[BatchView]) -> dict[str, CliError]:
        """Reach the servers that *batches* of earlier runs go to; return what failed, by batch id."""
        problems: dict[str, CliError] = {}
        elsewhere = [b for b in batches if not self._is_embedded(b) and b.server not in self._reached]
        servers = {b.server for b in elsewhere}
        # A secret in the environment is for one server; it is not shown to others.
        given = self._given if len(servers) == 1 else None
        known = await self.manager.profiles()
        for server in servers:
            try:
                profile = profiles.find(known, server)
                if profile is None:
                    raise CliError(
                        "unknown_server", "The server of this batch is not known on this computer."
                    )
                await self._reach(profile, given)
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

    async def profile(self, text: str) -> ServerProfile:
        """Return the server of this name, or at this address; one that is not known yet has no id. Raises CliError."""
        known = await self.manager.profiles()
        found = profiles.find(known, text)
        if found is not None:
            return found
        if "://" not in text:
            names = ", ".join(printable(each.name) for each in known)
            told = f" Known servers: {names}." if names else ""
            raise CliError(
                "unknown_server",
                f"There is no server called “{printable(text)}”.{told} An address begins with http:// or https://.",
            )
        try:
            host = urlsplit(text).netloc
            name = text if profiles.find(known, host) else host
            new = profiles.new_profile(name, text, UPHAUL)
        except (ProfileError, ValueError) as error:
            raise CliError("bad_address", str(error)) from None
        return replace(new, id="")

    def _is_embedded(self, batch: BatchView) -> bool:
        return batch.server.casefold() in _EMBEDDED_NAMES

    async def _reach(self, profile: ServerProfile, given: Secret | None) -> None:
        try:
            await self.manager.test_server(profile, given.text if given else None)
        except TransferError as error:
            raise self.cannot(profile.name, error) from None
        except ProfileError as error:
            raise CliError("bad_address", str(error)) from None
        if given is not None and profile.id:
            self.manager.use_secret(profile.id, given.text)
        self._reached.add(profile.name)

    @staticmethod
    def cannot(name: str, error: TransferError) -> CliError:
        """What a server's failure is for the person at this terminal."""
        kind = error.failure.kind
        how = f" {_WHENCE}" if kind is FailureKind.SIGN_IN else ""
        return CliError(kind.value, f"{printable(name)}: {printable(failure_text(error.failure))}{how}")


@asynccontextmanager
async def open_session(
    output: Output, given: Secret | None = None, env: Mapping[str, str] = os.environ
) -> AsyncIterator[Session]:
    """Run the manager around one command. Unfinished work of earlier runs is left alone. Raises CliError.

    *given* is the secret that came on standard input, if one did.
    """

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
        yield Session(manager, output, env, given)
    finally:
        await manager.close()
