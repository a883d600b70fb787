"""The commands themselves: each drives the manager, prints its result and returns the exit code."""

import asyncio
import os
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.cli_output import BATCH_OVER, Output, batch_json, id_width, path_of, printable, transfer_json
from app.cli_session import CliError, Secret, Session, open_session
from app.domain.batch import BatchView
from app.domain.events import CancelEnded
from app.domain.paths import SkipReason
from app.domain.state import CANCELLABLE, CancelEnding, TransferState
from app.domain.transfer import TransferView
from app.words import (
    ago_text,
    batch_ended,
    batch_state_text,
    cancel_summary,
    count_text,
    failure_text,
    report_text,
    size_text,
    skip_text,
    state_word,
    what_happened,
)

ALL_WELL, SOME_FAILED, CANNOT = 0, 1, 2
_S = TransferState
_ASKED_FOR_BUT_LEFT_OUT = frozenset({SkipReason.UNREADABLE.value, SkipReason.MISSING.value})
_HEAR_FROM_SERVER_S = 30.0
_PATIENCE_S = 3.0
_LOOK_EVERY_S = 0.2
_OPEN = CANCELLABLE | {_S.CANCELLING}


async def upload(args: Namespace, output: Output, given: Secret | None) -> int:
    """Send paths as one new batch, and wait for its end."""
    check_paths(args.paths)
    async with open_session(output, given) as session:
        profile_id = await session.server(args.server)
        target = await session.target(profile_id, args.project, new=args.new_project)
        batch_id = await session.manager.add(args.paths, profile_id, args.batch_name, target)
        (batch,) = await session.wait([batch_id])
        await refuse_empty(session, batch)
        code, value, lines = await _outcome(session, batch)
        output.result(value, lines)
        return code


async def refuse_empty(session: Session, batch: BatchView) -> None:
    """Take a batch away in which nothing was found, and raise CliError with the reasons."""
    if batch.total_files == 0 and batch.state in BATCH_OVER:
        why = [report_text(batch.report)] if batch.report else []
        why += [f"{skip_text(SkipReason(reason), count)}." for reason, count in _left_out(batch)]
        await session.manager.remove([batch.id])
        raise CliError("no_files", " ".join(["There is nothing to upload.", *why]))


async def resume(args: Namespace, output: Output, given: Secret | None) -> int:
    """Go on with everything that is not finished, and wait for its end."""
    async with open_session(output, given) as session:
        batches = [b for b in await session.manager.batches() if _is_open(b)]
        problems = await session.connect_again(batches)
        for batch in batches:
            if batch.id in problems:
                output.say(f"{printable(batch.name)}: {problems[batch.id].sentence}")
        ours = [batch.id for batch in batches if batch.id not in problems]
        for batch_id in ours:
            await session.manager.resume([batch_id])
        ended = await session.wait(ours)
        await _until_heard(session, ours, _is_cancelling)
        outcomes = [await _outcome(session, batch) for batch in ended]
        codes = [code for code, _, _ in outcomes] + [CANNOT for _ in problems]
        lines = [line for _, _, some in outcomes for line in some] or ["Nothing is unfinished."]
        output.result(
            {
                "batches": [value for _, value, _ in outcomes],
                "left": [
                    {"id": batch_id, "error": {"code": error.code, "message": error.sentence}}
                    for batch_id, error in problems.items()
                ],
            },
            lines if outcomes or not problems else [],
        )
        return max(codes, default=ALL_WELL)


async def status(args: Namespace, output: Output) -> int:
    """Say how batches stand, from the journal; a program that works on them is not disturbed."""
    async with open_session(output) as session:
        now = time.time()
        batches = await session.manager.batches()
        width = id_width(batch.id for batch in batches)
        if args.batch is None:
            lines = [line for batch in batches for line in await _batch_lines(session, batch, now, width)]
            listed = {"batches": [batch_json(batch, now) for batch in batches]}
            output.result(listed, lines or ["Nothing has been uploaded yet."])
            return ALL_WELL
        batch = find_batch(batches, args.batch)
        if batch is None:
            raise CliError("not_found", f"There is no batch “{printable(args.batch)}”.")
        rows = await session.manager.transfers(batch.id)
        value = {"batch": batch_json(batch, now), "transfers": [transfer_json(row, now) for row in rows]}
        each = id_width(row.id for row in rows)
        lines = [_batch_line(batch, now, width), *(_transfer_line(row, now, each) for row in rows)]
        output.result(value, lines)
        return ALL_WELL


async def cancel(args: Namespace, output: Output, given: Secret | None) -> int:
    """Cancel a batch or one file, whoever uploads it, and say how it ended."""
    async with open_session(output, given) as session:
        batches = await session.manager.batches()
        batch = find_batch(batches, args.what)
        wanted = None
        if batch is None:
            batch, wanted = await find_transfer(session, batches, args.what)
        ended = await end(session, batch, wanted)
        output.result(ended.value, [f"{_name(batch, wanted)}: {ended.message}"])
        return ALL_WELL if ended.is_confirmed else SOME_FAILED


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a cancel: has the server answered for every file, how many ended how; batch and file as they are."""

    is_confirmed: bool
    message: str
    endings: dict[str, int]
    batch: BatchView
    transfer: TransferView | None

    @property
    def value(self) -> dict[str, Any]:
        """The JSON of docs/CLI.md."""
        now = time.time()
        value = {"batch": batch_json(self.batch, now), "endings": self.endings, "message": self.message}
        return value | ({"transfer": transfer_json(self.transfer, now)} if self.transfer else {})


async def end(session: Session, batch: BatchView, wanted: TransferView | None) -> Ended:
    """Cancel *batch*, or the file *wanted* of it alone; wait for the server's answer. Raises CliError."""
    rows = (
        [wanted] if wanted else [r for r in await session.manager.transfers(batch.id) if _is_cancellable(r)]
    )
    is_over = batch.state in BATCH_OVER or (wanted is not None and wanted.state is _S.SKIPPED)
    if is_over and not any(_is_cancellable(row) for row in rows):
        raise CliError("nothing_to_cancel", f"{_name(batch, wanted)} is over; there is nothing to cancel.")
    await _ask(session, batch, wanted)
    await _until_heard(session, [batch.id], _is_open, wanted)
    return await _ending(session, batch, rows, wanted)


async def _ask(session: Session, batch: BatchView, wanted: TransferView | None) -> None:
    """Ask the program that works on it, which is signed in; sign in only where the cancel is ours to carry out."""
    is_elsewhere = session.manager.is_elsewhere(batch.id)
    if not is_elsewhere:
        await _sign_in(session, batch)
    if wanted:
        await session.manager.cancel_transfers([wanted.id])
    else:
        await session.manager.cancel_batch(batch.id)
    if is_elsewhere and not session.manager.is_elsewhere(batch.id):
        await _sign_in(session, batch)  # that program ended in this moment


async def _sign_in(session: Session, batch: BatchView) -> None:
    for problem in (await session.connect_again([batch])).values():
        session.output.say(problem.sentence)


async def _ending(
    session: Session, batch: BatchView, rows: Sequence[TransferView], wanted: TransferView | None
) -> Ended:
    asked = {row.id for row in rows}
    after = [row for row in await session.manager.transfers(batch.id) if row.id in asked or not asked]
    still_open = sum(row.state in _OPEN for row in after)
    counts = Counter(ending.value for row in after if (ending := _ending_of(row)))
    failed = sum(row.state is _S.FAILED for row in after)
    told = CancelEnded(batch.id, batch.name, wanted is None, tuple(sorted(counts.items())))
    summary = cancel_summary(told, failed=failed)
    if still_open:
        summary = (
            f"The cancel of {count_text(still_open, 'file')} is not confirmed yet. It is kept, and goes on with "
            "`uphaul resume` or in the window."
        )
    (seen,) = await session.views([batch.id])
    is_confirmed = not still_open and not counts[CancelEnding.CLEANUP_PENDING.value]
    return Ended(is_confirmed, summary, dict(counts), seen, after[0] if wanted else None)


async def _until_heard(
    session: Session,
    batch_ids: Sequence[str],
    waits: Callable[[BatchView], bool],
    wanted: TransferView | None = None,
) -> None:
    """Wait, but not for ever, while one of these batches (or the file *wanted*) waits for its cancel's ending."""
    started, told = time.monotonic(), False
    while (passed := time.monotonic() - started) < _HEAR_FROM_SERVER_S:
        if wanted:
            details = await session.manager.details(wanted.id)
            is_open = details is not None and _is_cancellable(details.view)
        else:
            is_open = any(waits(batch) for batch in await session.views(batch_ids))
        if not is_open:
            return
        if passed > _PATIENCE_S and not told:
            session.output.say("Waiting for the server to confirm.")
            told = True
        await asyncio.sleep(_LOOK_EVERY_S)


def check_paths(paths: Sequence[str]) -> None:
    """Raise CliError for the first path that is missing or may not be read."""
    for path in paths:
        try:
            found = os.path.lexists(path)
        except ValueError:
            found = False
        if not found:
            raise CliError("missing", f"“{printable(path)}” does not exist.")
        if not os.path.islink(path) and not os.access(path, os.R_OK):
            raise CliError("unreadable", f"“{printable(path)}” cannot be read. Check that you may open it.")


def find_batch(batches: Sequence[BatchView], text: str) -> BatchView | None:
    """Return the batch with this id, this name, or an id that begins so; None if there is none. Raises CliError."""
    for matches in (
        [b for b in batches if b.id == text],
        [b for b in batches if b.name == text],
        [b for b in batches if len(text) >= 4 and b.id.startswith(text.lower())],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            width = id_width(batch.id for batch in matches)
            ids = ", ".join(batch.id[:width] for batch in matches)
            raise CliError(
                "ambiguous",
                f"“{printable(text)}” could be {len(matches)} batches: {ids}. Give one of these ids.",
            )
    return None


async def find_transfer(
    session: Session, batches: Sequence[BatchView], text: str
) -> tuple[BatchView, TransferView]:
    """Return the file with this id, an id that begins so, or this path; unfinished batches first. Raises CliError."""
    for some in ([b for b in batches if _is_open(b)], [b for b in batches if not _is_open(b)]):
        rows = [(batch, row) for batch in some for row in await session.manager.transfers(batch.id)]
        for matches in (
            [pair for pair in rows if pair[1].id == text],
            [(batch, row) for batch, row in rows if text in (path_of(row), f"{batch.name}/{path_of(row)}")],
            [pair for pair in rows if len(text) >= 4 and pair[1].id.startswith(text.lower())],
        ):
            if len(matches) == 1:
                return matches[0]
            if matches:
                width = id_width(row.id for _, row in matches)
                ids = ", ".join(
                    f"{row.id[:width]} ({printable(path_of(row))} in {printable(batch.name)})"
                    for batch, row in matches[:5]
                )
                raise CliError(
                    "ambiguous",
                    f"“{printable(text)}” could be {len(matches)} files: {ids}. Give one of these ids.",
                )
    raise CliError("not_found", f"There is no batch and no file “{printable(text)}”.")


async def _outcome(session: Session, batch: BatchView) -> tuple[int, dict[str, Any], list[str]]:
    """Return exit code, JSON and lines for a batch that is over or cannot go on by itself."""
    now = time.time()
    rows = await session.manager.transfers(batch.id)
    bad = [row for row in rows if is_problem(row)]
    folder = await session.manager.folder(batch.id)
    value: dict[str, Any] = {
        "batch": batch_json(batch, now),
        "folder": os.fspath(folder) if folder else None,
        "problems": [transfer_json(row, now) for row in bad],
    }
    if batch.state not in BATCH_OVER:
        stopper = next((row.failure for row in rows if row.state is _S.WAITING and row.failure), None)
        why = failure_text(stopper) if stopper else f"{batch_state_text(batch, now)}."
        value["error"] = {"code": stopper.kind.value if stopper else "unfinished", "message": why}
        return CANNOT, value, [f"{printable(batch.name)} is not finished. {why} `uphaul resume` goes on."]
    title, body = batch_ended(batch)
    lines = [f"{printable(title)}: {body.rstrip('.')}" if batch.state in BATCH_OVER else title]
    lines += [f"  {printable(path_of(row))}: {printable(what_happened(row, now))}" for row in bad]
    lines += [f"  {skip_text(SkipReason(reason), count)}" for reason, count in _left_out(batch)]
    if folder:
        lines.append(f"  {printable(os.fspath(folder))}")
    return (SOME_FAILED if bad else ALL_WELL), value, lines


def is_problem(row: TransferView) -> bool:
    asked_for = row.state is _S.SKIPPED and row.answer in _ASKED_FOR_BUT_LEFT_OUT
    return asked_for or row.state in (_S.FAILED, _S.CANCELLED)


def _is_open(batch: BatchView) -> bool:
    return batch.state not in BATCH_OVER or batch.ending is CancelEnding.CLEANUP_PENDING


def _is_cancelling(batch: BatchView) -> bool:
    return batch.files.get(_S.CANCELLING, 0) > 0 or batch.ending is CancelEnding.CLEANUP_PENDING


def _ending_of(row: TransferView) -> CancelEnding | None:
    """How its cancel ended; whoever uploads it may have finished before our wish was read."""
    return CancelEnding.FINISHED_FIRST if not row.ending and row.state is _S.COMPLETED else row.ending


def _is_cancellable(row: TransferView) -> bool:
    return row.state in _OPEN or row.ending is CancelEnding.CLEANUP_PENDING


def _left_out(batch: BatchView) -> list[tuple[str, int]]:
    known = {reason.value for reason in SkipReason}
    return [pair for pair in (batch.report.skipped_count if batch.report else ()) if pair[0] in known]


def _name(batch: BatchView, row: TransferView | None) -> str:
    return printable(path_of(row) if row else batch.name)


async def _batch_lines(session: Session, batch: BatchView, now: float, width: int) -> list[str]:
    """Return the line of a batch, and below it why it waits, if it does: that is in the journal file by file."""
    lines = [_batch_line(batch, now, width)]
    if batch.files.get(_S.WAITING):
        rows = await session.manager.transfers(batch.id)
        stopped = next((row for row in rows if row.state is _S.WAITING and row.failure), None)
        lines += [f"{'':{width}}  {printable(what_happened(stopped, now))}"] if stopped else []
    return lines


def _batch_line(batch: BatchView, now: float, width: int) -> str:
    files = f"{batch.done_files:,} / {count_text(batch.total_files, 'file')}"
    return "  ".join(
        (
            batch.id[:width],
            f"{batch_state_text(batch, now):<18}",
            f"{files:>16}",
            f"{size_text(batch.total_bytes):>8}",
            f"{ago_text(batch.started_at or batch.created_at, now):<12}",
            printable(batch.name),
        )
    )


def _transfer_line(row: TransferView, now: float, width: int) -> str:
    said = printable(what_happened(row, now))
    size = f"{size_text(row.size_bytes):>8}"
    line = f"{row.id[:width]}  {state_word(row.state):<10}  {size}  {printable(path_of(row))}"
    return f"{line}  ({said.rstrip('.')})" if said and row.state is not _S.COMPLETED else line
