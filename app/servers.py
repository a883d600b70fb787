"""The servers one can send to: the embedded one, and those a person has added, with their secrets and their lines."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from app.accounts import profiles
from app.accounts.notes import FileNotes
from app.accounts.profiles import ServerProfile
from app.accounts.secrets import Kept, Secrets
from app.domain.events import Link, ServerView
from app.domain.failure import Failure, FailureKind, TransferError
from app.engine.gates import Gate
from app.lines import Lines
from app.places import Places
from app.remote.account import Account, Endpoint, Line, Way
from app.remote.base import Abilities, ParcelLimits, RemoteServer
from app.remote.registry import DIALECTS, UPHAUL, SignsIn, dialect
from app.server.host import EmbeddedServer, ServerStartError

EMBEDDED_ID = "embedded"
EMBEDDED_NAME = "This computer"
_EMBEDDED = ServerProfile(EMBEDDED_ID, EMBEDDED_NAME, "", UPHAUL)


class Servers:
    """Profiles by id, as they are in their file, and the embedded server's process."""

    def __init__(self, places: Places, secrets: Secrets, gates: dict[str, Gate]) -> None:
        self.embedded = EmbeddedServer(places.server_data_dir)
        self._path = profiles.profiles_path(places.config_dir)
        self._notes_dir = places.data_dir / "accounts"
        self._secrets = secrets
        self._gates = gates
        self._embedded_url = ""
        self._lines = Lines(self._open_line)
        self._read_at = self._written_at()
        found, self.problems = profiles.load(self._path)
        self._profiles = {profile.id: profile for profile in found}

    # -- who there is -------------------------------------------------------------------------------------------

    def profiles(self) -> tuple[ServerProfile, ...]:
        """All servers that a person has added, as they are now."""
        return tuple(self._profiles.values())

    def profile(self, profile_id: str) -> ServerProfile:
        """Return a profile, the embedded server's too. Raises TransferError."""
        found = _EMBEDDED if profile_id == EMBEDDED_ID else self._profiles.get(profile_id)
        if found is None:
            raise TransferError(Failure(FailureKind.SIGN_IN, "this server is not known on this computer"))
        return found

    def put(self, profile: ServerProfile) -> ServerProfile:
        """Add a profile or change the one with its id, on disk; return it as it is kept.

        One without an id gets it now. Raises ProfileError, or TransferError for a dialect that nobody speaks.
        """
        dialect(profile.dialect)
        self.follow()
        kept, everyone = profiles.with_profile(self._profiles.values(), profile)
        self._save(everyone)
        return kept

    def remove(self, profile_id: str) -> None:
        """Take a profile out of the file. Raises ProfileError."""
        self.follow()
        self._save([each for each in self._profiles.values() if each.id != profile_id])

    def follow(self) -> None:
        """Take up what another program did to the file."""
        written_at = self._written_at()
        if written_at != self._read_at:
            self._read_at = written_at
            self._profiles = {profile.id: profile for profile in profiles.load(self._path)[0]}

    def views(self) -> tuple[ServerView, ...]:
        """All servers as they stand now, the embedded one first."""
        embedded = replace(_EMBEDDED, url=self._embedded_url)
        return tuple(self._view(profile) for profile in (embedded, *self._profiles.values()))

    # -- how they are reached -------------------------------------------------------------------------------------

    async def connect(self, profile_id: str) -> RemoteServer:
        """Open a connection, which goes back to :meth:`disconnect`. Raises TransferError."""
        profile = self.profile(profile_id)
        endpoint = (
            await self._embedded_endpoint() if profile_id == EMBEDDED_ID else await self._endpoint(profile)
        )
        return await self._lines.connect(profile_id, profile.dialect, endpoint)

    async def disconnect(self, server: RemoteServer) -> None:
        """Close a connection."""
        await self._lines.disconnect(server)

    async def drop(self, profile_id: str) -> None:
        """Its profile or secret has changed: new connections are of a new line."""
        await self._lines.drop(profile_id)

    async def greet(self, profile: ServerProfile, secret: str | None) -> Abilities:
        """Reach a server once, signed in, saved or not. Without *secret* it is the one that is kept.

        Raises ProfileError, or TransferError with what is wrong.
        """
        proxy, password = profiles.without_password(profile.proxy)
        profile = profiles.checked(replace(profile, proxy=proxy))
        endpoint = await self._endpoint(profile, secret, password)
        line = dialect(profile.dialect).open(Account(endpoint))
        try:
            server = line.connect()
            try:
                return await server.greet()
            finally:
                await server.aclose()
        finally:
            await line.aclose()

    def parcel_limits(self, profile_id: str) -> ParcelLimits | None:
        """Return how much goes in one request there; None where each file has its own."""
        profile = _EMBEDDED if profile_id == EMBEDDED_ID else self._profiles.get(profile_id)
        usual = DIALECTS[profile.dialect].parcel if profile and profile.dialect in DIALECTS else None
        if profile is None or usual is None:
            return None
        return ParcelLimits(profile.parcel_files or usual.max_files, profile.parcel_bytes or usual.max_bytes)

    def chosen_target(self, profile_id: str) -> str | None:
        """Return the id of the project that was chosen last for this server, or None."""
        profile = self._profiles.get(profile_id)
        return (profile.target or None) if profile else None

    async def warm(self) -> None:
        """Start the embedded server before somebody waits for it; if it cannot start, its first user is told."""
        with suppress(TransferError):
            await self._embedded_endpoint()

    async def close(self) -> None:
        """Close what connections share, and end the embedded server's process."""
        await self._lines.aclose()
        await self.embedded.stop()

    # -- secrets --------------------------------------------------------------------------------------------------

    async def keyring_trouble(self) -> str:
        """Return why the system's keyring is of no use, "" if it works."""
        return await self._secrets.trouble()

    async def keep(self, profile_id: str, secret: str, *, in_keyring: bool) -> Kept:
        """Keep a secret in the system's keyring, or for this session alone."""
        if in_keyring:
            return await self._secrets.put(profile_id, secret)
        await self._secrets.forget(profile_id)
        self._secrets.use(profile_id, secret)
        return Kept(False)

    def use_secret(self, profile_id: str, secret: str) -> None:
        """Use a secret in this session; what the keyring has stays there."""
        self._secrets.use(profile_id, secret)

    async def keep_proxy_password(self, profile_id: str, password: str) -> Kept:
        """Keep the password of a server's proxy in the system's keyring."""
        return await self._secrets.put(_proxy_key(profile_id), password)

    async def forget(self, profile_id: str) -> None:
        """Forget the secrets of a server."""
        await self._secrets.forget(profile_id)
        await self._secrets.forget(_proxy_key(profile_id))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _open_line(self, profile_id: str, name: str, endpoint: Endpoint) -> Line:
        return dialect(name).open(Account(endpoint, FileNotes(self._notes_dir / f"{profile_id}.json")))

    async def _endpoint(
        self, profile: ServerProfile, secret: str | None = None, proxy_password: str = ""
    ) -> Endpoint:
        secret = secret or (await self._secrets.get(profile.id) if profile.id else None)
        if not proxy_password and "@" in profile.proxy and profile.id:
            proxy_password = await self._secrets.get(_proxy_key(profile.id)) or ""
        is_password = _signs_in_by_password(profile)
        return Endpoint(
            profile.url,
            None if is_password else secret,
            profile.user,
            secret if is_password else None,
            way_of(profile, proxy_password),
            self.parcel_limits(profile.id) if profile.parcel_files or profile.parcel_bytes else None,
        )

    async def _embedded_endpoint(self) -> Endpoint:
        try:
            where = await self.embedded.endpoint()
        except ServerStartError as error:
            raise TransferError(Failure(FailureKind.UNREACHABLE, str(error))) from error
        self._embedded_url = where.url
        return Endpoint(where.url, where.token)

    def _save(self, changed: Iterable[ServerProfile]) -> None:
        kept = list(changed)
        profiles.save(self._path, kept)
        self._read_at = self._written_at()
        self._profiles = {profile.id: profile for profile in kept}

    def _written_at(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0

    def _view(self, profile: ServerProfile) -> ServerView:
        gate = self._gates.get(profile.id, Gate())
        embedded = profile.id == EMBEDDED_ID
        link = Link.READY if embedded and gate.link is Link.UNKNOWN and self._embedded_url else gate.link
        kind = DIALECTS.get(profile.dialect)
        return ServerView(
            profile.id,
            profile.name,
            profile.url,
            embedded,
            link,
            gate.until,
            gate.failure,
            dialect=profile.dialect,
            title=kind.title if kind else profile.dialect,
            user=profile.user,
            needs_target=kind is not None and kind.targets,
            target=profile.target,
            target_name=profile.target_name,
            lists_batches=kind is not None and kind.lists_batches,
            secret_in_keyring=self._secrets.is_in_keyring(profile.id),
        )


def way_of(profile: ServerProfile, proxy_password: str = "") -> Way:
    """Return how a profile's server is reached."""
    return Way(
        profile.ca_file, profile.client_cert_file, profile.client_key_file, profile.proxy, proxy_password
    )


def _signs_in_by_password(profile: ServerProfile) -> bool:
    how = dialect(profile.dialect).signs_in
    return how is SignsIn.PASSWORD or (how is SignsIn.PASSWORD_OR_TOKEN and bool(profile.user))


def _proxy_key(profile_id: str) -> str:
    return f"{profile_id}.proxy"
