"""Names, types, limits and counts of vuemantics, as values."""

import pytest

from app.domain.failure import Failure, FailureKind
from app.remote.account import ForgetfulNotes
from app.remote.base import Outgoing, RemoteState
from app.remote.vuemantics_fields import (
    batch_record,
    batch_row,
    busy,
    limit_in,
    matched,
    media_type_of,
    names_of,
    possible_names,
)
from app.remote.vuemantics_posts import Posts


def outgoing(path: str, key: str = "") -> Outgoing:
    return Outgoing(key or path, path, 1, 0, None, None)


@pytest.mark.parametrize(
    "path, media_type",
    [
        ("a/b.JPG", "image/jpeg"),
        ("b.jfif", "image/jpeg"),
        ("b.heic", "image/heic"),
        ("b.MOV", "video/quicktime"),
        ("b.avi", "video/x-msvideo"),
        ("b.jpg.txt", None),
        (".jpg", None),
        ("jpg", None),
    ],
)
def test_the_type_comes_from_the_extension(path: str, media_type: str | None) -> None:
    assert media_type_of(path) == media_type


def test_alike_names_get_a_mark_that_is_the_same_next_time() -> None:
    files = [outgoing("a/x.jpg"), outgoing("b/X.jpg"), outgoing("c/y.jpg")]
    names = names_of(files)
    assert names[2] == "y.jpg"
    assert [name in possible_names(file) for name, file in zip(names, files, strict=True)] == [True] * 3
    assert len({name.casefold() for name in names}) == 3
    assert names_of(files[::-1]) == names[::-1]


def test_long_names_are_shortened_and_keep_their_extension() -> None:
    (name,) = names_of([outgoing("ß" * 300 + ".jpeg")])
    assert (len(name.encode()) <= 200, name.endswith("ß.jpeg")) == (True, True)


def test_an_answer_is_matched_by_walking_both_lists() -> None:
    refused = [("a", "why a"), ("d", "why d")]
    assert matched(["a", "b", "c", "d"], ["1", "2"], refused) == [
        Failure(FailureKind.REFUSED, "why a"),
        "1",
        "2",
        Failure(FailureKind.REFUSED, "why d"),
    ]


def test_what_an_answer_does_not_name_is_not_claimed_as_sent() -> None:
    unnamed = Failure(FailureKind.REFUSED, "the server's answer does not say what became of it")
    assert matched(["a", "b"], ["1"], []) == ["1", unnamed]


@pytest.mark.parametrize(
    "text, limit",
    [
        ("5 per 1 hour", (5, 3600.0)),
        ("60 per 1 minute", (60, 60.0)),
        ("Rate limit exceeded: 100 per 2 days", (100, 172800.0)),
        ("slow down", None),
        ("0 per 1 hour", None),
        ("5 per 0 hour", None),
        ("9" * 50 + " per 1 hour", None),
        ("5 per " + "9" * 5000 + " hour", None),
    ],
)
def test_limits_are_read_from_their_text(text: str, limit: tuple[int, float] | None) -> None:
    assert limit_in(text) == limit


@pytest.mark.parametrize(
    "limit, words",
    [
        ((5, 3600.0), "the server takes 5 uploads an hour"),
        ((1, 7200.0), "the server takes 1 upload in 7200 s"),
    ],
)
def test_a_limit_is_told_in_words(limit: tuple[int, float], words: str) -> None:
    assert busy(limit, "upload", 60.0).detail == words


@pytest.mark.parametrize(
    "status, total, good, bad, state, message",
    [
        ("pending", 3, 0, 0, RemoteState.PROCESSING, "waits for the server's worker"),
        ("pending", 0, 0, 0, RemoteState.FAILED, "no file was taken"),
        ("processing", 3, 1, 1, RemoteState.PROCESSING, "1 of 3 failed"),
        ("completed", 3, 3, 0, RemoteState.STORED, ""),
        ("completed", 3, 2, 1, RemoteState.STORED, "1 of 3 failed"),
        ("completed", 3, 0, 3, RemoteState.FAILED, "3 of 3 failed"),
        ("completed", 4, 4, 2, RemoteState.STORED, "the server has counted some files twice"),
        ("failed", 3, 0, 3, RemoteState.FAILED, "3 of 3 failed"),
        ("cancelled", 3, 1, 0, RemoteState.CANCELLED, ""),
        ("of a later version", 3, 1, 0, RemoteState.UNKNOWN, ""),
    ],
)
def test_a_batch_in_the_list(
    status: str, total: int, good: int, bad: int, state: RemoteState, message: str
) -> None:
    record = {
        "batch_id": "0123456789",
        "status": status,
        "total_uploads": total,
        "processed_uploads": good + bad,
        "successful_uploads": good,
        "failed_uploads": bad,
        "progress_percentage": 150.0,
        "created_at": "2026-11-21T01:36:37.317476",
        "error_message": None,
    }
    row = batch_row(batch_record(record))
    assert (row.state, row.message, row.share, row.created) == (state, message, 1.0, record["created_at"])


@pytest.mark.parametrize(
    "nonsense", [{}, {"total_uploads": "many", "progress_percentage": None, "batch_id": 7}]
)
def test_a_batch_of_nonsense_is_no_traceback(nonsense: dict[str, object]) -> None:
    assert batch_row(batch_record(nonsense)).total_files == 0


@pytest.mark.parametrize(
    "notes",
    [
        {"posts": "x", "limit": [], "closed_until": "soon", "marks": 5, "answered": None},
        {"posts": [None, "x"], "limit": ["a", "b"], "marks": [[], [1], ["x", None]], "answered": [1]},
    ],
)
def test_notes_that_somebody_has_spoilt_are_as_good_as_none(notes: dict[str, object]) -> None:
    kept = ForgetfulNotes()
    kept.write(notes)
    posts = Posts(kept, lambda: 1e9)
    posts.begin("b")
    assert (posts.wait_s(), posts.newest_before(1e9), posts.take()) == (0.0, "b", 1e9)


def test_a_clock_in_the_far_future_does_not_close_the_server_for_ever() -> None:
    kept = ForgetfulNotes()
    kept.write({"closed_until": 1e12})
    assert Posts(kept, lambda: 1e9).wait_s() <= 24 * 3600
