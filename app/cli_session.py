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
from app.remote.base import Abilities, Target
from app.remote.registry import DIALECTS, SignsIn
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
    """The manager, the output, and the secret that this command was given."""

    def __init__(
        self, manager: UploadManager, output: Output, env: Mapping[str, str], given: Secret | None
    ) -> None:
        self.manager = manager
        self.output = output
        self.given = given or secret_in(env)
        self._reached: set[str] = set()
        self._has_told = False

    async def server(self, text: str | None) -> str:
        """Return the profile id of the server that *text* names; reach it once. Raises CliError.

        What answers at an address that is not known yet is found out, and kept when it was reached.
        """
        if text is None or text.casefold() in _EMBEDDED_NAMES:
            if self.given is not None and self.given.is_from_stdin:
                raise CliError("usage", "A token or password belongs to a server: name it with --server.")
            return EMBEDDED_ID
        profile = await self.profile(text)
        if not profile.id:
            profile = await self.detected(profile)
        await self.reach(profile)
        if not profile.id or (self.given is not None and self.given.is_from_stdin):
            profile = await self.save(profile)
        return profile.id

    async def target(self, profile_id: str, text: str | None, *, new: str | None = None) -> Target | None:
        """Return the project *text* (its name or id) or a *new* one, None for the one chosen last. Raises CliError.

        Where a project is needed and none is chosen, or there is none of this name, the sentence lists them.
        """
        profile = await self._profile_of(profile_id)
        kind = DIALECTS.get(profile.dialect) if profile else None
        if profile is None or kind is None or not kind.targets:
            if text is not None or new is not None:
                raise CliError("usage", "This server has no projects.")
            return None
        if text is None and new is None and profile.target:
            return None
        async with turned(profile.name):
            found = (
                [await self.manager.create_target(profile_id, new)]
                if new
                else await self.manager.targets(profile_id)
            )
            for each in found:
                if new is not None or text in (each.id, each.name):
                    await self.manager.choose_target(profile_id, each)
                    return each
        names = ", ".join(printable(each.name) for each in found) or "none yet"
        asked = f"There is no project “{printable(text)}”" if text else "Name a project with --project"
        raise CliError("unknown_project", f"{printable(profile.name)}: {asked}. Projects there: {names}.")

    async def save(self, profile: ServerProfile) -> ServerProfile:
        """Keep a server, and the secret in the system's keyring if it came from standard input; say where it went."""
        given = self.given if self.given is not None and self.given.is_from_stdin else None
        async with turned(profile.name):
            kept = await self.manager.save_server(profile, given.text if given else None, keep=True)
        profile = await self.known(profile.name)
        if given is not None and kept.in_keyring:
            self.output.say(f"The {given.what} is kept in the system's keyring.")
        elif given is not None:
            self.output.say(f"{kept.sentence} The next command needs it again, in {given.variable}.")
        elif (secret := self.secret_for(profile)) is not None:
            self.manager.use_secret(profile.id, secret.text)
        return profile

    async def detected(self, profile: ServerProfile) -> ServerProfile:
        """Return *profile* with what answers at its address. Raises CliError."""
        async with turned(profile.name):
            found = await self.manager.detect(profile.url, profile)
        self.output.say(found.sentence)
        return replace(profile, dialect=found.dialect, url=found.url)

    def secret_for(self, profile: ServerProfile) -> Secret | None:
        """Return the secret that was given, unless it is one of the environment's that this server has no use for.

        A server that takes files of nobody has none for a password without a user, or where it wants a token.
        """
        kind, given = DIALECTS.get(profile.dialect), self.given
        if given is None or given.is_from_stdin or kind is None or not kind.may_be_anonymous:
            return given
        is_of_use = bool(profile.user) if kind.signs_in is SignsIn.PASSWORD else not given.is_password
        return given if is_of_use else None

    async def reach(self, profile: ServerProfile) -> Abilities:
        """Reach a server with the secret that was given, or the one that is kept; it is used from now on. Raises CliError."""
        given = self.secret_for(profile)
        if self.given is not None and not self.given.is_from_stdin and not self._has_told:
            self.output.say(
                f"The {given.what} is taken from {given.variable}." if given else _unused(self.given, profile)
            )
            self._has_told = True
        return await self._reach(profile, given)

    async def connect_again(self, batches: Sequence[BatchView]) -> dict[str, CliError]:
        """Reach the servers that *batches* of earlier runs go to; return what failed, by batch id."""
        problems: dict[str, CliError] = {}
        elsewhere = [b for b in batches if not self._is_embedded(b) and b.server not in self._reached]
        servers = {b.server for b in elsewhere}
        # A secret in the environment is for one server; it is not shown to others.
        is_for_one = len(servers) == 1
        known = await self.manager.profiles()
        for server in servers:
            try:
                profile = profiles.find(known, server)
                if profile is None:
                    raise CliError(
                        "unknown_server", "The server of this batch is not known on this computer."
                    )
                await self._reach(profile, self.secret_for(profile) if is_for_one else None)
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
            new = profiles.new_profile(name, text, "")
        except (ProfileError, ValueError) as error:
            raise CliError("bad_address", str(error)) from None
        return replace(new, id="")

    def _is_embedded(self, batch: BatchView) -> bool:
        return batch.server.casefold() in _EMBEDDED_NAMES

    async def known(self, text: str) -> ServerProfile:
        """Return the server of this name, address or id. Raises CliError."""
        profile = await self.profile(text)
        if not profile.id:
            raise CliError("unknown_server", f"There is no server at “{printable(text)}”: add it first.")
        return profile

    async def _profile_of(self, profile_id: str) -> ServerProfile | None:
        return next((each for each in await self.manager.profiles() if each.id == profile_id), None)

    async def _reach(self, profile: ServerProfile, given: Secret | None) -> Abilities:
        async with turned(profile.name):
            abilities = await self.manager.test_server(profile, given.text if given else None)
        if given is not None and profile.id:
            self.manager.use_secret(profile.id, given.text)
        self._reached.add(profile.name)
        return abilities


def _unused(given: Secret, profile: ServerProfile) -> str:
    kind = DIALECTS[profile.dialect]
    why = f"{kind.title} wants a token" if kind.signs_in is SignsIn.TOKEN else "no user name is given with it"
    return f"{given.variable} is not used: {why}. Files go to {printable(profile.name)} as nobody's."


@asynccontextmanager
async def turned(name: str) -> AsyncIterator[None]:
    """Turn what a server or a profile does wrong into a CliError."""
    try:
        yield
    except TransferError as error:
        kind = error.failure.kind
        how = f" {_WHENCE}" if kind is FailureKind.SIGN_IN else ""
        sentence = f"{printable(name)}: {printable(failure_text(error.failure))}{how}"
        raise CliError(kind.value, sentence) from None
    except ProfileError as error:
        raise CliError("bad_address", str(error)) from None


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
