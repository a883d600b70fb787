"""What listeners pull ten times a second: the engine marks rows as changed, ``drain`` makes frozen views of them.

The only object of the engine that a second thread touches. The engine writes plain numbers and marks; the lock guards
the marks alone, and is held for microseconds.
"""

import threading
from collections.abc import Callable, Iterable

from app.domain.batch import Batch, BatchView, derive_state
from app.domain.events import Frame, ServerView, Totals
from app.domain.rate import RateMeter, time_left
from app.domain.state import RUNNING, SENDING, BatchState, TransferState
from app.domain.transfer import Transfer
from app.engine.gates import Gate

_S = TransferState
_MOVING = frozenset({BatchState.UPLOADING, BatchState.SCANNING, BatchState.QUEUED})

REMOVED_SERVER = "A removed server"
"""How a batch names its server when nobody knows that any more."""


class ProgressLedger:
    """Marks of what changed since the last frame, and the meters behind the speeds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._dirty: dict[str, Transfer] = {}
        self._dirty_batches: set[str] = set()
        self._removed: list[str] = []
        self._batches: dict[str, Batch] = {}
        self._running: dict[str, Transfer] = {}
        self._meters: dict[str, RateMeter] = {}
        self._file_meters: dict[str, RateMeter] = {}
        self._servers: tuple[ServerView, ...] = ()
        self.gates: dict[str, Gate] = {}

    def transfer_changed(self, transfer: Transfer) -> None:
        """Mark a row; the engine has changed it already."""
        with self._lock:
            self._dirty[transfer.id] = transfer
            self._dirty_batches.add(transfer.batch_id)
            if transfer.state in SENDING:
                self._running[transfer.id] = transfer
            else:
                self._running.pop(transfer.id, None)

    def batch_changed(self, batch: Batch) -> None:
        """Mark a batch, or take up a new one."""
        with self._lock:
            self._batches[batch.id] = batch
            self._dirty_batches.add(batch.id)

    def batch_removed(self, batch_id: str) -> None:
        """Take a batch off the list."""
        with self._lock:
            self._batches.pop(batch_id, None)
            self._removed.append(batch_id)

    def set_servers(self, servers: Iterable[ServerView]) -> None:
        """Replace the list of servers."""
        with self._lock:
            self._servers = tuple(servers)

    def all_batches_changed(self) -> None:
        """Mark every batch (a gate opened or closed, or a listener starts anew)."""
        with self._lock:
            self._dirty_batches.update(self._batches)

    def drain(self, watched: str | None) -> Frame:
        """Return what changed since the last call. Any thread, one listener."""
        with self._lock:
            dirty, self._dirty = self._dirty, {}
            names, self._dirty_batches = self._dirty_batches, set()
            removed, self._removed = self._removed, []
            running = list(self._running.values())
            batches = dict(self._batches)
            servers = self._servers
        now = self._now()
        self._measure(now, running, batches)
        moving = {transfer.batch_id for transfer in running}
        moving |= {name for name in self._meters if name in batches and self._meters[name].rate(now)}
        wanted = names | moving
        shown = [self._view(batch, now, servers) for name, batch in batches.items() if name in wanted]
        rows = {t.id: t for t in running if t.batch_id == watched}
        rows |= {key: t for key, t in dirty.items() if t.batch_id == watched}
        return Frame(
            batches=tuple(shown),
            transfers=tuple(transfer.view() for transfer in rows.values()),
            removed_batches=tuple(removed),
            servers=servers,
            totals=self._totals(now, batches),
        )

    def view(self, batch: Batch) -> BatchView:
        """Return what one batch looks like now."""
        return self._view(batch, self._now(), self._servers)

    def _measure(self, now: float, running: list[Transfer], batches: dict[str, Batch]) -> None:
        for transfer in running:
            meter = self._meters.setdefault(transfer.id, RateMeter())
            meter.add(now, transfer.done_bytes)
            transfer.speed_bps = meter.rate(now)
        for batch_id in {transfer.batch_id for transfer in running} | (self._meters.keys() & batches.keys()):
            if batch_id in batches:
                batch = batches[batch_id]
                self._meters.setdefault(batch_id, RateMeter()).add(now, batch.done_bytes)
                self._file_meters.setdefault(batch_id, RateMeter()).add(now, batch.counts.files[_S.COMPLETED])
        alive = {transfer.id for transfer in running}
        for key in [
            k for k in self._meters if k not in alive and (k not in batches or not _moves(batches[k]))
        ]:
            del self._meters[key]
            self._file_meters.pop(key, None)

    def _totals(self, now: float, batches: dict[str, Batch]) -> Totals:
        files = dict.fromkeys(_S, 0)
        done = total = 0
        for batch in batches.values():
            for state, count in list(batch.counts.files.items()):
                files[state] += count
            if batch.counts.unfinished:
                done += batch.done_bytes
                total += _wanted_bytes(batch)
        return Totals(
            running=sum(files[state] for state in RUNNING),
            waiting=files[_S.QUEUED] + files[_S.WAITING],
            failed=files[_S.FAILED],
            paused=files[_S.PAUSED],
            speed_bps=sum(self._meters[name].rate(now) for name in batches if name in self._meters),
            done_bytes=done,
            total_bytes=total,
        )

    def _view(self, batch: Batch, now: float, servers: tuple[ServerView, ...]) -> BatchView:
        counts, files = batch.counts, dict(batch.counts.files)
        gate = self.gates.get(batch.profile_id)
        state = derive_state(counts, scanning=batch.scanning, blocked=gate is not None and gate.troubled)
        total_files = counts.total_files - files[_S.SKIPPED]
        total_bytes, done_bytes = _wanted_bytes(batch), batch.done_bytes
        meter, file_meter = self._meters.get(batch.id), self._file_meters.get(batch.id)
        speed = meter.rate(now) if meter else 0.0
        over = files[_S.COMPLETED] + files[_S.FAILED] + files[_S.CANCELLED]
        left = None
        if meter and file_meter and state in _MOVING:
            left = time_left(
                bytes_left=max(0, total_bytes - done_bytes),
                bytes_per_s=speed,
                files_left=total_files - over,
                files_per_s=file_meter.rate(now),
            )
        done_share, failed_share, cancelled_share = _shares(batch, total_bytes, total_files)
        return BatchView(
            id=batch.id,
            name=batch.name,
            server=next((s.name for s in servers if s.profile_id == batch.profile_id), REMOVED_SERVER),
            state=state,
            files=files,
            total_files=total_files,
            done_files=files[_S.COMPLETED],
            total_bytes=total_bytes,
            done_bytes=done_bytes,
            progress=_progress(batch, total_bytes, total_files),
            done_share=done_share,
            failed_share=failed_share,
            cancelled_share=cancelled_share,
            speed_bps=speed,
            left_s=left,
            created_at=batch.created_at,
            started_at=batch.started_at,
            finished_at=batch.finished_at,
            retry_at=gate.until if gate and state is BatchState.WAITING else None,
            report=batch.report,
            ending=batch.ending,
            answer=batch.answer,
            folder=batch.remote_folder,
            target=batch.target,
            trouble=gate.failure if gate and state is BatchState.WAITING else None,
        )


def _moves(batch: Batch) -> bool:
    return batch.counts.running > 0 or batch.counts.files[_S.QUEUED] > 0


def _wanted_bytes(batch: Batch) -> int:
    return batch.counts.total_bytes - batch.counts.size_bytes[_S.SKIPPED]


def _shares(batch: Batch, total_bytes: int, total_files: int) -> tuple[float, float, float]:
    """Return the shares of the bar that are done, failed, cancelled; by files where there are no bytes."""
    total = total_bytes or total_files
    source = batch.counts.size_bytes if total_bytes else batch.counts.files
    if not total:
        return 0.0, 0.0, 0.0
    return source[_S.COMPLETED] / total, source[_S.FAILED] / total, source[_S.CANCELLED] / total


def _progress(batch: Batch, total_bytes: int, total_files: int) -> float:
    """Return what has arrived, 0 to 1. It is 1 only when every file has."""
    if total_bytes and batch.counts.files[_S.COMPLETED] < total_files:
        return min(0.999, batch.done_bytes / total_bytes)
    return batch.counts.files[_S.COMPLETED] / total_files if total_files else 0.0
