"""Where the files of one DirectDrive account are announced: together where they belong together, each exactly once.

reserve ──► held? ── yes ──► still pending there? ──► the file's own reservation, once
             └─ no: the files of its batch that start now or come next, announced by one request (single flight)
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from app.domain.failure import CancelledElsewhereError, Failure, FailureKind, TransferError
from app.remote.account import Account
from app.remote.auth import Auth
from app.remote.base import Outgoing
from app.remote.directdrive_api import Api, Reservation
from app.remote.directdrive_rules import MAX_SIZE_BYTES, Kind, Status, is_nobodys, refusal, status_of
from app.remote.http import Http, http_of

MOST_TOGETHER = 100
_KNOWN_S = 600.0
"""After so long the server is asked again whether it knows us."""
_FRESH_S = 5.0
"""So long a reservation is taken to be pending without asking."""
_REFUSED = frozenset({FailureKind.REFUSED, FailureKind.TOO_LARGE, FailureKind.NAME_REFUSED})


class Desk:
    """The reservations of one account, by the keys of their transfers. *auth* is None for somebody anonymous.

    Each reservation is given to one attempt, which uses it up or gives it back. Announcing has a client of its own: it
    goes on when the attempt that asked for it is cancelled, for what it announces is of others, too.
    """

    def __init__(self, account: Account, auth: Auth | None, gather_s: float) -> None:
        self._account = account
        self._auth = auth
        self._gather_s = gather_s
        self._client: Http | None = None
        self._one_at_a_time = asyncio.Lock()
        self._known_at: float | None = None
        self._turns: set[asyncio.Task[None]] = set()
        self._starting: dict[str, Outgoing] = {}
        self._held: dict[str, Reservation] = {}
        self._seen_at: dict[str, float] = {}
        self._given_back: set[str] = set()
        self._alone: set[str] = set()

    async def introduce(self) -> None:
        """Make sure that the server knows us: with a token that is over it takes files as nobody's, without a word."""
        now = self._account.now()
        if self._auth is not None and (self._known_at is None or now - self._known_at > _KNOWN_S):
            await self._api.me()
            self._known_at = now

    async def reserve(self, kind: Kind, outgoing: Outgoing) -> Reservation:
        """Return a reservation that is pending at the server, for this attempt alone. Raises TransferError."""
        self._starting[outgoing.key] = outgoing
        turn = asyncio.create_task(self._turn(kind, outgoing))
        self._turns.add(turn)
        turn.add_done_callback(self._turn_is_over)
        try:
            await asyncio.shield(turn)
        finally:
            self._starting.pop(outgoing.key, None)
        return self._held.pop(outgoing.key)

    def give_back(self, outgoing: Outgoing, reservation: Reservation) -> None:
        """Keep the reservation of a file that the server still waits for."""
        self._held[outgoing.key] = reservation
        self._given_back.add(reservation.file_id)
        self._seen_at[reservation.file_id] = 0.0

    def has(self, outgoing: Outgoing, file_id: str) -> bool:
        """Whether *file_id* was given back."""
        mine = self._held.get(outgoing.key)
        return mine is not None and mine.file_id == file_id

    def forget(self, *, file_id: str = "", remote_batch_id: str = "") -> None:
        """Drop the reservations of a file or a batch that was cancelled."""
        for key, held in list(self._held.items()):
            if held.file_id == file_id or (remote_batch_id and held.remote_batch_id == remote_batch_id):
                self._seen_at.pop(self._held.pop(key).file_id, None)

    async def aclose(self, goodbye_s: float) -> None:
        """Cancel what was announced and no transfer has, as far as that goes in *goodbye_s* seconds.

        What was given back a transfer has: it finds it pending in its next life, and sees to it then.
        """
        for turn in self._turns:
            turn.cancel()
        await asyncio.gather(*self._turns, return_exceptions=True)
        left = [one for one in self._held.values() if one.file_id not in self._given_back]
        with suppress(TimeoutError):
            async with asyncio.timeout(goodbye_s):
                await self._drop(left)
        if self._client is not None:
            await self._client.aclose()

    @property
    def _api(self) -> Api:
        if self._client is None:
            self._client = http_of(self._account, self._auth)
        return Api(self._client)

    async def _turn(self, kind: Kind, outgoing: Outgoing) -> None:
        """See to it that the file has a reservation."""
        if kind.together and outgoing.remote_id is None and outgoing.key not in self._held:
            await asyncio.sleep(self._gather_s)  # others of its batch that start in this moment
        async with self._one_at_a_time:
            if outgoing.key in self._starting and not await self._still_has(outgoing):
                self._held.update(await self._announce(kind, outgoing))

    def _turn_is_over(self, turn: asyncio.Task[None]) -> None:
        self._turns.discard(turn)
        if not turn.cancelled():
            turn.exception()  # heard by the attempt, if it is still there

    async def _still_has(self, outgoing: Outgoing) -> bool:
        mine = self._held.get(outgoing.key)
        if mine is None:
            return False
        status = await self._status(mine)
        if mine.size_bytes == outgoing.size_bytes and status is Status.PENDING:
            return True
        self._held.pop(outgoing.key, None)
        if status is Status.CANCELLED:
            raise CancelledElsewhereError("cancelled at the server before its turn came")
        return False

    async def _status(self, mine: Reservation) -> Status | None:
        """Return the status of a reservation; one request tells that of its whole batch."""
        now = self._account.now()
        seen_at = self._seen_at.pop(mine.file_id, mine.announced_at)
        if 0 <= now - seen_at < _FRESH_S:
            return Status.PENDING
        if not mine.remote_batch_id:
            return status_of(await self._api.file(mine.file_id))
        records = {
            str(record.get("_id")): record for record in await self._api.files_of(mine.remote_batch_id)
        }
        for held in self._held.values():
            if held.file_id in records and status_of(records[held.file_id]) is Status.PENDING:
                self._seen_at[held.file_id] = now
        return status_of(records.get(mine.file_id))

    async def _announce(self, kind: Kind, outgoing: Outgoing) -> dict[str, Reservation]:
        """Announce as who we are, with a new sign-in if the server took us for nobody."""
        await self.introduce()
        made = await self._announced(kind, outgoing)
        if self._auth is None or not await self._was_for_nobody(made):
            return made
        self._known_at = None
        if await self._auth.renew(await self._auth.headers()):
            await self.introduce()
            made = await self._announced(kind, outgoing)
            if not await self._was_for_nobody(made):
                return made
        raise TransferError(Failure(FailureKind.SIGN_IN, "the server takes the files as nobody's"))

    async def _announced(self, kind: Kind, outgoing: Outgoing) -> dict[str, Reservation]:
        now = self._account.now()
        files = self._together(kind, outgoing)
        if len(files) > 1:
            try:
                made = await self._api.announce_together(files, now)
                return {one.key: reservation for one, reservation in zip(files, made, strict=True)}
            except TransferError as error:
                if error.failure.kind not in _REFUSED:
                    raise
            # One file that the server does not want, and it refuses all: each of these goes alone.
            self._alone.update(one.key for one in files)
        self._alone.discard(outgoing.key)
        return {outgoing.key: await self._api.announce(outgoing, now, cleans_names=kind.together)}

    def _together(self, kind: Kind, outgoing: Outgoing) -> list[Outgoing]:
        """Return the file and those to be announced with it."""
        if not kind.together or outgoing.remote_id is not None or outgoing.key in self._alone:
            return [outgoing]
        starting = [one for one in self._starting.values() if one.batch_key == outgoing.batch_key != ""]
        chosen = {outgoing.key: outgoing}
        for one in (*starting, *outgoing.neighbours()):
            taken = one.key in self._held or one.key in self._alone or one.remote_id is not None
            if len(chosen) < MOST_TOGETHER and not taken and refusal_by(kind, one) is None:
                chosen.setdefault(one.key, one)
        return list(chosen.values())

    async def _was_for_nobody(self, made: dict[str, Reservation]) -> bool:
        try:
            record = await self._api.file(next(iter(made.values())).file_id)
        except TransferError:
            await self._drop(made.values())  # nobody knows whose they are
            raise
        if record is None or not is_nobodys(record):
            return False
        await self._drop(made.values())
        return True

    async def _drop(self, reservations: Iterable[Reservation]) -> None:
        """A courtesy: it may fail."""
        with suppress(TransferError):
            for one in reservations:
                await self._api.cancel_file(one.file_id)


def refusal_by(kind: Kind | None, outgoing: Outgoing) -> Failure | None:
    """Return why a server would refuse a file; *kind* is None while its limits are not known."""
    most_bytes = kind.max_size_bytes if kind else MAX_SIZE_BYTES
    return refusal(outgoing.relative_path, outgoing.size_bytes, most_bytes)
