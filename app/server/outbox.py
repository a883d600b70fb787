"""Events that must reach a webhook: written in the transaction that they tell of, delivered later, at most one sender at a time.

pending ──claim──► sending ──2xx──► delivered
   ▲                  │
   └── later, twice as long each time ──┴── after the last try ──► failed ──retry by a person──► pending

A receiver that must not act twice compares `event_id`: a server that dies between the answer and the commit sends again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, bindparam, func, select, update

from app.server.clock import iso
from app.server.database import Transaction
from app.server.problems import Problem
from app.server.schema import outbox

WAKE = "outbox"
FIRST_DELAY_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 3600.0
MOST_ATTEMPTS = 12


class DeliveryStatus(StrEnum):
    """Where one event stands."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event and how its delivery goes."""

    event_id: str
    kind: str
    owner: str
    file_id: str | None
    batch_id: str | None
    payload: Mapping[str, Any]
    status: DeliveryStatus
    attempts: int
    created_at: str
    next_attempt_at: str
    delivered_at: str | None
    last_error: str | None


_SELECT = select(*[outbox.c[name] for name in Delivery.__slots__])


def _delivery(row: Any) -> Delivery:
    values = dict(row._mapping)
    values["status"] = DeliveryStatus(values["status"])
    values["payload"] = json.loads(values["payload"])
    return Delivery(**values)


def add(
    tx: Transaction,
    *,
    kind: str,
    owner: str,
    data: Mapping[str, Any],
    now: str,
    file_id: str | None = None,
    batch_id: str | None = None,
) -> str:
    """Write an event down and return its id. *data* must hold no secret; its keys stand beside the common ones."""
    event_id = str(uuid4())
    payload = {"event_id": event_id, "event": kind, "occurred_at": now, "actor": owner or None, **data}
    tx.execute(
        outbox.insert(),
        {
            "event_id": event_id,
            "kind": kind,
            "owner": owner,
            "file_id": file_id,
            "batch_id": batch_id,
            "payload": json.dumps(payload),
            "status": DeliveryStatus.PENDING,
            "created_at": now,
            "next_attempt_at": now,
        },
    )
    tx.wake(WAKE)
    return event_id


def get(connection: Connection, owner: str, event_id: str) -> Delivery:
    """Return one event; raises `Problem("event_not_found")`."""
    row = connection.execute(_SELECT.where(outbox.c.event_id == event_id, outbox.c.owner == owner)).first()
    if row is None:
        raise Problem("event_not_found")
    return _delivery(row)


def of_file(connection: Connection, owner: str, file_id: str) -> list[Delivery]:
    """Return the events that tell of a file, the oldest first."""
    wanted = (outbox.c.file_id == file_id) & (outbox.c.owner == owner)
    return [_delivery(row) for row in connection.execute(_SELECT.where(wanted).order_by(outbox.c.seq))]


def page(connection: Connection, owner: str, limit: int, offset: int) -> tuple[list[Delivery], int]:
    """Return events, the newest first, and how many there are."""
    mine = outbox.c.owner == owner
    rows = connection.execute(_SELECT.where(mine).order_by(outbox.c.seq.desc()).limit(limit).offset(offset))
    total = connection.execute(select(func.count()).select_from(outbox).where(mine)).scalar_one()
    return [_delivery(row) for row in rows], total


def delay_seconds(attempts: int) -> float:
    """Return how long to wait after so many failed attempts: 2, 4, 8 … seconds, an hour at most."""
    return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** (attempts - 1))


_DUE = (
    select(outbox.c.seq)
    .where(outbox.c.status == DeliveryStatus.PENDING, outbox.c.next_attempt_at <= bindparam("now"))
    .order_by(outbox.c.next_attempt_at, outbox.c.seq)
    .limit(1)
)
_CLAIM = (
    update(outbox)
    .where(outbox.c.seq == _DUE.scalar_subquery())
    .values(
        status=DeliveryStatus.SENDING.value, worker=bindparam("by_worker"), attempts=outbox.c.attempts + 1
    )
    .returning(outbox.c.event_id, outbox.c.owner)
)


def claim(tx: Transaction, worker: str, now: str) -> Delivery | None:
    """Take the event that is due first, or None."""
    row = tx.execute(_CLAIM, {"now": now, "by_worker": worker}).first()
    return None if row is None else get(tx.connection, row.owner, row.event_id)


def delivered(tx: Transaction, event_id: str, now: str) -> None:
    """Note that the webhook has taken an event."""
    values = {"status": DeliveryStatus.DELIVERED, "delivered_at": now, "last_error": None, "worker": None}
    tx.execute(update(outbox).where(outbox.c.event_id == event_id).values(values))


def refused(tx: Transaction, delivery: Delivery, error: str, moment: datetime) -> None:
    """Note that an attempt failed; after the last one for good."""
    is_final = delivery.attempts >= MOST_ATTEMPTS
    due = iso(moment + timedelta(seconds=delay_seconds(delivery.attempts)))
    values = {
        "status": DeliveryStatus.FAILED if is_final else DeliveryStatus.PENDING,
        "next_attempt_at": due,
        "last_error": error,
        "worker": None,
    }
    tx.execute(update(outbox).where(outbox.c.event_id == delivery.event_id).values(values))


def retry(tx: Transaction, owner: str, event_id: str, now: str) -> Delivery:
    """Send an event again from the start of its attempts, because a person says so.

    Raises `Problem` event_not_found, or not_over while it is being sent.
    """
    if get(tx.connection, owner, event_id).status is DeliveryStatus.SENDING:
        raise Problem("not_over")
    values = {"status": DeliveryStatus.PENDING, "attempts": 0, "next_attempt_at": now, "delivered_at": None}
    tx.execute(update(outbox).where(outbox.c.event_id == event_id).values(values))
    tx.wake(WAKE)
    return get(tx.connection, owner, event_id)


def workers(connection: Connection) -> list[str]:
    """Return who is sending, dead or alive."""
    wanted = outbox.c.status == DeliveryStatus.SENDING
    return list(connection.execute(select(outbox.c.worker).where(wanted).distinct()).scalars())


def recover(tx: Transaction, worker: str) -> None:
    """Put back what a dead server was sending."""
    lost = (outbox.c.worker == worker) & (outbox.c.status == DeliveryStatus.SENDING)
    tx.execute(update(outbox).where(lost).values(status=DeliveryStatus.PENDING, worker=None))


def next_due(connection: Connection) -> str | None:
    """Return when the next pending event is due."""
    wanted = outbox.c.status == DeliveryStatus.PENDING
    due: str | None = connection.execute(select(func.min(outbox.c.next_attempt_at)).where(wanted)).scalar()
    return due
