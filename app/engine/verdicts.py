"""What becomes at their server of transfers that a person cancels: one round of asking it, and of reading back.

nothing ever went out ───────────────────────────► cancelled (no request)
ids lost with an answer: find ── not there ──────► cancelled; here only, where the server knows no cancel
       │ there
HTTP cancel: one request a batch, else a file
       │
look, again while it still works on it (5 s)
       ├─ gone, cancelled, failed there ─────────► cancelled (here only, if the server keeps its bytes)
       ├─ stored ────────────────────────────────► finished first ─┐ roll back, if the person chose that: delete,
       └─ still there ───────────────────────────► here only ──────┘ look ──► gone: cancelled, rolled back
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.domain.batch import Batch
from app.domain.state import CANCELLABLE, CancelEnding, TransferState
from app.domain.transfer import Transfer
from app.engine.book import Book
from app.engine.clock import Clock
from app.engine.connections import Connections
from app.engine.outgoing import outgoing_of
from app.engine.remote_batches import RemoteBatches
from app.remote.base import (
    BatchServer,
    CancelAnswer,
    CancelServer,
    DeleteServer,
    FindServer,
    ManyBatchServer,
    ParcelServer,
    RemoteFile,
    RemoteServer,
    RemoteState,
    StageServer,
)

READ_BACK_AFTER_S = (0.5, 1.0, 1.5, 2.0)
"""A server that answered a cancel may need a moment to carry it out."""
LATE_AFTER_S = 1.0
LOOK_SLICE = 200
DELETE_SLICE = 100
NOTHING_SENT, NOTHING_STORED, ROLLED_BACK = "nothing_sent", "nothing_stored", "rolled_back"
STORED, STAYS = "stored", "stays"
"""Answers of ours, where the server has no word of its own; app.words has their sentences."""
GOES_ON = "goes_on"
"""Begins the answer for a file that the server still works on after a cancel: ``goes_on <status>: <its words>``."""
_NO_SUCH_CANCEL = frozenset({404, 405})

_ENDING = {
    RemoteState.STORED: CancelEnding.FINISHED_FIRST,
    RemoteState.UNFINISHED: CancelEnding.HERE_ONLY,
    RemoteState.PROCESSING: CancelEnding.HERE_ONLY,
    RemoteState.CANCELLED: CancelEnding.CANCELLED,
    RemoteState.FAILED: CancelEnding.CANCELLED,
    RemoteState.UNKNOWN: CancelEnding.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one transfer at the server, and the server's own word. ``kept``: the whole file is there."""

    ending: CancelEnding
    answer: str
    kept: bool = False


@dataclass(slots=True)
class _Round:
    """One round at one server. ``told`` has what it answered, by transfer id, ``told_of_batches`` by its batch's id."""

    server: RemoteServer
    batch: Batch
    touched: Sequence[Transfer]
    whole_batch: bool
    verdicts: dict[str, Verdict]
    told: dict[str, CancelAnswer] = field(default_factory=dict)
    told_of_batches: dict[str, CancelAnswer] = field(default_factory=dict)

    @property
    def named(self) -> list[Transfer]:
        """Those whose ids at the server are known."""
        return [transfer for transfer in self.touched if transfer.remote_id]

    @property
    def nameless(self) -> list[Transfer]:
        """Those that may be there under an id that was lost with an answer."""
        return [transfer for transfer in self.touched if not transfer.remote_id]


class Verdicts:
    """Asks servers. ``roll_back``: what was stored before a cancel took effect is deleted again."""

    def __init__(
        self, book: Book, connections: Connections, remote_batches: RemoteBatches, clock: Clock
    ) -> None:
        self.roll_back = False
        self._book = book
        self._connections = connections
        self._remote_batches = remote_batches
        self._clock = clock

    async def of(
        self, batch: Batch, transfers: Sequence[Transfer], *, whole_batch: bool
    ) -> dict[str, Verdict]:
        """Cancel *transfers* of *batch* at its server; return what became of each, by id.

        Raises TransferError while the server cannot be reached; it may be called again then.
        """
        remote_batch_id = await self._remote_batches.settled(batch)
        verdicts = dict.fromkeys((t.id for t in transfers), Verdict(CancelEnding.CANCELLED, NOTHING_SENT))
        touched = [t for t in transfers if t.remote_id or t.attempts or t.begun_at]
        if not touched and not (whole_batch and remote_batch_id):
            return verdicts
        async with self._connections.borrow(batch.profile_id) as server:
            now = _Round(server, batch, touched, whole_batch, verdicts)
            if whole_batch and remote_batch_id and server.abilities.cancel_batch:
                await self._cancel_batch(now, remote_batch_id)
            else:
                await self._find(now, now.nameless)
                await self._cancel_each(now)
            await self._read_back(now, now.named)
            await self._find_late(now)
            if now.told and remote_batch_id and now.nameless and whole_batch:
                await self._find_hidden(now)
            self._judge_nameless(now)
            if self.roll_back:
                await self._roll_back(now)
        return verdicts

    # -- asking -------------------------------------------------------------------------------------------------

    @staticmethod
    async def _cancel_batch(now: _Round, remote_batch_id: str) -> None:
        """One request, however many files the batch has."""
        assert isinstance(now.server, CancelServer)
        answer = await now.server.cancel_batch(remote_batch_id)
        now.told.update((transfer.id, answer) for transfer in now.touched)

    async def _cancel_each(self, now: _Round) -> None:
        """As few requests as the server needs for files whose ids are known."""
        if now.whole_batch or not now.server.abilities.cancel_file:
            await self._cancel_batches(now)
        await self._cancel_files(now)

    async def _cancel_batches(self, now: _Round) -> None:
        """Where the server has a batch for each parcel: cancel those in which nothing else of ours goes on."""
        server = now.server
        if not (isinstance(server, ManyBatchServer) and isinstance(server, CancelServer)):
            return
        chosen = {transfer.id for transfer in now.touched}
        others = [t for t in self._book.of_batch(now.batch.id, CANCELLABLE) if t.id not in chosen]
        # Those of a request whose answer was lost may be in the same batch as what is cancelled.
        await self._find(now, [t for t in others if t.begun_at is not None and not t.remote_id])
        going_on = [transfer.remote_id for transfer in others if transfer.remote_id]
        shared = set(server.batches_of(going_on))
        answers = now.told_of_batches
        for transfer in [each for each in now.named if each.id not in now.told]:
            for remote_batch_id in server.batches_of([transfer.remote_id or ""]):
                if remote_batch_id in shared:
                    continue
                if remote_batch_id not in answers:
                    answers[remote_batch_id] = await server.cancel_batch(remote_batch_id)
                now.told[transfer.id] = answers[remote_batch_id]

    @staticmethod
    async def _cancel_files(now: _Round) -> None:
        """One request a file; one in all, where the server says that it has no such cancel."""
        if not isinstance(now.server, CancelServer):
            return
        for transfer in now.named:
            if transfer.id in now.told:
                continue
            answer = await now.server.cancel_file(transfer.remote_id or "")
            now.told[transfer.id] = answer
            if answer.http_status in _NO_SUCH_CANCEL and not now.server.abilities.cancel_file:
                now.told.update((each.id, answer) for each in now.named if each.id not in now.told)

    # -- reading back -------------------------------------------------------------------------------------------

    async def _read_back(self, now: _Round, transfers: Sequence[Transfer]) -> None:
        """Look, and look again for a while at what the server was told to cancel and still works on."""
        seen = await _look(now.server, transfers)
        for delay_s in READ_BACK_AFTER_S:
            working = [t for t in transfers if t.id in now.told and _may_change(seen[t.id], now.told[t.id])]
            if not working:
                break
            await self._clock.sleep(delay_s)
            seen |= await _look(now.server, working)
        for transfer in transfers:
            now.verdicts[transfer.id] = _verdict(seen[transfer.id], now.told.get(transfer.id))

    @staticmethod
    async def _find(now: _Round, transfers: Sequence[Transfer]) -> list[Transfer]:
        """Learn ids that were lost with an answer; return those transfers that are there."""
        if not transfers or not isinstance(now.server, FindServer):
            return []
        found = await now.server.find([outgoing_of(transfer, now.batch) for transfer in transfers])
        there = [transfer for transfer in transfers if transfer.key in found]
        for transfer in there:
            transfer.remote_id = found[transfer.key].remote_id
        return there

    async def _find_late(self, now: _Round) -> None:
        """What a server has whole it may go on storing after its client has left: look until a look finds no more."""
        while late := [transfer for transfer in now.nameless if transfer.begun_at is not None]:
            if not isinstance(now.server, FindServer):
                return
            await self._clock.sleep(LATE_AFTER_S)
            found = await self._find(now, late)
            if not found:
                return
            await self._cancel_each(now)
            await self._read_back(now, found)

    async def _find_hidden(self, now: _Round) -> None:
        """The server counts the files of a cancelled batch: look for those of which we have not heard, and no more."""
        assert isinstance(now.server, BatchServer)
        seen = await now.server.look_batch(now.batch.remote_id or "")
        known = sum(verdict.ending is CancelEnding.FINISHED_FIRST for verdict in now.verdicts.values())
        hidden = seen.stored_files - now.batch.counts.files[TransferState.COMPLETED] - known
        for transfer in now.nameless:
            if hidden <= 0:
                return
            for found in await self._find(now, [transfer]):
                await self._read_back(now, [found])
                hidden -= now.verdicts[found.id].ending is CancelEnding.FINISHED_FIRST

    @staticmethod
    def _judge_nameless(now: _Round) -> None:
        """What was looked for and is not there, or could not be looked for."""
        looked = isinstance(now.server, FindServer)
        for transfer in now.nameless:
            if told := now.told.get(transfer.id):
                now.verdicts[transfer.id] = Verdict(CancelEnding.CANCELLED, told.message)
            elif looked and not now.server.abilities.cancel_file:
                now.verdicts[transfer.id] = Verdict(CancelEnding.HERE_ONLY, NOTHING_STORED)
            elif looked:
                now.verdicts[transfer.id] = Verdict(CancelEnding.CANCELLED, "")
            elif transfer.begun_at is not None:
                now.verdicts[transfer.id] = Verdict(CancelEnding.HERE_ONLY, "")
            elif isinstance(now.server, ParcelServer):  # bytes went without an id, in a request that was cut
                now.verdicts[transfer.id] = Verdict(CancelEnding.HERE_ONLY, NOTHING_STORED)

    async def _roll_back(self, now: _Round) -> None:
        """Delete what was stored all the same, and believe the look after that."""
        kept = [transfer for transfer in now.named if now.verdicts[transfer.id].kept]
        if not kept or not isinstance(now.server, DeleteServer):
            return
        for start in range(0, len(kept), DELETE_SLICE):
            slice_ = kept[start : start + DELETE_SLICE]
            await now.server.delete_files([transfer.remote_id or "" for transfer in slice_])
        for transfer_id, file in (await _look(now.server, kept)).items():
            if _ENDING[file.state] is CancelEnding.CANCELLED and not file.stays:
                now.verdicts[transfer_id] = Verdict(CancelEnding.CANCELLED, ROLLED_BACK)


async def _look(server: RemoteServer, transfers: Sequence[Transfer]) -> dict[str, RemoteFile]:
    """Read files back, many a request where the server can."""
    ids = [transfer.remote_id or "" for transfer in transfers]
    seen: list[RemoteFile] = []
    if isinstance(server, StageServer):
        for start in range(0, len(ids), LOOK_SLICE):
            seen += await server.look_many(ids[start : start + LOOK_SLICE])
    else:
        seen = [await server.look(remote_id) for remote_id in ids]
    return {transfer.id: file for transfer, file in zip(transfers, seen, strict=True)}


def _may_change(file: RemoteFile, told: CancelAnswer) -> bool:
    """Whether another look may show more: the server still works on it, or accepted a cancel and still shows a part."""
    if file.state is RemoteState.PROCESSING:
        return told.http_status not in _NO_SUCH_CANCEL
    return file.state is RemoteState.UNFINISHED and 200 <= told.http_status < 300


def _verdict(file: RemoteFile, told: CancelAnswer | None) -> Verdict:
    ending = _ENDING[file.state]
    if file.state is RemoteState.PROCESSING:
        answer = STORED if told is None else f"{GOES_ON} {told.http_status}: {told.message}".rstrip(": ")
        return Verdict(ending, answer, kept=True)
    if file.stays:
        return Verdict(CancelEnding.HERE_ONLY, STAYS, kept=True)
    answer = (told.message if told is not None else "") or file.message
    return Verdict(ending, answer, kept=file.state is RemoteState.STORED)


def worst(verdicts: Mapping[str, Verdict]) -> CancelEnding:
    """Return the ending that tells most of a whole batch: what a person should know first."""
    endings = {verdict.ending for verdict in verdicts.values()}
    order = (CancelEnding.CLEANUP_PENDING, CancelEnding.HERE_ONLY)
    return next((ending for ending in order if ending in endings), CancelEnding.CANCELLED)
