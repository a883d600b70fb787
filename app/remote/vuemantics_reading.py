"""What vuemantics says of batches and files when it is asked: HTTP is the truth, the socket says when to look.

batch pending ──────► "waits for the server's worker"                      (it may stay so for ever)
batch processing ───► files that the counts or the socket call finished are read one by one; the others have a stage
batch over ─────────► every file is read once more, and that is its end; many of a batch without a failure are stored
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from app.domain.failure import TransferError
from app.remote.answer import Answer
from app.remote.base import RemoteFile, RemoteState
from app.remote.push import DELAYS_S, SILENCE_S, Push
from app.remote.vuemantics_fields import BatchRecord, batch_record, file_of

_QUICK_ASKS = 10
_QUICK_WINDOW_S = 60.0
_AFTER_NEWS_S = 0.25
_LEAST_WAIT_S = 0.02
_MOST_FILE_READS = 20
_BATCHES_KEPT = 500


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the server is asked, in seconds: a batch again at the earliest after ``poll_s`` (or at news of it), a socket is
    deaf after ``silence_s`` and comes back after ``delays_s``, a batch has stalled after ``stalled_s``; ``settle_s``: how long a request that nobody heard the
    answer of may still be under way at the server, and ``settle_looks_s``: the pauses between looks that wait for that."""

    poll_s: float = 2.0
    silence_s: float = SILENCE_S
    delays_s: tuple[float, ...] = DELAYS_S
    stalled_s: float = 300.0
    settle_s: float = 60.0
    settle_looks_s: tuple[float, ...] = (0.25, 0.5, 1.0)


class Ask(Protocol):
    """Send a request below the server's root; answers of all statuses are returned."""

    def __call__(self, method: str, path: str, *, payload: object = None) -> Awaitable[Answer]:
        """Raises TransferError if there is no answer."""


@dataclass(slots=True)
class _Known:
    """A batch as it was last seen. Times are the loop's. ``files`` are final, ``failing`` those that may be tried again,
    ``deleted`` those that we had deleted and not looked for since."""

    record: BatchRecord | None = None
    asked: deque[float] = field(default_factory=lambda: deque(maxlen=_QUICK_ASKS))
    is_stale: bool = True
    moved_at: float = 0.0
    files: dict[str, RemoteFile] = field(default_factory=dict)
    failing: dict[str, RemoteFile] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)


class Memory:
    """What all connections of an account know of its batches."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._batches: dict[str, _Known] = {}

    def of(self, batch_id: str) -> _Known:
        """Return what is known of a batch; the oldest batches are forgotten."""
        known = self._batches.setdefault(batch_id, _Known())
        if len(self._batches) > _BATCHES_KEPT:
            del self._batches[next(iter(self._batches))]
        return known

    def stale(self, batch_id: str | None) -> None:
        """There is news of a batch; None: of any."""
        if batch_id in self._batches:
            self._batches[batch_id].is_stale = True
            self._batches[batch_id].moved_at = asyncio.get_running_loop().time()
        elif batch_id is None:
            for known in self._batches.values():
                known.is_stale = True

    def forget(self, batch_id: str) -> None:
        """Something was done to a batch: everything of it is read anew."""
        self._batches.pop(batch_id, None)

    def deleted(self, batch_id: str, upload_id: str) -> None:
        """A file was deleted, if the server did it: it is looked for by itself, whatever its batch says."""
        known = self.of(batch_id)
        known.is_stale = True
        known.deleted.add(upload_id)
        known.files.pop(upload_id, None)
        known.failing.pop(upload_id, None)

    def due_s(self, now: float) -> float:
        """Return in how many seconds a batch with news may be asked for again; for ever if there is none."""
        waits = (
            known.asked[-1] + self._wait_s(known, now) - now
            for known in self._batches.values()
            if known.is_stale and known.asked and known.asked[-1] > now - self.pace.poll_s
        )
        return max(min(waits, default=math.inf), _LEAST_WAIT_S)

    def may_ask(self, known: _Known, now: float) -> bool:
        """Whether a batch may be asked for again: the server answers 60 times a minute, and we share that with others."""
        if known.record is None or not known.asked:
            return True
        if known.record.is_over:
            return False
        return now - known.asked[-1] >= self._wait_s(known, now)

    def _wait_s(self, known: _Known, now: float) -> float:
        is_quick = len(known.asked) < _QUICK_ASKS or known.asked[0] < now - _QUICK_WINDOW_S
        return min(_AFTER_NEWS_S, self.pace.poll_s) if known.is_stale and is_quick else self.pace.poll_s


class Reading:
    """Reads batches and files for one connection. A remote id is ``<batch>/<upload>``."""

    def __init__(
        self, ask: Ask, refused: Callable[[Answer], TransferError], memory: Memory, push: Push
    ) -> None:
        self._ask = ask
        self._refused = refused
        self._memory = memory
        self._push = push

    async def look_many(self, remote_ids: Sequence[str]) -> list[RemoteFile]:
        """Return these files as they are now, in order (StageServer.look_many)."""
        by_batch: dict[str, list[str]] = {}
        for remote_id in remote_ids:
            batch_id, _, upload_id = remote_id.partition("/")
            by_batch.setdefault(batch_id, []).append(upload_id)
        found: dict[str, RemoteFile] = {}
        for batch_id, upload_ids in by_batch.items():
            found.update(await self._files(batch_id, upload_ids))
        return [found[remote_id] for remote_id in remote_ids]

    async def batch(self, batch_id: str) -> BatchRecord | None:
        """Return a batch, from memory if it was asked for a moment ago; None if the server does not know it."""
        known, now = self._memory.of(batch_id), asyncio.get_running_loop().time()
        if self._memory.may_ask(known, now):
            known.asked.append(now)
            known.is_stale = False
            self._keep(known, await self._read_batch(batch_id, known.record), now)
        return known.record

    async def _files(self, batch_id: str, upload_ids: Sequence[str]) -> dict[str, RemoteFile]:
        record, known = await self.batch(batch_id), self._memory.of(batch_id)
        if record is None:
            return {
                f"{batch_id}/{each}": RemoteFile(f"{batch_id}/{each}", RemoteState.UNKNOWN)
                for each in upload_ids
            }
        open_ids = [each for each in upload_ids if each not in known.files]
        self._push.watch(open_ids)
        if (
            record.all_stored
            and not known.deleted
            and len(open_ids) > _MOST_FILE_READS
            and len(upload_ids) <= record.total
        ):
            self._end(known, {each: _stored(f"{batch_id}/{each}") for each in open_ids})
        else:
            for upload_id in self._finished(record, known, open_ids):
                await self._read_file(record, known, upload_id)
        return {f"{batch_id}/{each}": self._shown(record, known, each) for each in upload_ids}

    def _finished(self, record: BatchRecord, known: _Known, open_ids: Sequence[str]) -> list[str]:
        """Return the files to be read one by one now: those that are over, as far as one can tell."""
        if record.is_over:
            return list(open_ids)
        deleted = [each for each in open_ids if each in known.deleted]
        unread = [each for each in open_ids if each not in known.failing and each not in known.deleted]
        told = [each for each in unread if self._push.told.of(each).is_over]
        # The server goes through a batch in its order: as many as it counts, from the first one on.
        counted = max(record.processed - len(known.files) - len(known.failing) - len(told), 0)
        silent = [each for each in unread if not self._push.told.of(each).is_over]
        return [*deleted, *[*told, *silent[:counted]][:_MOST_FILE_READS]]

    async def _read_file(self, record: BatchRecord, known: _Known, upload_id: str) -> None:
        answer = await self._ask("GET", f"/v1/uploads/{upload_id}")
        known.deleted.discard(upload_id)
        remote_id = f"{record.id}/{upload_id}"
        if is_unknown(answer):
            file = RemoteFile(remote_id, RemoteState.UNKNOWN)
        elif answer.ok:
            file = file_of(remote_id, answer.json(), record)
        elif answer.status == 500 and record.is_over:
            why = "the server cannot show this file (500)"
            file = RemoteFile(remote_id, RemoteState.FAILED, message=why, stays=True)
        elif answer.status == 500:
            return
        else:
            raise self._refused(answer)
        why = self._push.told.of(upload_id).why
        if file.state is RemoteState.FAILED and why:
            file = replace(file, message=why)
        if file.state is not RemoteState.PROCESSING:
            self._end(known, {upload_id: file})
        elif file.stage:
            known.failing[upload_id] = file

    def _end(self, known: _Known, files: Mapping[str, RemoteFile]) -> None:
        known.files.update(files)
        for upload_id in files:
            known.failing.pop(upload_id, None)
            self._push.unwatch(upload_id)

    def _shown(self, record: BatchRecord, known: _Known, upload_id: str) -> RemoteFile:
        final = known.files.get(upload_id) or known.failing.get(upload_id)
        if final is not None:
            return final
        heard = self._push.told.of(upload_id)
        stage = heard.stage
        if record.status == "pending":
            stage = "waits for the server's worker"
        elif heard.tries > 1:
            stage = f"second try: {stage}" if stage else "second try"
        elif heard.share is None:
            stage = stage or "waits for its turn"
        still_s = asyncio.get_running_loop().time() - known.moved_at
        if record.status != "pending" and still_s > self._memory.pace.stalled_s:
            stage = f"nothing has moved for {still_s / 60:.0f} min"
        return RemoteFile(
            f"{record.id}/{upload_id}", RemoteState.PROCESSING, stage=stage, stage_share=heard.share
        )

    async def _read_batch(self, batch_id: str, before: BatchRecord | None) -> BatchRecord | None:
        answer = await self._ask("GET", f"/v1/uploads/batches/{batch_id}")
        if answer.ok:
            return batch_record({"batch_id": batch_id, **answer.json()})
        if is_unknown(answer) or answer.status == 422:
            return None
        if answer.status in (420, 429) and before is not None:
            return before  # somebody else asks, too: later is soon enough
        raise self._refused(answer)

    def _keep(self, known: _Known, record: BatchRecord | None, now: float) -> None:
        if record != known.record or not known.moved_at:
            known.moved_at = now
        known.record = record


def is_unknown(answer: Answer) -> bool:
    """Whether the application says that something is not there; a 404 without a type is of a route that it has not."""
    return answer.status == 404 and not answer.is_html and _type(answer) == "NotFoundError"


def _type(answer: Answer) -> str:
    try:
        return str(answer.json().get("type"))
    except TransferError:
        return ""


def _stored(remote_id: str) -> RemoteFile:
    return RemoteFile(remote_id, RemoteState.STORED)
