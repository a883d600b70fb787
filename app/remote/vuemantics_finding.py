"""A POST whose answer was lost may have arrived: its files are looked for before they are sent again.

account's batches, newest first ── down to the newest one before the POST, without those whose answers were heard
    └─► none left: nothing arrived.   Else: the account's files, by batch, name when sent, and size
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.domain.failure import Failure, FailureKind, TransferError
from app.remote.answer import Answer
from app.remote.base import Outgoing, RemoteFile
from app.remote.vuemantics_fields import BatchRecord, batch_record, file_of, possible_names
from app.remote.vuemantics_posts import Posts
from app.remote.vuemantics_reading import Ask, Pace

PAGE = 100
MOST_PAGES = 20
_PARTS = 10
_AGAIN_S = 5.0
_ZONES_S = 15 * 3600.0
"""Times come without a zone: nothing is further apart than this."""
_Row = Mapping[str, Any]


class Finding:
    """Looks for lost files for one connection. *doubts* (when a batch was first seen unfinished) is the account's."""

    def __init__(
        self,
        ask: Ask,
        refused: Callable[[Answer], TransferError],
        posts: Posts,
        doubts: dict[str, float],
        pace: Pace,
    ) -> None:
        self._ask = ask
        self._refused = refused
        self._posts = posts
        self._doubts = doubts
        self._pace = pace

    async def find(self, outgoings: Sequence[Outgoing]) -> dict[str, RemoteFile]:
        """Return what arrived of these files, by their keys (FindServer.find). Raises TransferError(BUSY) while the server may
        still be taking the request."""
        times = [each.begun_at for each in outgoings]
        begun_at = None if None in times else min((time for time in times if time is not None), default=None)
        for pause_s in (0.0, *self._pace.settle_looks_s):
            await asyncio.sleep(pause_s)
            lost = await self._lost(begun_at) if outgoings else {}
            rows = await self._rows(lost) if lost else []
            if self._are_settled(lost, rows):
                return _matched(outgoings, rows, lost)
        why = "the server is still storing what was sent before"
        raise TransferError(Failure(FailureKind.BUSY, why, retry_after_s=_AGAIN_S))

    async def newest(self) -> str:
        """Return the id of the account's newest batch, "" if it has none."""
        newest = await self.page(1, 0)
        return newest[0].id if newest else ""

    async def page(self, limit: int, offset: int) -> list[BatchRecord]:
        """Return a page of the account's batches, newest first."""
        answer = await self._ask("GET", f"/v1/uploads/batches?limit={limit}&offset={offset}")
        if not answer.ok:
            raise self._refused(answer)
        return [batch_record(each) for each in answer.array() if isinstance(each, dict)]

    async def _lost(self, begun_at: float | None) -> dict[str, BatchRecord]:
        """Return the batches that were made since *begun_at*, and whose answers nobody heard."""
        before, known = self._posts.newest_before(begun_at), self._posts.known_batches()
        lost: dict[str, BatchRecord] = {}
        for number in range(MOST_PAGES):
            page = await self.page(PAGE, number * PAGE)
            for batch in page:
                is_older = batch.id == before if before is not None else _is_before(batch.created, begun_at)
                if is_older:
                    return lost
                if batch.id not in known and batch.total:
                    lost[batch.id] = batch
            if len(page) < PAGE:
                break
        return lost

    async def _rows(self, lost: Mapping[str, BatchRecord]) -> list[_Row]:
        """Return the files of these batches, as far as the account's list of files has them, newest first."""
        wanted = sum(batch.total for batch in lost.values())
        rows: list[_Row] = []
        for number in range(1, 2 * -(-wanted // PAGE) + MOST_PAGES):
            page = await self._file_page(number, PAGE)
            rows += [row for row in page if _batch_of(row) in lost]
            if len(rows) >= wanted or not page:
                break
        return rows

    async def _file_page(self, number: int, size: int) -> list[_Row]:
        """Return a page. One broken row (an empty file) answers 500 for every page that holds it: it is cut out."""
        query = f"page={number}&page_size={size}&sort_by=created_at&sort_order=desc"
        answer = await self._ask("GET", f"/v1/uploads?{query}")
        if answer.status != 500:
            if not answer.ok:
                raise self._refused(answer)
            items = answer.json().get("items")
            return [row for row in items if isinstance(row, dict)] if isinstance(items, list) else []
        if size == 1:
            return []
        first = (number - 1) * _PARTS + 1
        return [row for part in range(_PARTS) for row in await self._file_page(first + part, size // _PARTS)]

    def _are_settled(self, lost: Mapping[str, BatchRecord], rows: Sequence[_Row]) -> bool:
        """A server goes on storing what it has whole, though its client is gone: what is not there yet may come."""
        now = asyncio.get_running_loop().time()
        for batch in lost.values():
            there = sum(_batch_of(row) == batch.id for row in rows)
            if batch.is_over or there >= batch.total:
                continue
            if now - self._doubts.setdefault(batch.id, now) < self._pace.settle_s:
                return False
        return True


def _matched(
    outgoings: Sequence[Outgoing], rows: Sequence[_Row], lost: Mapping[str, BatchRecord]
) -> dict[str, RemoteFile]:
    """Give each file one row of its name and size; no row is given twice."""
    found: dict[str, RemoteFile] = {}
    by_name: dict[tuple[str, object], list[_Row]] = {}
    for row in rows:
        by_name.setdefault((_name_of(row), row.get("file_size")), []).append(row)
    for outgoing in outgoings:
        for name in possible_names(outgoing):
            alike = by_name.get((name, outgoing.size_bytes))
            if alike:
                row = alike.pop()
                batch = lost[_batch_of(row)]
                found[outgoing.key] = file_of(f"{batch.id}/{row.get('id')}", row, batch)
                break
    return found


def _metadata(row: _Row) -> Mapping[str, Any]:
    metadata = row.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _batch_of(row: _Row) -> str:
    return str(_metadata(row).get("batch_id"))


def _name_of(row: _Row) -> str:
    return str(_metadata(row).get("original_filename") or row.get("filename"))


def _is_before(created: str, begun_at: float | None) -> bool:
    """Whether a batch is surely older than a request, whatever zone the server's time is of."""
    if begun_at is None:
        return False
    try:
        when = datetime.fromisoformat(created)
    except ValueError:
        return False
    return when.replace(tzinfo=when.tzinfo or UTC).timestamp() < begun_at - _ZONES_S
