"""What a person asks of servers, not of batches: the half of the manager's facade that adds, tests and looks at them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from app.accounts.profiles import ServerProfile, checked_proxy, without_password
from app.accounts.secrets import Kept
from app.domain.events import EngineEvent, EngineNotice
from app.domain.failure import Failure, FailureKind, TransferError
from app.engine.book import Book
from app.engine.clock import Clock
from app.engine.connections import Connections
from app.engine.engine import Engine
from app.engine.progress import ProgressLedger
from app.remote.account import DIRECT_WAY, Way
from app.remote.base import (
    Abilities,
    CancelAnswer,
    CancelServer,
    ListServer,
    RemoteBatchRow,
    StageServer,
    Target,
    TargetServer,
)
from app.remote.detect import Detected, detect
from app.servers import Servers, way_of
from app.words import count_text


class ServerDesk:
    """The servers' half of UploadManager, which sets these. Every method runs in the engine's event loop."""

    _servers: Servers
    _connections: Connections
    _engine: Engine
    _ledger: ProgressLedger
    _book: Book
    _clock: Clock
    _emit: Callable[[EngineEvent], None]

    # -- adding and changing --------------------------------------------------------------------------------------

    async def profiles(self) -> Sequence[ServerProfile]:
        """Return the servers that a person has added."""
        return self._servers.profiles()

    async def detect(self, url: str, way: ServerProfile | Way | None = None) -> Detected:
        """Look at what answers at the address that a person pasted; no secret goes out. Raises TransferError, ProfileError.

        Of a profile that is only half filled in, the CA file, the client certificate and the proxy are used.
        """
        if isinstance(way, ServerProfile):
            proxy, password = without_password(way.proxy)
            way = way_of(replace(way, proxy=checked_proxy(proxy)), password)
        return await detect(url, way or DIRECT_WAY)

    async def keyring_trouble(self) -> str:
        """Return why no secret can be kept in the system's keyring, in a sentence; "" if it works."""
        return await self._servers.keyring_trouble()

    async def test_server(self, profile: ServerProfile, secret: str | None = None) -> Abilities:
        """Reach a server once, signed in, saved or not; return what it can do. Nothing stays there.

        Without *secret* the one that is kept is used. Raises TransferError with what is wrong, or ProfileError.
        """
        return await self._servers.greet(profile, secret)

    async def save_server(self, profile: ServerProfile, secret: str | None, keep: bool) -> Kept:
        """Add a server, or change the one with the profile's id; it gets an id if it has none.

        *secret* None leaves it as it is; with *keep* it goes into the system's keyring, else it is for this session
        alone. Return where it went. What waits for this server tries again. Raises ProfileError.
        """
        proxy, password = without_password(profile.proxy)
        saved = self._servers.put(replace(profile, proxy=proxy))
        kept = Kept(True) if secret is None else await self._servers.keep(saved.id, secret, in_keyring=keep)
        if password:
            kept = _worse(kept, await self._servers.keep_proxy_password(saved.id, password))
        await self._begin_anew(saved.id)
        return kept

    async def remove_server(self, profile_id: str) -> None:
        """Forget a server and its secrets. Raises ProfileError.

        Its unfinished batches stay and wait; an EngineNotice says so. They go on when the same account is added again.
        """
        name = next((each.name for each in self._servers.profiles() if each.id == profile_id), None)
        self._servers.remove(profile_id)
        await self._servers.forget(profile_id)
        await self._connections.forget(profile_id)
        await self._servers.drop(profile_id)
        self._show_servers()
        waiting = sum(
            batch.profile_id == profile_id and batch.counts.unfinished > 0
            for batch in self._book.batches.values()
        )
        if name and waiting:
            stay = "stays and waits" if waiting == 1 else "stay and wait"
            self._emit(
                EngineNotice(
                    f"{count_text(waiting, 'unfinished batch', 'unfinished batches')} for {name} {stay}. "
                    "Add the same server again to go on, or cancel."
                )
            )

    async def sign_in_again(self, profile_id: str, secret: str, keep: bool) -> Kept:
        """Take another secret for a server; what waits for it goes on. Raises TransferError if it is not known."""
        self._servers.profile(profile_id)
        kept = await self._servers.keep(profile_id, secret, in_keyring=keep)
        await self._begin_anew(profile_id)
        return kept

    def use_secret(self, profile_id: str, secret: str) -> None:
        """Use a secret in this session; the keyring is not touched."""
        self._servers.use_secret(profile_id, secret)

    # -- projects -------------------------------------------------------------------------------------------------

    async def targets(self, profile_id: str) -> Sequence[Target]:
        """Return the projects that batches can go into; none where the server has no such thing. Raises TransferError."""
        async with self._connections.borrow(profile_id) as server:
            return await server.targets() if isinstance(server, TargetServer) else ()

    async def create_target(self, profile_id: str, name: str) -> Target:
        """Make a project at the server. Raises TransferError."""
        async with self._connections.borrow(profile_id) as server:
            if not isinstance(server, TargetServer):
                raise TransferError(Failure(FailureKind.REFUSED, "this server has no projects"))
            return await server.create_target(name)

    async def choose_target(self, profile_id: str, target: Target | None) -> None:
        """Remember the project that batches to this server go into from now on. Raises TransferError, ProfileError."""
        profile = self._servers.profile(profile_id)
        chosen = target or Target("", "")
        self._servers.put(replace(profile, target=chosen.id, target_name=chosen.name))
        self._show_servers()

    # -- the server's own batches ---------------------------------------------------------------------------------

    async def server_batches(self, profile_id: str) -> Sequence[RemoteBatchRow]:
        """Return the account's batches as the server lists them, newest first; none where it has no list.

        Raises TransferError.
        """
        async with self._connections.borrow(profile_id) as server:
            return await server.list_batches() if isinstance(server, ListServer) else ()

    async def cancel_server_batch(self, profile_id: str, remote_id: str) -> CancelAnswer:
        """Ask the server to cancel one of its batches, whoever began it. Raises TransferError.

        The answer is only that: what became of the batch is in the next :meth:`server_batches`.
        """
        async with self._connections.borrow(profile_id) as server:
            if not isinstance(server, CancelServer):
                raise TransferError(Failure(FailureKind.REFUSED, "this server has no cancel"))
            return await server.cancel_batch(remote_id)

    async def server_news(self, profile_id: str, timeout_s: float) -> None:
        """Return when the server says that something changed, or after *timeout_s*. Raises TransferError."""
        async with self._connections.borrow(profile_id) as server:
            if isinstance(server, StageServer):
                await server.news(timeout_s)
                return
        await self._clock.sleep(timeout_s)

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _begin_anew(self, profile_id: str) -> None:
        """New connections to this server, now, for everything that waits for it."""
        await self._connections.forget(profile_id)
        await self._servers.drop(profile_id)
        self._engine.open_gate(profile_id)
        self._show_servers()

    def _show_servers(self) -> None:
        self._ledger.set_servers(self._servers.views())


def _worse(one: Kept, other: Kept) -> Kept:
    return other if one.in_keyring else one
