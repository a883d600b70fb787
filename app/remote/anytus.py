"""A server that resumes: asked once by OPTIONS whether it speaks tus 1.0.0 or the IETF's draft, then spoken to in its own way."""

from app.domain.failure import FailureKind, TransferError
from app.remote import draft, tusfields
from app.remote.base import Abilities, CancelAnswer, Feed, Outgoing, RemoteFile, Sent
from app.remote.draft import DraftServer
from app.remote.http import Http
from app.remote.tus import TusServer


class AnyTusServer:
    """One connection for one worker (RemoteServer). Owns *http*, whose address is that of the creation resource."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._speaker: TusServer | DraftServer | None = None

    @property
    def abilities(self) -> Abilities:
        """What the server promised; nothing before the first call that reached it."""
        return self._speaker.abilities if self._speaker else Abilities()

    async def greet(self) -> Abilities:
        """Ask which of the two it speaks (RemoteServer.greet)."""
        return (await self._one()).abilities

    async def send(self, outgoing: Outgoing, feed: Feed) -> Sent:
        """Send the file or the rest of it (RemoteServer.send)."""
        return await (await self._one()).send(outgoing, feed)

    async def look(self, remote_id: str) -> RemoteFile:
        """Read an upload back (RemoteServer.look)."""
        return await (await self._one()).look(remote_id)

    async def cancel_file(self, remote_id: str) -> CancelAnswer:
        """End an upload, where the server can (CancelServer.cancel_file)."""
        speaker = await self._one()
        if not speaker.abilities.cancel_file:
            return CancelAnswer(405, "this server has no cancel")
        return await speaker.cancel_file(remote_id)

    async def cancel_batch(self, remote_batch_id: str) -> CancelAnswer:
        """Neither protocol knows batches (CancelServer.cancel_batch)."""
        return CancelAnswer(405, f"this server knows no batch {remote_batch_id}")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _one(self) -> TusServer | DraftServer:
        if self._speaker is None:
            # A slash at the end of the address is part of it, and many a server knows only the one or the other.
            given = self._http.whole_path
            other = given.rstrip("/") if given.endswith("/") else f"{given}/"
            try:
                self._speaker = await self._at(given)
            except TransferError as error:
                self._speaker = await self._beside(other, error)
        return self._speaker

    async def _beside(self, path: str, error: TransferError) -> TusServer | DraftServer:
        """Ask there, too; raise what the given address said unless somebody knows this one."""
        if error.failure.kind is not FailureKind.NOT_A_SERVER or not path:
            raise error
        try:
            return await self._at(path)
        except TransferError as there:
            raise (error if there.failure.kind is FailureKind.NOT_A_SERVER else there) from None

    async def _at(self, path: str) -> TusServer | DraftServer:
        """Return what speaks there. Raises TransferError."""
        answer = await self._http.ask("OPTIONS", path, headers=tusfields.VERSION)
        if draft.is_announced(answer) and "tus-version" not in answer.headers:
            return DraftServer(self._http, path, answer)
        tus = TusServer(self._http, path)
        tus.hear(answer)
        return tus
