"""The servers one can send to: the embedded one, and those a person has named, with their secrets."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from app.accounts.profiles import ServerProfile, new_profile
from app.accounts.secrets import Secrets
from app.domain.events import Link, ServerView
from app.domain.failure import Failure, FailureKind, TransferError
from app.engine.gates import Gate
from app.remote.base import Endpoint, RemoteServer
from app.remote.registry import connect
from app.server.host import EmbeddedServer, ServerStartError

EMBEDDED_ID = "embedded"
EMBEDDED_NAME = "This computer"


class Servers:
    """Profiles by id, and the embedded server's process."""

    def __init__(
        self,
        server_data_dir: Path,
        profiles: Sequence[ServerProfile],
        secrets: Secrets,
        gates: dict[str, Gate],
    ) -> None:
        self.embedded = EmbeddedServer(server_data_dir)
        self._gates = gates
        self._profiles = {profile.id: profile for profile in profiles}
        self._secrets = secrets
        self._embedded_url = ""

    def add(self, url: str, token: str | None, name: str | None = None) -> str:
        """Make a server known, with a token for this session; return its profile id. Raises ProfileError."""
        profile = new_profile(name or url, url, "uphaul")
        self._profiles[profile.id] = profile
        if token:
            self._secrets.use(profile.id, token)
        return profile.id

    async def connect(self, profile_id: str) -> RemoteServer:
        """Open a connection. Raises TransferError."""
        if profile_id == EMBEDDED_ID:
            return await connect("uphaul", await self._embedded_endpoint())
        profile = self._profiles.get(profile_id)
        if profile is None:
            raise TransferError(Failure(FailureKind.SIGN_IN, "this server is not known on this computer"))
        token = await self._secrets.get(profile_id)
        if token:
            self._secrets.use(profile_id, token)  # each worker connects: the keyring is asked once
        return await connect(profile.dialect, Endpoint(profile.url, token))

    async def warm(self) -> None:
        """Start the embedded server before somebody waits for it; if it cannot start, its first user is told."""
        with suppress(TransferError):
            await self._embedded_endpoint()

    async def check(self, profile_id: str) -> None:
        """Reach the server once, signed in. Raises TransferError with what is wrong."""
        server = await self.connect(profile_id)
        try:
            await server.look("00000000000000000000000000000000")
        finally:
            await server.aclose()

    def views(self) -> tuple[ServerView, ...]:
        """All servers as they stand now, the embedded one first."""
        embedded = ServerProfile(EMBEDDED_ID, EMBEDDED_NAME, self._embedded_url, "uphaul", "")
        return tuple(self._view(profile) for profile in (embedded, *self._profiles.values()))

    async def close(self) -> None:
        """End the embedded server's process."""
        await self.embedded.stop()

    async def _embedded_endpoint(self) -> Endpoint:
        try:
            where = await self.embedded.endpoint()
        except ServerStartError as error:
            raise TransferError(Failure(FailureKind.UNREACHABLE, str(error))) from error
        self._embedded_url = where.url
        return Endpoint(where.url, where.token)

    def _view(self, profile: ServerProfile) -> ServerView:
        gate = self._gates.get(profile.id, Gate())
        embedded = profile.id == EMBEDDED_ID
        link = Link.READY if embedded and gate.link is Link.UNKNOWN and self._embedded_url else gate.link
        return ServerView(profile.id, profile.name, profile.url, embedded, link, gate.until, gate.failure)
