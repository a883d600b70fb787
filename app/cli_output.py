"""What the command line prints: results on standard output, everything else on standard error, JSON that stays stable.

docs/CLI.md documents the JSON; a test runs its examples. Names are printed so that no terminal is led astray.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, TextIO

from app.domain.batch import BatchView, IntakeReport
from app.domain.state import BatchState, TransferState
from app.domain.transfer import TransferView
from app.words import (
    batch_state_text,
    count_text,
    left_text,
    number_text,
    size_text,
    speed_text,
    what_happened,
)

_TTY_EVERY_S = 0.2
_PLAIN_EVERY_S = 5.0
_SURROGATES = re.compile("[\ud800-\udfff]")
_HARMLESS = frozenset("\u00a0\u200c\u200d\u3000")  # spaces, and what joins emoji and scripts
BATCH_OVER = frozenset({BatchState.COMPLETED, BatchState.PARTIAL, BatchState.FAILED, BatchState.CANCELLED})
_SHORTEST_ID = 8
_OVER = (TransferState.COMPLETED, TransferState.FAILED, TransferState.CANCELLED)


def printable(text: str) -> str:
    """Return *text* on one line, with control characters and undecodable bytes escaped ("a\\nb" for a newline)."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in _HARMLESS else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"  # an undecodable byte, as itself
    return character.encode("unicode_escape").decode()


class Output:
    """The two streams of one command. A reader that went away (a closed pipe) is no error."""

    def __init__(
        self,
        stdout: TextIO,
        stderr: TextIO,
        *,
        as_json: bool,
        quiet: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self._as_json = as_json
        self._quiet = quiet
        self._clock = clock
        self._live = stderr.isatty()
        self._next_progress_at = clock() + (0.0 if self._live else _PLAIN_EVERY_S)
        self._shown = ""

    def result(self, value: dict[str, Any], lines: Sequence[str]) -> None:
        """Print the result: *value* as JSON if that was asked for, else *lines*."""
        self.clear()
        text = json.dumps(valid(value), indent=2) if self._as_json else "\n".join(lines)
        if text:
            _write(self._stdout, f"{text}\n")

    def error(self, code: str, sentence: str) -> None:
        """Print why nothing came of it: as the JSON result, or as a sentence on standard error."""
        self.clear()
        if self._as_json:
            self.result({"error": {"code": code, "message": sentence}}, ())
        else:
            _write(self._stderr, f"uphaul: {sentence}\n")

    def say(self, sentence: str) -> None:
        """Tell something on the way, unless it should be quiet."""
        if not self._quiet:
            self.clear()
            _write(self._stderr, f"{sentence}\n")

    def progress(self, batches: Sequence[BatchView], now: float) -> None:
        """Show how far it is: one line that stays in place on a terminal, a line every five seconds elsewhere."""
        moment = self._clock()
        if self._quiet or not batches or moment < self._next_progress_at:
            return
        self._next_progress_at = moment + (_TTY_EVERY_S if self._live else _PLAIN_EVERY_S)
        line = progress_line(batches, now)
        if not self._live:
            _write(self._stderr, f"{line}\n")
            return
        line = line[: max(20, shutil.get_terminal_size().columns - 1)]
        _write(self._stderr, f"\r{line.ljust(len(self._shown))}")
        self._shown = line

    def clear(self) -> None:
        """Take the progress line away."""
        if self._shown:
            _write(self._stderr, f"\r{' ' * len(self._shown)}\r")
            self._shown = ""


def progress_line(batches: Sequence[BatchView], now: float) -> str:
    """Return one line over all *batches*: "Photos  64 %  5.2 GB of 8.1 GB  412 / 640 files  94 MB/s  ~30 s left"."""
    done_bytes, total_bytes = (sum(b.done_bytes for b in batches), sum(b.total_bytes for b in batches))
    over = sum(b.files.get(state, 0) for b in batches for state in _OVER)
    total_files = sum(b.total_files for b in batches)
    share = done_bytes / total_bytes if total_bytes else over / total_files if total_files else 0.0
    speed = sum(b.speed_bps for b in batches)
    parts = [
        printable(batches[0].name) if len(batches) == 1 else f"{len(batches)} batches",
        f"{min(100, int(share * 100))} %",
        f"{size_text(done_bytes)} of {size_text(total_bytes)}",
        f"{number_text(over)} / {count_text(total_files, 'file')}",
    ]
    if speed > 0:
        parts.append(speed_text(speed))
    if len(batches) == 1 and batches[0].left_s and (left := left_text(batches[0].left_s)):
        parts.append(f"{left} left")
    waiting = [b for b in batches if b.retry_at is not None]
    if waiting and speed <= 0:
        parts.append(batch_state_text(waiting[0], now))
    return "  ".join(parts)


def batch_json(batch: BatchView, now: float) -> dict[str, Any]:
    """Return a batch as docs/CLI.md describes it."""
    files = {state.value: batch.files.get(state, 0) for state in TransferState}
    return {
        "id": batch.id,
        "name": batch.name,
        "server": batch.server,
        "state": batch.state.value,
        "message": batch_state_text(batch, now),
        "files": {"total": batch.total_files, **files},
        "bytes": {"total": batch.total_bytes, "done": batch.done_bytes},
        "created_at": moment_json(batch.created_at),
        "started_at": moment_json(batch.started_at),
        "finished_at": moment_json(batch.finished_at),
        "retry_at": moment_json(batch.retry_at),
        "ending": batch.ending.value if batch.ending else None,
        "report": _report_json(batch.report),
    }


def transfer_json(transfer: TransferView, now: float) -> dict[str, Any]:
    """Return a file as docs/CLI.md describes it."""
    failure = transfer.failure
    return {
        "id": transfer.id,
        "path": path_of(transfer),
        "state": transfer.state.value,
        "message": what_happened(transfer, now),
        "size_bytes": transfer.size_bytes,
        "done_bytes": transfer.done_bytes,
        "sha256": transfer.sha256,
        "failure": {"kind": failure.kind.value, "http_status": failure.http_status} if failure else None,
        "ending": transfer.ending.value if transfer.ending else None,
        "retry_at": moment_json(transfer.retry_at),
    }


def flat_batch_json(batch: BatchView, now: float) -> dict[str, Any]:
    """Return :func:`batch_json` on one level (`files_completed`), the same names whatever there is; docs/MCP.md."""
    value = batch_json(batch, now)
    # What has no report yet has its names all the same, with null behind each.
    value["report"] = value["report"] or dict.fromkeys(_report_json(IntakeReport()) or ())
    progress = {
        "is_over": batch.state in BATCH_OVER,
        "progress_percentage": int(min(1.0, batch.progress) * 100),
    }
    return _flat(value) | progress


def flat_transfer_json(transfer: TransferView, now: float) -> dict[str, Any]:
    """Return :func:`transfer_json` on one level (`failure_kind`), the same names whatever there is; docs/MCP.md."""
    value = transfer_json(transfer, now)
    value["failure"] = value["failure"] or dict.fromkeys(("kind", "http_status"))
    return _flat(value)


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    one_level: dict[str, Any] = {}
    for name, each in value.items():
        one_level |= (
            {f"{name}_{inner}": one for inner, one in each.items()}
            if isinstance(each, dict)
            else {name: each}
        )
    return one_level


def id_width(ids: Iterable[str]) -> int:
    """Return how many digits tell each of *ids* from all others, 8 at least: what is shown of them is accepted again."""
    known = set(ids)
    return next(width for width in count(_SHORTEST_ID) if len({each[:width] for each in known}) == len(known))


def path_of(transfer: TransferView) -> str:
    """Return the path of a file inside its batch."""
    return f"{transfer.folder}/{transfer.name}" if transfer.folder else transfer.name


def moment_json(at: float | None) -> str | None:
    """Return epoch seconds as ISO 8601 in UTC with milliseconds and Z."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _report_json(report: IntakeReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "files": report.files,
        "bytes": report.size_bytes,
        "folders": report.folders,
        "empty_folders": report.empty_folders,
        "not_taken": [{"reason": reason, "count": count} for reason, count in report.skipped_count],
    }


def valid(value: Any) -> Any:
    """Return *value* with U+FFFD for half characters: their escapes are refused by many readers of JSON."""
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, dict):
        return {valid(key): valid(each) for key, each in value.items()}
    return [valid(each) for each in value] if isinstance(value, (list, tuple)) else value


def _write(stream: TextIO, text: str) -> None:
    """Write and flush. A reader that went away is no error; another OSError (a full disk) is the caller's."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # What the interpreter flushes at its end must not complain once more.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            raise
