"""The order in which queued transfers go: pure bookkeeping, no I/O, no clock.

First come, first served by batch; inside a batch in the order of the drop. One lane is kept for small files while
there are any, so that ten thousand photos never wait behind six films.
"""

import heapq
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import islice

from app.domain.transfer import Transfer

LARGE_BYTES = 64 * 1024 * 1024


class Lineup:
    """The queued transfers of all batches. Holds each transfer at most once."""

    def __init__(self) -> None:
        self._lanes: dict[str, tuple[deque[Transfer], deque[Transfer]]] = {}
        self._queued: set[str] = set()

    def __len__(self) -> int:
        return len(self._queued)

    def put(self, transfer: Transfer, *, front: bool = False) -> None:
        """Queue a transfer, at the front if it had its turn already."""
        if transfer.id in self._queued:
            return
        self._queued.add(transfer.id)
        small, large = self._lanes.setdefault(transfer.batch_id, (deque(), deque()))
        lane = large if transfer.size_bytes > LARGE_BYTES else small
        if front:
            lane.appendleft(transfer)
        else:
            lane.append(transfer)

    def discard(self, transfer: Transfer) -> None:
        """Take a transfer out. It is skipped when its turn comes, so this costs nothing."""
        self._queued.discard(transfer.id)

    def drop_batch(self, batch_id: str) -> None:
        """Take all transfers of a batch out."""
        for lane in self._lanes.pop(batch_id, ()):
            self._queued.difference_update(transfer.id for transfer in lane)

    def take(
        self, *, large_running: int, large_allowed: int, closed: Callable[[str], bool], busy: Container[str]
    ) -> Transfer | None:
        """Remove and return the next transfer, or None if nothing may go now.

        *closed* tells whether a batch must wait (its server does); *busy* holds the ids whose last run is still
        ending. A large file goes if fewer than *large_allowed* run, or if no small one could go instead.
        """
        spare: Transfer | None = None
        for batch_id in list(self._lanes):
            if closed(batch_id):
                continue
            small, large = (self._head(lane) for lane in self._lanes[batch_id])
            if small is None and large is None:
                del self._lanes[batch_id]
                continue
            first = self._first(small, large, large_running < large_allowed)
            if first is not None and first.id not in busy:
                return self._take(first)
            spare = spare or large
        if spare is not None and spare.id not in busy:
            return self._take(spare)
        return None

    def length(self, batch_id: str) -> int:
        """Return about how many transfers of a batch are lined up, and never less."""
        return sum(len(lane) for lane in self._lanes.get(batch_id, ()))

    def fill(
        self, first: Transfer, *, max_files: int, max_bytes: int, busy: Container[str]
    ) -> list[Transfer]:
        """Return *first*, which was taken, and what follows it in its batch as far as it fits; remove that, too."""
        parcel, room_bytes = [first], max_bytes - first.size_bytes
        for transfer in self._in_order(first.batch_id):
            room_bytes -= transfer.size_bytes
            if len(parcel) >= max_files or room_bytes < 0 or transfer.id in busy:
                break
            parcel.append(transfer)
        self._queued.difference_update(transfer.id for transfer in parcel)
        for lane in self._lanes[first.batch_id]:
            self._head(lane)
        return parcel

    def following(self, batch_id: str, count: int) -> Sequence[Transfer]:
        """Return at most *count* of the batch's queued transfers, next first; they stay queued."""
        return list(islice(self._in_order(batch_id), count))

    def _in_order(self, batch_id: str) -> Iterator[Transfer]:
        seen: set[str] = set()  # one that came back stands in its lane twice
        for transfer in heapq.merge(*self._lanes.get(batch_id, ()), key=lambda transfer: transfer.position):
            if transfer.id in self._queued and transfer.id not in seen:
                seen.add(transfer.id)
                yield transfer

    @staticmethod
    def _first(small: Transfer | None, large: Transfer | None, large_may: bool) -> Transfer | None:
        if large is None or not large_may:
            return small
        if small is None or large.position < small.position:
            return large
        return small

    def _head(self, lane: deque[Transfer]) -> Transfer | None:
        while lane and lane[0].id not in self._queued:
            lane.popleft()
        return lane[0] if lane else None

    def _take(self, transfer: Transfer) -> Transfer:
        small, large = self._lanes[transfer.batch_id]
        (large if large and large[0] is transfer else small).popleft()
        self._queued.discard(transfer.id)
        return transfer
