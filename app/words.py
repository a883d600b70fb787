"""Every state, failure and ending in English: what happened, and what to do. The command line prints it, the window shows it.

Short, plain, from the person's side. No codes alone, no blame. Pure; sizes and times come from app.units.
"""

import re
from http import HTTPStatus

from app.domain.batch import BatchView, IntakeReport
from app.domain.failure import Failure, FailureKind
from app.domain.paths import RENAMING, SkipReason
from app.domain.state import BatchState, CancelEnding, TransferState
from app.domain.transfer import TransferView
from app.endings import ANSWERS, cancel_summary, ending_text, shortened
from app.units import (
    ago_text,
    count_text,
    duration_text,
    exact_time,
    left_text,
    number_text,
    size_text,
    speed_text,
    time_text,
)

__all__ = [
    "ago_text",
    "batch_ended",
    "batch_state_text",
    "batch_state_tip",
    "cancel_summary",
    "count_text",
    "duration_text",
    "ending_text",
    "exact_time",
    "failure_text",
    "left_text",
    "number_text",
    "report_text",
    "size_text",
    "skip_text",
    "speed_text",
    "state_word",
    "what_happened",
]

_S, _B, _K, _E, _R = TransferState, BatchState, FailureKind, CancelEnding, SkipReason

_STATES: dict[TransferState, str] = {
    _S.QUEUED: "Queued",
    _S.PREPARING: "Preparing",
    _S.UPLOADING: "Uploading",
    _S.PROCESSING: "Processing",
    _S.WAITING: "Waiting",
    _S.PAUSED: "Paused",
    _S.CANCELLING: "Cancelling",
    _S.COMPLETED: "Done",
    _S.FAILED: "Failed",
    _S.CANCELLED: "Cancelled",
    _S.SKIPPED: "Skipped",
}
_BATCH_STATES: dict[BatchState, str] = {
    _B.SCANNING: "Looking for files",
    _B.QUEUED: "Queued",
    _B.UPLOADING: "Uploading",
    _B.PROCESSING: "Processing",
    _B.WAITING: "Waiting",
    _B.PAUSED: "Paused",
    _B.CANCELLING: "Cancelling",
    _B.COMPLETED: "Done",
    _B.PARTIAL: "Some failed",
    _B.FAILED: "Failed",
    _B.CANCELLED: "Cancelled",
}

# What happened, and what to do. The first gets the status and the detail appended; a full stop is added.
_FAILURES: dict[FailureKind, tuple[str, str]] = {
    _K.FILE_GONE: ("The file is no longer there", "Put it back and retry, or leave it out"),
    _K.FILE_UNREADABLE: ("The file cannot be read", "Check that you may open it, then retry"),
    _K.FILE_CHANGED: ("The file changed while it was read", "Retry once nothing writes to it"),
    _K.FILE_NOT_REGULAR: ("This is no longer an ordinary file", "Drop the file itself"),
    _K.NAME_REFUSED: ("The server does not accept this name", "Rename the file and drop it again"),
    _K.TOO_LARGE: ("Too large for this server", "Send a smaller file, or ask who runs the server for more"),
    _K.TOO_MANY_FILES: (
        "The server takes no more files in this batch",
        "Drop the rest again as another batch",
    ),
    _K.CHECKSUM_MISMATCH: (
        "What arrived differs from the file",
        "Retry to send it again",
    ),
    _K.REFUSED: ("The server did not accept the file", "Change what it names, then retry"),
    _K.REMOTE_GONE: ("The server no longer has what had arrived", "Retry to send it from the start"),
    _K.CONFLICT: ("The server and Uphaul did not agree on how the file stands", "Retry to go on"),
    _K.PROCESSING_FAILED: ("The server could not process it", "Check the file, then retry to send it again"),
    _K.UNCERTAIN: ("Nobody can know whether it arrived", "Look on the server, then retry to send it again"),
    _K.UNREACHABLE: ("The server cannot be reached", "Check the network and that the server runs"),
    _K.CONNECTION_LOST: ("The connection was lost", "Check the network, then retry"),
    _K.STALLED: ("Nothing moved for a while", "Check the network, then retry"),
    _K.BUSY: ("The server is busy", "Retry a little later"),
    _K.SERVER_ERROR: ("The server had a problem of its own", "Retry later, or tell who runs the server"),
    _K.DISK_FULL: ("The server's disk is full", "Free some space there, then resume"),
    _K.SIGN_IN: ("The server asks you to sign in", "Sign in again, then resume"),
    _K.FORBIDDEN: (
        "Your account may not upload to this server",
        "Ask who runs the server for access, then resume",
    ),
    _K.NOT_A_SERVER: ("No upload server answers at this address", "Check the address of the server"),
    _K.TLS: (
        "The server's identity could not be verified, so nothing was sent",
        "Check its address and certificate",
    ),
    _K.INTERNAL: ("Uphaul met a problem of its own", "Retry; if it happens again, please report it"),
}
_WRONG_SIGN_IN = ("The user name or the password is wrong", "Check both, then sign in again")
_DETAIL_SAYS_MORE = frozenset(_K) - {_K.TOO_LARGE, _K.DISK_FULL, _K.SIGN_IN, _K.CHECKSUM_MISMATCH}
_STATUS_SAYS_MORE = frozenset(
    {_K.BUSY, _K.SERVER_ERROR, _K.REFUSED, _K.FORBIDDEN, _K.NOT_A_SERVER, _K.CONFLICT, _K.SIGN_IN}
)
_LONGEST_STAGE = 60
_LONGEST_REASON = 120
_PLAIN = re.compile(r"(?:[^\W_]|[\s.,:;'’\"“”()/%!-])+")
"""A sentence. What else comes with a 503 is a page or a code, and nothing for a person."""
_PHRASES = {each.value: each.phrase.casefold() for each in HTTPStatus}
_LONG_WAIT_S = 600.0
_ERRNO = re.compile(r"^\[(?:Errno|WinError) -?\d+\] ")

# One, and several: what the report and the row of a skipped path say.
_SKIPPED: dict[SkipReason, tuple[str, str, str]] = {
    _R.LINK: ("link was not followed", "links were not followed", "A link; links are not followed"),
    _R.UNREADABLE: (
        "could not be read",
        "could not be read",
        "It cannot be read; check that you may open it",
    ),
    _R.SPECIAL: (
        "is not an ordinary file",
        "are not ordinary files",
        "Not an ordinary file (a socket, pipe or device)",
    ),
    _R.HIDDEN: ("is hidden", "are hidden", "Hidden; the settings leave hidden files out"),
    _R.EXCLUDED: (
        "is left out by the settings",
        "are left out by the settings",
        "Left out by a pattern in the settings",
    ),
    _R.MISSING: ("was no longer there", "were no longer there", "It was no longer there"),
    _R.NOT_LOCAL: (
        "is not on this computer",
        "are not on this computer",
        "Not on this computer; copy it here first",
    ),
    _R.LOOP: (
        "folder contains itself and was taken once",
        "folders contain themselves and were taken once",
        "This folder contains itself; it was taken once",
    ),
    _R.DUPLICATE_NAME: (
        "name was there twice and got a number",
        "names were there twice and got a number",
        "Another file has the same name; this one got a number",
    ),
    _R.NAME_TOO_LONG: (
        "name was shortened",
        "names were shortened",
        "The name was too long and was shortened",
    ),
}


def state_word(state: TransferState | BatchState) -> str:
    """Return the word for a state, in a table's cell or a timeline."""
    # Members of both enums are equal to their value, and so to each other: the type decides.
    return _BATCH_STATES[state] if isinstance(state, BatchState) else _STATES[state]


def batch_state_text(batch: BatchView, now: float) -> str:
    """Return what a batch's state cell says: its word, or what a person wants to know ("3 failed", "Trying again in 40 s")."""
    failed = batch.files.get(_S.FAILED, 0)
    if batch.state in (_B.PARTIAL, _B.FAILED) and failed:
        return f"{number_text(failed)} failed"
    if batch.state is _B.WAITING and batch.retry_at is not None:
        return _again_text(batch.retry_at, now)
    if batch.state is _B.CANCELLED and batch.ending is _E.CLEANUP_PENDING:
        return "Cancelled, clean-up pending"
    if batch.state is _B.CANCELLED and batch.ending is _E.HERE_ONLY and batch.answer != "nothing_stored":
        return "Cancelled here only"
    if batch.state is _B.COMPLETED and batch.total_files == 0:
        return "Nothing to upload"
    return state_word(batch.state)


def batch_state_tip(batch: BatchView, now: float) -> str:
    """Return why a batch waits, in the server's words where they are some, and when it goes on; else its state."""
    if batch.trouble is None:
        return batch_state_text(batch, now)
    return _trouble_text(batch.trouble, batch.retry_at, now)


def what_happened(transfer: TransferView, now: float) -> str:
    """Return the sentence beside a file: why it failed, when it goes on, how its cancel ended, what the server said."""
    state = transfer.state
    if state is _S.FAILED:
        return (
            failure_text(transfer.failure)
            if transfer.failure
            else "It did not arrive. Retry to send it again."
        )
    if state is _S.WAITING:
        return _waiting_text(transfer, now)
    if state is _S.SKIPPED:
        return _skipped_text(transfer.answer)
    if transfer.ending is not None:
        return ending_text(transfer.ending, transfer.answer)
    if state is _S.UPLOADING:
        return _uploading_text(transfer)
    if state is _S.PAUSED and transfer.done_bytes:
        return f"{size_text(transfer.done_bytes)} arrived; resume goes on from there."
    if state is _S.PROCESSING:
        return _processing_text(transfer)
    if state is _S.COMPLETED:
        return ANSWERS.get(transfer.answer) or _arrived_text(transfer)
    return _SIMPLE.get(state, "")


_SIMPLE: dict[TransferState, str] = {
    _S.PREPARING: "Opening the file",
    _S.PROCESSING: "Everything arrived; the server is working on it.",
    _S.CANCELLING: "Waiting for the server to confirm",
}


def failure_text(failure: Failure) -> str:
    """Return what happened and what to do, in two short sentences."""
    advice = _WRONG_SIGN_IN[1] if failure.is_wrong_password else _FAILURES[failure.kind][1]
    return f"{_what(failure)} {advice}."


def batch_ended(batch: BatchView) -> tuple[str, str]:
    """Return title and body of the one notification that a batch gets."""
    done, failed = batch.files.get(_S.COMPLETED, 0), batch.files.get(_S.FAILED, 0)
    arrived = f"{count_text(done, 'file')} arrived" if done else "No file arrived"
    if failed:
        return (
            f"{batch.name}: {number_text(failed)} of {count_text(batch.total_files, 'file')} failed",
            f"{arrived}.",
        )
    if batch.state is _B.CANCELLED:
        return f"{batch.name} is cancelled", f"{arrived} before that." if done else "No file had arrived."
    if not done:
        return f"{batch.name}: nothing to upload", _nothing_text(batch)
    took = ""
    if batch.finished_at is not None:
        took = f" in {duration_text(batch.finished_at - (batch.started_at or batch.created_at))}"
    return f"{batch.name} is uploaded", f"{count_text(done, 'file')}, {size_text(batch.done_bytes)}{took}"


def skip_text(reason: SkipReason, count: int) -> str:
    """Return the head line of a group in the report: "3 links were not followed"."""
    one, several, _ = _SKIPPED[reason]
    return f"{number_text(count)} {one if count == 1 else several}"


def report_text(report: IntakeReport) -> str:
    """Return the pre-flight report in a few sentences: what was found, what is left out and what was renamed."""
    sentences = ["No files were found"]
    if report.files:
        sentences = [f"{count_text(report.files, 'file')}, {size_text(report.size_bytes)}"]
    if report.files and report.folders:
        sentences[0] += f", in {count_text(report.folders, 'folder')}"
    if report.empty_folders:
        sentences.append(
            f"{count_text(report.empty_folders, 'empty folder')} {_verb(report.empty_folders, 'is', 'are')} not sent"
        )
    left_out = sum(count for reason, count in report.skipped_count if reason not in RENAMING)
    if left_out:
        sentences.append(f"{number_text(left_out)} {_verb(left_out, 'was', 'were')} not taken")
    renamed = sum(count for reason, count in report.skipped_count if reason in RENAMING)
    if renamed:
        sentences.append(f"{number_text(renamed)} {_verb(renamed, 'gets', 'get')} another name")
    return ". ".join(sentences) + "."


def _what(failure: Failure) -> str:
    """Return what happened, with the server's number and words where they say more."""
    kind = failure.kind
    if failure.is_wrong_password:
        return f"{_WRONG_SIGN_IN[0]}."
    sentence = _FAILURES[kind][0]
    if kind is _K.TOO_LARGE and failure.limit_bytes is not None:
        return f"{sentence} (limit {size_text(failure.limit_bytes)})."
    status = failure.http_status
    detail = (
        _reason(failure) if kind is _K.BUSY else _ERRNO.sub("", " ".join(failure.detail.split())).rstrip(".")
    )
    if kind is _K.BUSY and detail.lower().startswith(
        "the server "
    ):  # a sentence of its own, which says it all
        return f"{detail[0].upper()}{detail[1:]}."
    if status is not None and kind in _STATUS_SAYS_MORE:
        sentence += f" ({status})"
    only_the_status = status is not None and detail.startswith(str(status))
    if detail and kind in _DETAIL_SAYS_MORE and not only_the_status:
        sentence += f": {shortened(detail)}"
    return f"{sentence}."


def _reason(failure: Failure) -> str:
    """Return why a server takes nothing now, where it says so in a short plain sentence (its first) and not just by its status."""
    said = " ".join(failure.detail.split()).partition(". ")[0].rstrip(".")
    is_plain = len(said) <= _LONGEST_REASON and _PLAIN.fullmatch(said)
    return said if is_plain and said.casefold() != _PHRASES.get(failure.http_status or 0) else ""


def _waiting_text(transfer: TransferView, now: float) -> str:
    if transfer.failure is None:
        return "" if transfer.retry_at is None else f"{_again_text(transfer.retry_at, now)}."
    return _trouble_text(transfer.failure, transfer.retry_at, now)


def _trouble_text(failure: Failure, retry_at: float | None, now: float) -> str:
    """Return what is in the way, and when it goes on: soon as a duration, later as a time of day."""
    if retry_at is None:
        return failure_text(failure)
    said, again = _what(failure), _again_text(retry_at, now)
    return f"{said.rstrip('.')}; {again}." if retry_at - now >= _LONG_WAIT_S else f"{said} {again}."


def _again_text(retry_at: float, now: float) -> str:
    left_s = retry_at - now
    if left_s >= _LONG_WAIT_S:
        return f"Uphaul goes on at {time_text(retry_at, now)}"
    return f"Trying again in {duration_text(left_s)}" if left_s >= 1 else "Trying again now"


def _uploading_text(transfer: TransferView) -> str:
    if transfer.speed_bps <= 0 or transfer.done_bytes >= transfer.size_bytes:
        return ""
    seconds = (transfer.size_bytes - transfer.done_bytes) / transfer.speed_bps
    left = left_text((seconds, seconds)) if 1 <= seconds < 14 * 24 * 3600 else ""
    return f"{left} left" if left else ""


def _processing_text(transfer: TransferView) -> str:
    """Return what the server does with a file and how far it is: "Analysing, 40 %"; a share that goes back is shown so."""
    stage = " ".join(transfer.stage.replace("_", " ").split())[:_LONGEST_STAGE]
    share = "" if transfer.stage_share is None else f"{int(transfer.stage_share * 100)} %"
    if not stage:
        return f"{_SIMPLE[_S.PROCESSING].rstrip('.')}{f': {share}' if share else ''}."
    return f"{stage[:1].upper()}{stage[1:]}{f', {share}' if share else ''}."


def _arrived_text(transfer: TransferView) -> str:
    if transfer.answer.startswith("stored as "):  # the server's own name for it
        return f"Arrived, {transfer.answer}."
    day, _, name = transfer.answer.partition(" as ")
    if day in ANSWERS and name:
        return ANSWERS[day].replace("Arrived.", f"Arrived, stored as {name}.", 1)
    return "Arrived; the server has checked its SHA-256." if transfer.answer == "verified" else "Arrived."


def _skipped_text(reason: str) -> str:
    known = {each.value: words[2] for each, words in _SKIPPED.items()}
    return f"{known[reason]}." if reason in known else "Not taken."


def _nothing_text(batch: BatchView) -> str:
    return report_text(batch.report) if batch.report else "No files were found."


def _verb(count: int, one: str, several: str) -> str:
    return one if count == 1 else several
