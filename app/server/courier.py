"""Delivers the outbox to the webhook: one POST an event, signed, one after another.

POST <--webhook-url>   Content-Type: application/json   X-Uphaul-Event: <event>   X-Uphaul-Delivery: <event_id>
X-Uphaul-Signature: sha256=<hex HMAC-SHA256 of the body with the secret>          any 2xx takes it
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import datetime

from app.server import outbox
from app.server.clock import Clock, iso
from app.server.config import Webhook
from app.server.database import Database
from app.server.life import Life
from app.server.outbox import Delivery
from app.server.problems import Problem

ANSWER_SECONDS = 10.0
LONGEST_SLEEP_SECONDS = 30.0

log = logging.getLogger("uphaul.outbox")


class Courier:
    """The one who walks to the webhook; without a webhook, events wait in the outbox."""

    def __init__(self, database: Database, life: Life, webhook: Webhook | None, clock: Clock) -> None:
        self._database, self._life, self._webhook, self._clock = database, life, webhook, clock
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin, if there is a webhook."""
        self._loop = asyncio.get_running_loop()
        if self._webhook is not None:
            self._main = asyncio.create_task(self._run(self._webhook))

    def wake(self) -> None:
        """Say that there may be something to deliver; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def close(self) -> None:
        """Stop; what is on its way is put back."""
        if self._main is not None:
            self._main.cancel()
            with suppress(asyncio.CancelledError):
                await self._main
            await self._database.write(outbox.recover, self._life.id)

    async def _run(self, webhook: Webhook) -> None:
        while True:
            self._wake.clear()
            try:
                await self._bury()
                while await self._deliver_next(webhook):
                    pass
                pause = await self._pause_seconds()
            except Problem:  # the database is busy: the next round is not far
                log.warning("event=outbox_not_read", exc_info=True)
                pause = 1.0
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _bury(self) -> None:
        for worker in await self._database.read(outbox.workers):
            if self._life.is_dead(worker):
                await self._database.write(outbox.recover, worker)

    async def _pause_seconds(self) -> float:
        due = await self._database.read(outbox.next_due)
        if due is None:
            return LONGEST_SLEEP_SECONDS
        return min(
            LONGEST_SLEEP_SECONDS, max(0.01, (datetime.fromisoformat(due) - self._clock()).total_seconds())
        )

    async def _deliver_next(self, webhook: Webhook) -> bool:
        delivery = await self._database.write(outbox.claim, self._life.id, iso(self._clock()))
        if delivery is None:
            return False
        error = await asyncio.to_thread(send, webhook, delivery)
        if error is None:
            await self._database.write(outbox.delivered, delivery.event_id, iso(self._clock()))
        else:
            log.info(
                "event=not_delivered event_id=%s attempt=%d error=%r",
                delivery.event_id,
                delivery.attempts,
                error,
            )
            await self._database.write(outbox.refused, delivery, error, self._clock())
        return True


def sign(secret: str, content: bytes) -> str:
    """Return what X-Uphaul-Signature says of a body."""
    return "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_more: object) -> None:
        """A redirect would take the signed body elsewhere: it counts as a refusal."""


def send(webhook: Webhook, delivery: Delivery) -> str | None:
    """POST one event; return what went wrong, or None. Blocks."""
    content = json.dumps(delivery.payload).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Uphaul",
        "X-Uphaul-Event": delivery.kind,
        "X-Uphaul-Delivery": delivery.event_id,
    }
    if webhook.secret:
        headers["X-Uphaul-Signature"] = sign(webhook.secret, content)
    request = urllib.request.Request(webhook.url, content, headers, method="POST")  # noqa: S310 - checked at the start
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=ANSWER_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return f"The webhook answered {error.code}."
    except (OSError, ValueError) as error:
        return f"The webhook cannot be reached: {error}."
