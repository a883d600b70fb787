"""Rows of the journal to values and back: pure, and quick enough to load 100,000 transfers in half a second.

Not stored: a transfer's ``sent_bytes`` and ``speed_bps`` (true of a running program only), a batch's counters.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from app.domain.batch import Batch, IntakeReport, SkippedPath
from app.domain.failure import Failure, FailureKind
from app.domain.state import CancelEnding, TransferState
from app.domain.transfer import Transfer

Row = tuple[Any, ...]

BATCH_COLUMNS = (
    "id", "name", "profile_id", "created_at", "remote_id", "remote_folder", "started_at", "finished_at", "scanning",
    "paused", "ending", "answer", "target", "roots", "report",
)  # fmt: skip
TRANSFER_COLUMNS = (
    "id", "batch_id", "position", "source", "relative_path", "size_bytes", "mtime_ns", "state", "offset_bytes",
    "remote_id", "sha256", "ending", "answer", "attempts", "retry_at", "generation",
    "failure_kind", "failure_detail", "failure_http", "failure_retry_s", "failure_limit", "begun_at",
)  # fmt: skip

STATES = {state.value: state for state in TransferState}
ENDINGS: dict[str | None, CancelEnding | None] = {None: None} | {
    ending.value: ending for ending in CancelEnding
}
KINDS: dict[str | None, FailureKind | None] = {None: None} | {kind.value: kind for kind in FailureKind}
_INT64 = 2**63


class NotUnderstoodError(ValueError):
    """A row holds something that this version does not know; the message says what."""


def upsert(table: str, columns: Sequence[str]) -> str:
    """Return the statement that inserts a row or updates it; unlike REPLACE it leaves unchanged indexes alone."""
    places = ", ".join("?" * len(columns))
    changes = ", ".join(f"{column} = excluded.{column}" for column in columns[1:])
    names = ", ".join(columns)
    return f"INSERT INTO {table} ({names}) VALUES ({places}) ON CONFLICT (id) DO UPDATE SET {changes}"  # noqa: S608


def text_in(text: str | None) -> str | bytes | None:
    """Return *text* as SQLite can hold it: itself, or bytes where it has lone surrogates."""
    if text is None or text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def text_out(value: str | bytes | None) -> str | None:
    """Undo :func:`text_in`."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def batch_row(batch: Batch) -> Row:
    """Return the row of *batch* in the order of BATCH_COLUMNS, roots and report still objects: see :func:`with_json`."""
    return (
        batch.id,
        text_in(batch.name),
        text_in(batch.profile_id),
        float(batch.created_at),
        text_in(batch.remote_id),
        text_in(batch.remote_folder),
        batch.started_at,
        batch.finished_at,
        int(batch.scanning),
        int(batch.paused),
        batch.ending.value if batch.ending else None,
        text_in(batch.answer),
        text_in(batch.target),
        batch.roots,
        batch.report,
    )


def with_json(row: Row) -> Row:
    """Turn the last two values of a :func:`batch_row` into JSON; a report names up to 1,000 paths."""
    *values, roots, report = row
    return (*values, json.dumps(roots), json.dumps(asdict(report)) if report else None)


def batch_of(row: Row) -> Batch:
    """Return the batch of a row; raise NotUnderstoodError."""
    (
        id_,
        name,
        profile,
        created,
        remote,
        folder,
        started,
        finished,
        scanning,
        paused,
        ending,
        answer,
        target,
        roots,
        report,
    ) = row
    if ending not in ENDINGS:
        raise NotUnderstoodError(f"unknown ending {ending!r}")
    return Batch(
        id_,
        text_out(name) or "",
        text_out(profile) or "",
        created,
        remote_id=text_out(remote),
        remote_folder=text_out(folder),
        started_at=started,
        finished_at=finished,
        scanning=bool(scanning),
        paused=bool(paused),
        roots=_roots_of(roots),
        report=_report_of(report),
        ending=ENDINGS[ending],
        answer=text_out(answer) or "",
        target=text_out(target),
    )


def _roots_of(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(root) for root in json.loads(text))
    except (ValueError, TypeError) as error:
        raise NotUnderstoodError(f"the dropped paths cannot be read: {error}") from error


def _report_of(text: str | None) -> IntakeReport | None:
    if text is None:
        return None
    try:
        raw = json.loads(text)
        return IntakeReport(
            int(raw["files"]),
            int(raw["size_bytes"]),
            int(raw["folders"]),
            int(raw["empty_folders"]),
            tuple((str(reason), int(count)) for reason, count in raw["skipped_count"]),
            tuple(SkippedPath(str(each["path"]), str(each["reason"])) for each in raw["skipped"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise NotUnderstoodError(f"the report cannot be read: {error}") from error


def transfer_row(transfer: Transfer) -> Row:
    """Return the row of *transfer* in the order of TRANSFER_COLUMNS."""
    mtime = transfer.mtime_ns
    failure = transfer.failure
    return (
        transfer.id,
        transfer.batch_id,
        transfer.position,
        os.fsencode(transfer.source),
        text_in(transfer.relative_path),
        transfer.size_bytes,
        mtime if -_INT64 <= mtime < _INT64 else str(mtime),
        transfer.state.value,
        transfer.offset_bytes,
        text_in(transfer.remote_id),
        transfer.sha256,
        transfer.ending.value if transfer.ending else None,
        text_in(transfer.answer),
        transfer.attempts,
        transfer.retry_at,
        transfer.generation,
        *(_NO_FAILURE if failure is None else _failure_in(failure)),
        transfer.begun_at,
    )


_NO_FAILURE: Row = (None, None, None, None, None)


def _failure_in(failure: Failure) -> Row:
    return (
        failure.kind.value,
        text_in(failure.detail),
        failure.http_status,
        failure.retry_after_s,
        failure.limit_bytes,
    )


def transfer_of(row: Row) -> Transfer:
    """Return the transfer of a row; raise NotUnderstoodError. Written flat because it runs 100,000 times at a start."""
    (
        id_, batch_id, position, source, relative_path, size, mtime, state, offset, remote_id, sha256, ending, answer,
        attempts, retry_at, generation, kind, detail, http, retry_s, limit, begun_at,
    ) = row  # fmt: skip
    if state not in STATES or ending not in ENDINGS or kind not in KINDS:
        raise NotUnderstoodError(reason_of(state, kind, ending))
    return Transfer(
        id_,
        batch_id,
        position,
        os.fsdecode(source),
        relative_path if type(relative_path) is str else text_out(relative_path) or "",
        size,
        mtime if type(mtime) is int else int(mtime),
        STATES[state],
        offset,
        offset,
        remote_id if type(remote_id) is not bytes else text_out(remote_id),
        sha256,
        None if kind is None else Failure(FailureKind(kind), text_out(detail) or "", http, retry_s, limit),
        ENDINGS[ending],
        answer if type(answer) is str else text_out(answer) or "",
        attempts,
        retry_at,
        0.0,
        generation,
        begun_at,
    )


def reason_of(state: object, kind: object, ending: object) -> str:
    """Say which of a transfer's words this version does not know ("" if it knows all)."""
    if state not in STATES:
        return f"unknown state {state!r}"
    if kind not in KINDS:
        return f"unknown kind of failure {kind!r}"
    return f"unknown ending {ending!r}" if ending not in ENDINGS else ""


def columns(names: Sequence[str], table: str = "") -> str:
    """Return the columns for a SELECT."""
    return ", ".join(f"{table}.{name}" if table else name for name in names)
