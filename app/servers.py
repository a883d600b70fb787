"""The servers one can send to: the embedded one, and those a person has named, with their secrets."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from app.accounts.profiles import ServerProfile, new_profile
from app.accounts.secrets import Secrets
from app.domain.events import Link, ServerView
from app.domain.failure import Failure, FailureKind, TransferError
from app.engine.gates import Gate
from app.remote.account import Account, Endpoint, Line
from app.remote.base import RemoteServer
from app.remote.registry import UPHAUL, dialect
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
        self._lines: dict[str, tuple[Endpoint, Line]] = {}

    def add(self, url: str, token: str | None, name: str | None = None) -> str:
        """Make a server known, with a token for this session; return its profile id. Raises ProfileError."""
        profile = new_profile(name or url, url, UPHAUL)
        self._profiles[profile.id] = profile
        if token:
            self._secrets.use(profile.id, token)
        return profile.id

    async def connect(self, profile_id: str) -> RemoteServer:
        """Open a connection. Raises TransferError."""
        if profile_id == EMBEDDED_ID:
            return self._line(profile_id, UPHAUL, await self._embedded_endpoint()).connect()
        profile = self._profiles.get(profile_id)
        if profile is None:
            raise TransferError(Failure(FailureKind.SIGN_IN, "this server is not known on this computer"))
        token = await self._secrets.get(profile_id)
        if token:
            self._secrets.use(profile_id, token)  # each worker connects: the keyring is asked once
        return self._line(profile_id, profile.dialect, Endpoint(profile.url, token)).connect()

    async def warm(self) -> None:
        """Start the embedded server before somebody waits for it; if it cannot start, its first user is told."""
        with suppress(TransferError):
            await self._embedded_endpoint()

    async def check(self, profile_id: str) -> None:
        """Reach the server once, signed in. Raises TransferError with what is wrong."""
        server = await self.connect(profile_id)
        try:
            await server.greet()
        finally:
            await server.aclose()

    def views(self) -> tuple[ServerView, ...]:
        """All servers as they stand now, the embedded one first."""
        embedded = ServerProfile(EMBEDDED_ID, EMBEDDED_NAME, self._embedded_url, UPHAUL, "")
        return tuple(self._view(profile) for profile in (embedded, *self._profiles.values()))

    async def close(self) -> None:
        """Close what connections share, and end the embedded server's process."""
        for _, line in self._lines.values():
            await line.aclose()
        await self.embedded.stop()

    def _line(self, profile_id: str, name: str, endpoint: Endpoint) -> Line:
        """Return what the connections of one account share; made anew when the server moved or the secret changed."""
        before, line = self._lines.get(profile_id, (None, None))
        if line is None or before != endpoint:
            line = dialect(name).open(Account(endpoint))
            self._lines[profile_id] = (endpoint, line)
        return line

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
