"""The words: complete over every enum, and as a person should read them."""

import re
from typing import Any

import pytest

from app.domain.batch import BatchView, IntakeReport
from app.domain.events import CancelEnded
from app.domain.failure import WRONG_SIGN_IN, Failure, FailureKind
from app.domain.paths import SkipReason
from app.domain.state import BatchState, CancelEnding, TransferState
from app.domain.transfer import TransferView
from app.engine.verdicts import GOES_ON, NOTHING_SENT, NOTHING_STORED, ROLLED_BACK, STAYS, STORED
from app.units import time_text
from app.words import (
    batch_ended,
    batch_state_text,
    batch_state_tip,
    cancel_summary,
    ending_text,
    failure_text,
    report_text,
    skip_text,
    state_word,
    what_happened,
)

NOW = 1_800_000_000.0
S, B = TransferState, BatchState
ANSWERS = (
    *(NOTHING_SENT, NOTHING_STORED, STORED, STAYS, ROLLED_BACK, "cancelled_elsewhere", "deleted"),
    *(f"{GOES_ON} 204", f"{GOES_ON} 500: too late"),
)


def a_transfer(state: TransferState, **changes: Any) -> TransferView:
    values: dict[str, Any] = {
        "id": "t", "batch_id": "b", "position": 0, "name": "clip.mov", "folder": "day 3", "size_bytes": 2_000_000, "done_bytes": 0,
        "state": state, "speed_bps": 0.0, "failure": None, "ending": None, "answer": "", "sha256": None, "retry_at": None,
    }  # fmt: skip
    return TransferView(**(values | changes))


def a_batch(state: BatchState, files: dict[TransferState, int] | None = None, **changes: Any) -> BatchView:
    counted = files or {S.COMPLETED: 640}
    values: dict[str, Any] = {
        "id": "b", "name": "Holiday 2026", "server": "lab", "state": state, "files": counted, "total_files": sum(counted.values()),
        "done_files": counted.get(S.COMPLETED, 0), "total_bytes": 8_100_000_000, "done_bytes": 8_100_000_000, "progress": 1.0,
        "done_share": 1.0, "failed_share": 0.0, "cancelled_share": 0.0, "speed_bps": 0.0, "left_s": None, "created_at": NOW - 100,
        "started_at": NOW - 92, "finished_at": NOW, "retry_at": None, "report": None, "ending": None, "answer": "", "folder": None,
    }  # fmt: skip
    return BatchView(**(values | changes))


def everything_said() -> list[str]:
    """Every sentence that a person can meet, in every variant that a table holds."""
    said = [state_word(state) for state in [*S, *B]]
    said += [batch_state_text(a_batch(state), NOW) for state in B]
    said += [skip_text(reason, count) for reason in SkipReason for count in (1, 2)]
    said += [what_happened(a_transfer(S.SKIPPED, answer=reason.value), NOW) for reason in SkipReason]
    for kind in FailureKind:
        failure = Failure(kind, "because of this", 418, 5.0, 1000)
        said += [failure_text(failure), failure_text(Failure(kind))]
        said += [what_happened(a_transfer(S.WAITING, failure=failure, retry_at=NOW + 5), NOW)]
    for ending in CancelEnding:
        said += [ending_text(ending), cancel_summary(CancelEnded("b", "B", True, ((ending.value, 2),)))]
        said += [batch_state_text(a_batch(B.CANCELLED, ending=ending), NOW)]
    said += [ending_text(CancelEnding.HERE_ONLY, answer) for answer in ANSWERS]
    for kept, nothing in ((2, 0), (0, 2), (1, 1)):
        said += [
            cancel_summary(
                CancelEnded("b", "B", True, (("here_only", 2),), kept_there=kept, nothing_there=nothing)
            )
        ]
    said += [part for state in B for part in batch_ended(a_batch(state))]
    return said


def test_every_member_of_every_enum_has_words_without_noise() -> None:
    noise = re.compile(r"!|successfully|[Pp]lease try|\bError\b|\bNone\b|_|\.\.|  ")
    faults = [text for text in everything_said() if not text or noise.search(text) or text[0].islower()]
    assert faults == []


def test_every_failure_says_what_happened_and_what_to_do() -> None:
    sentences = {kind: failure_text(Failure(kind)).count(". ") + 1 for kind in FailureKind}
    assert sentences == dict.fromkeys(FailureKind, 2)


def test_every_transfer_state_can_be_asked_what_happened() -> None:
    quiet = {state for state in S if not what_happened(a_transfer(state), NOW)}
    assert quiet == {S.QUEUED, S.UPLOADING, S.WAITING, S.PAUSED, S.CANCELLED}


@pytest.mark.parametrize(
    "transfer, text",
    [
        (
            a_transfer(S.WAITING, failure=Failure(FailureKind.BUSY, http_status=429), retry_at=NOW + 40),
            "The server is busy (429). Trying again in 40 s.",
        ),
        *(
            (
                a_transfer(S.WAITING, failure=Failure(FailureKind.BUSY, detail, status), retry_at=NOW + 40),
                f"{words} Trying again in 40 s.",
            )
            for detail, status, words in (
                ("Slow down. Please!", 429, "The server is busy (429): Slow down."),
                (
                    "all places for uploads are taken",
                    None,
                    "The server is busy: all places for uploads are taken.",
                ),
                (
                    "The server is stopping; what arrived is kept.",
                    503,
                    "The server is stopping; what arrived is kept.",
                ),
                *(
                    (noise, 503, "The server is busy (503).")
                    for noise in (
                        "503 Service Unavailable",
                        "service unavailable.",
                        "<h1>nginx</h1>",
                        "RATE_LIMIT_EXCEEDED",
                        '{"retry": 5}',
                        "",
                        "x" * 121,
                    )
                ),
            )
        ),
        (
            a_transfer(
                S.WAITING,
                failure=Failure(FailureKind.BUSY, "the server takes 5 uploads an hour"),
                retry_at=NOW + 3000.5,
            ),
            f"The server takes 5 uploads an hour; Uphaul goes on at {time_text(NOW + 3000.5, NOW)}.",
        ),
        (
            a_transfer(S.FAILED, failure=Failure(FailureKind.TOO_LARGE, limit_bytes=2_000_000_000)),
            "Too large for this server (limit 2.0 GB). Send a smaller file, or ask who runs the server for more.",
        ),
        (
            a_transfer(S.FAILED, failure=Failure(FailureKind.REFUSED, "no executables,\nplease.", 422)),
            "The server did not accept the file (422): no executables, please. Change what it names, then retry.",
        ),
        (
            a_transfer(S.FAILED, failure=Failure(FailureKind.SERVER_ERROR, "500 Internal Server Error", 500)),
            "The server had a problem of its own (500). Retry later, or tell who runs the server.",
        ),
        (
            a_transfer(S.WAITING, failure=Failure(FailureKind.SIGN_IN, http_status=401)),
            "The server asks you to sign in (401). Sign in again, then resume.",
        ),
        (
            a_transfer(S.WAITING, failure=Failure(FailureKind.SIGN_IN, WRONG_SIGN_IN, 401)),
            "The user name or the password is wrong. Check both, then sign in again.",
        ),
        (
            a_transfer(
                S.FAILED, failure=Failure(FailureKind.UNREACHABLE, "[Errno -2] Name or service not known")
            ),
            "The server cannot be reached: Name or service not known. Check the network and that the server runs.",
        ),
        (
            a_transfer(S.PROCESSING, stage="analysing", stage_share=0.4),
            "Analysing, 40 %.",
        ),
        (
            a_transfer(S.PROCESSING, stage="embedding_1"),
            "Embedding 1.",
        ),
        (
            a_transfer(S.PROCESSING, stage_share=0.999),
            "Everything arrived; the server is working on it: 99 %.",
        ),
        (
            a_transfer(S.FAILED, failure=Failure(FailureKind.PROCESSING_FAILED, "cannot read the image")),
            "The server could not process it: cannot read the image. Check the file, then retry to send it again.",
        ),
        (a_transfer(S.UPLOADING, speed_bps=50_000.0), "~40 s left"),
        (a_transfer(S.PAUSED, done_bytes=500_000), "500 kB arrived; resume goes on from there."),
        (a_transfer(S.COMPLETED, answer="verified"), "Arrived; the server has checked its SHA-256."),
        (a_transfer(S.COMPLETED, answer="stored as a_b.txt"), "Arrived, stored as a_b.txt."),
        (
            a_transfer(S.COMPLETED, ending=CancelEnding.FINISHED_FIRST),
            "It had finished before the cancel took effect, and stays on the server.",
        ),
        (
            a_transfer(S.COMPLETED, ending=CancelEnding.FINISHED_FIRST, answer="deleted"),
            "Deleted from the server.",
        ),
        (
            a_transfer(S.CANCELLED, ending=CancelEnding.CANCELLED, answer="nothing_sent"),
            "Cancelled before anything was sent.",
        ),
        (a_transfer(S.SKIPPED, answer="link"), "A link; links are not followed."),
    ],
)
def test_what_happened_reads_like_this(transfer: TransferView, text: str) -> None:
    assert what_happened(transfer, NOW) == text


@pytest.mark.parametrize(
    "batch, text",
    [
        (a_batch(B.PARTIAL, {S.COMPLETED: 117, S.FAILED: 3}), "3 failed"),
        (a_batch(B.FAILED, {S.FAILED: 1204}), "1,204 failed"),
        (a_batch(B.WAITING, retry_at=NOW + 40), "Trying again in 40 s"),
        (a_batch(B.WAITING, retry_at=NOW + 600), f"Uphaul goes on at {time_text(NOW + 600, NOW)}"),
        (a_batch(B.WAITING), "Waiting"),
        (a_batch(B.COMPLETED, {S.COMPLETED: 0}), "Nothing to upload"),
        (a_batch(B.CANCELLED, ending=CancelEnding.CLEANUP_PENDING), "Cancelled, clean-up pending"),
    ],
)
def test_a_batch_says_what_a_person_wants_to_know(batch: BatchView, text: str) -> None:
    assert batch_state_text(batch, NOW) == text


@pytest.mark.parametrize(
    "batch, text",
    [
        (
            a_batch(
                B.WAITING,
                retry_at=NOW + 40,
                trouble=Failure(FailureKind.BUSY, "the server takes 5 uploads an hour"),
            ),
            "The server takes 5 uploads an hour. Trying again in 40 s.",
        ),
        (
            a_batch(B.WAITING, trouble=Failure(FailureKind.SIGN_IN, http_status=401)),
            "The server asks you to sign in (401). Sign in again, then resume.",
        ),
        (a_batch(B.PAUSED), "Paused"),
    ],
)
def test_a_batch_that_waits_says_why(batch: BatchView, text: str) -> None:
    assert batch_state_tip(batch, NOW) == text


@pytest.mark.parametrize(
    "counts, text",
    [
        ({"cancelled": 12, "finished_first": 3}, "Cancelled. The server kept nothing of 12 files; 3 had finished and stay."),
        ({"cancelled": 1}, "Cancelled. The server kept nothing of 1 file."),
        ({"finished_first": 1}, "Too late to cancel: 1 file had finished and stays."),
        ({"here_only": 2}, "Cancelled. 2 were cancelled here only, because this server has no cancel."),
        ({"cleanup_pending": 2}, "Cancelled. For 2 the server has not answered yet and is asked again."),
        ({}, "Cancelled."),
    ],
)  # fmt: skip
def test_a_cancel_says_what_it_did(counts: dict[str, int], text: str) -> None:
    assert cancel_summary(CancelEnded("b", "B", True, tuple(counts.items()))) == text


@pytest.mark.parametrize(
    "counts, text",
    [
        ({}, "Too late to cancel: 2 files had failed."),
        ({"finished_first": 1}, "Too late to cancel: 1 file had finished and stays; 2 files had failed."),
        ({"cancelled": 1}, "Cancelled. The server kept nothing of 1 file; 2 had failed before."),
    ],
)
def test_what_had_failed_before_is_not_told_as_cancelled(counts: dict[str, int], text: str) -> None:
    assert cancel_summary(CancelEnded("b", "B", True, tuple(counts.items())), failed=2) == text


@pytest.mark.parametrize(
    "batch, words",
    [
        (a_batch(B.COMPLETED), ("Holiday 2026 is uploaded", "640 files, 8.1 GB in 1 min 32 s")),
        (
            a_batch(B.PARTIAL, {S.COMPLETED: 117, S.FAILED: 3}),
            ("Holiday 2026: 3 of 120 files failed", "117 files arrived."),
        ),
        (a_batch(B.CANCELLED, {S.CANCELLED: 3}), ("Holiday 2026 is cancelled", "No file had arrived.")),
        (
            a_batch(B.COMPLETED, {S.COMPLETED: 0}, report=IntakeReport(empty_folders=2)),
            ("Holiday 2026: nothing to upload", "No files were found. 2 empty folders are not sent."),
        ),
    ],
)
def test_one_notification_says_how_a_batch_ended(batch: BatchView, words: tuple[str, str]) -> None:
    assert batch_ended(batch) == words


def test_the_report_tells_what_is_left_out_and_what_is_renamed() -> None:
    report = IntakeReport(1204, 412_000, 12, 1, (("link", 3), ("special", 1), ("duplicate_name", 2)))
    assert report_text(report) == (
        "1,204 files, 412 kB, in 12 folders. 1 empty folder is not sent. 4 were not taken. 2 get another name."
    )


def test_every_answer_of_the_engine_has_a_sentence_of_its_own() -> None:
    sentences = {ending_text(CancelEnding.HERE_ONLY, answer) for answer in ANSWERS}
    assert (len(sentences), ending_text(CancelEnding.HERE_ONLY) in sentences) == (len(ANSWERS), False)


@pytest.mark.parametrize(
    "kept, nothing, text",
    [
        (0, 0, "Cancelled. 5 were cancelled here only, because this server has no cancel."),
        (0, 5, "Cancelled. 5 were cancelled here only, and nothing was stored."),
        (5, 0, "Cancelled. The server still holds 5; delete them there if you like."),
        (
            1,
            4,
            "Cancelled. 4 were cancelled here only, and nothing was stored; the server still holds 1; "
            "delete it there if you like.",
        ),
    ],
)
def test_a_cancel_here_only_says_what_is_there(kept: int, nothing: int, text: str) -> None:
    ended = CancelEnded("b", "B", True, (("here_only", 5),), kept_there=kept, nothing_there=nothing)
    assert cancel_summary(ended) == text


@pytest.mark.parametrize(
    "answer, text",
    [
        (
            "goes_on 500: Internal Server Error",
            "The server answered 500 (Internal Server Error) and goes on with it. Delete it there if it should go.",
        ),
        ("goes_on 204", "The server answered 204 and goes on with it. Delete it there if it should go."),
    ],
)
def test_a_server_that_goes_on_after_a_cancel_is_told_with_its_answer(answer: str, text: str) -> None:
    row = a_transfer(S.CANCELLED, ending=CancelEnding.HERE_ONLY, answer=answer)
    assert what_happened(row, NOW) == text
