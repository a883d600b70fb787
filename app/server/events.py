"""What happened, told to whoever listens in this process: never late for a rule, never in a rule's way.

rule ──tx.emit──► commit (writer thread) ──► publish ──► event loop ──► each subscription's queue ──► a socket
                                                                        full? the queue becomes one `resync`
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

QUEUE_EVENTS = 1000


class EventKind(StrEnum):
    """What an event tells of."""

    FILE_CREATED = "file_created"
    FILE_PROGRESS = "file_progress"
    FILE_STORED = "file_stored"
    FILE_FAILED = "file_failed"
    FILE_CANCELLED = "file_cancelled"
    FILE_DELETED = "file_deleted"
    BATCH_CREATED = "batch_created"
    BATCH_CHANGED = "batch_changed"
    BATCH_COMPLETED = "batch_completed"
    BATCH_CANCELLED = "batch_cancelled"
    JOB_QUEUED = "job_queued"
    JOB_STARTED = "job_started"
    JOB_PROGRESS = "job_progress"
    JOB_COMPLETED = "job_completed"
    JOB_FAILED = "job_failed"
    JOB_CANCELLED = "job_cancelled"
    CUSTOM = "custom"
    RESYNC = "resync"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to what *owner* has. Nothing in it is secret; times are ISO 8601 with Z."""

    kind: EventKind
    owner: str
    at: str
    batch_id: str | None = None
    file_id: str | None = None
    job_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class Subscription:
    """An async iterator over events; ends when :meth:`close` is called."""

    def __init__(self, owner: str | None, batch_id: str | None, kinds: Collection[EventKind] | None) -> None:
        self._owner, self._batch_id, self._kinds = owner, batch_id, kinds
        self._queue: deque[Event] = deque()
        self._filled = asyncio.Event()
        self._is_closed = False

    def offer(self, event: Event) -> None:
        """Take an event if it is wanted; instead of growing without end, forget all and say so."""
        if not self._wants(event):
            return
        if len(self._queue) >= QUEUE_EVENTS:
            self._queue.clear()
            self._queue.append(Event(EventKind.RESYNC, event.owner, event.at))
        self._queue.append(event)
        self._filled.set()

    def _wants(self, event: Event) -> bool:
        return (
            (self._owner is None or event.owner == self._owner)
            and (self._batch_id is None or event.batch_id == self._batch_id)
            and (self._kinds is None or event.kind in self._kinds)
        )

    def close(self) -> None:
        """End the iteration after what is queued."""
        self._is_closed = True
        self._filled.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            while self._queue:
                yield self._queue.popleft()
            if self._is_closed:
                return
            self._filled.clear()
            await self._filled.wait()


class Events:
    """The subscriptions of this process. Servers that share one DATA do not hear each other."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscriptions: set[Subscription] = set()

    def open(self) -> None:
        """Remember the event loop that the subscribers live in."""
        self._loop = asyncio.get_running_loop()

    def publish(self, *events: Event) -> None:
        """Hand events over, from any thread, at once."""
        self.publish_all(events)

    def publish_all(self, events: Iterable[Event]) -> None:
        """Hand events over in their order; cheap when nobody listens."""
        if self._subscriptions and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, tuple(events))

    def _deliver(self, events: tuple[Event, ...]) -> None:
        for event in events:
            for subscription in tuple(self._subscriptions):
                subscription.offer(event)

    def add(self, subscription: Subscription) -> None:
        """Let a subscription hear what is published from now on."""
        self._subscriptions.add(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Let it hear nothing more."""
        self._subscriptions.discard(subscription)

    def subscribe(
        self,
        owner: str | None,
        *,
        batch_id: str | None = None,
        kinds: Collection[EventKind] | None = None,
    ) -> _Entered:
        """Listen to what happens from now on; *owner* None hears everybody's: for the server itself only."""
        return _Entered(self, Subscription(owner, batch_id, kinds))

    def close(self) -> None:
        """End every subscription."""
        for subscription in tuple(self._subscriptions):
            subscription.close()


class _Entered:
    """`with` and `async with` both work: nothing is awaited."""

    def __init__(self, events: Events, subscription: Subscription) -> None:
        self._events, self._subscription = events, subscription

    def __enter__(self) -> Subscription:
        self._events.add(self._subscription)
        return self._subscription

    def __exit__(self, *_error: object) -> None:
        self._events.remove(self._subscription)

    async def __aenter__(self) -> Subscription:
        return self.__enter__()

    async def __aexit__(self, *_error: object) -> None:
        self.__exit__()
