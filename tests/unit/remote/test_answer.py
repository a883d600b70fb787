"""What a status, a code and a Retry-After mean."""

import pytest

from app.domain.failure import Failure, FailureKind, Scope, TransferError
from app.remote.answer import Answer, failure_of, retry_after_s

K = FailureKind
NOW = 1_795_219_200.0  # Sat, 21 Nov 2026 00:00:00 GMT


@pytest.mark.parametrize(
    "status, kind",
    [
        (400, K.REFUSED),
        (401, K.SIGN_IN),
        (403, K.FORBIDDEN),
        (404, K.NOT_A_SERVER),
        (408, K.BUSY),
        (409, K.CONFLICT),
        (410, K.REMOTE_GONE),
        (413, K.TOO_LARGE),
        (418, K.REFUSED),
        (422, K.REFUSED),
        (423, K.CONFLICT),
        (429, K.BUSY),
        (460, K.CHECKSUM_MISMATCH),
        (500, K.SERVER_ERROR),
        (502, K.BUSY),
        (503, K.BUSY),
        (504, K.BUSY),
        (507, K.DISK_FULL),
        (599, K.SERVER_ERROR),
        (302, K.NOT_A_SERVER),
    ],
)
def test_each_status_has_its_kind(status: int, kind: FailureKind) -> None:
    assert failure_of(Answer(status, {}), NOW).kind is kind


def test_the_servers_own_code_says_more_than_the_status() -> None:
    full = Answer(409, {}, '{"detail": "No more files.", "code": "batch_full"}')
    assert failure_of(full, NOW) == Failure(K.TOO_MANY_FILES, "No more files.", http_status=409)


def test_a_full_disk_holds_the_whole_server_and_is_tried_again() -> None:
    failure = failure_of(Answer(507, {}), NOW)
    assert (failure.scope, failure.retryable) == (Scope.SERVER, True)


def test_the_limit_comes_with_a_413() -> None:
    assert failure_of(Answer(413, {"tus-max-size": "1000"}), NOW).limit_bytes == 1000


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sat, 21 Nov 2026 00:02:00 GMT", 120.0),
        ("Sat, 21 Nov 2026 00:02:00 -0000", 120.0),
        ("Fri, 20 Nov 2026 23:00:00 GMT", 0.0),
        ("999999999", 86_400.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("１２", None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after_s(text, NOW) == seconds


@pytest.mark.parametrize(
    "headers, body, detail",
    [
        ({}, '{"detail": "Not\\n today."}', "Not today."),
        ({}, '{"message": "No."}', "No."),
        ({}, '{"detail": [{"loc": "body"}]}', "400 Bad Request"),
        ({"content-type": "text/plain"}, "bad\n", "bad"),
        ({"content-type": "text/html"}, "<h1>bad</h1>", "400 Bad Request"),
        ({}, "[" * 100_000, "400 Bad Request"),
        ({}, '{"detail": "' + "x" * 1000 + '"}', "x" * 300),
    ],
)
def test_the_detail_is_one_short_line(headers: dict[str, str], body: str, detail: str) -> None:
    assert Answer(400, headers, body).detail == detail


@pytest.mark.parametrize("body", ["", "<html>", "[1]", "null"])
def test_an_answer_that_is_no_json_object_is_not_of_a_server(body: str) -> None:
    with pytest.raises(TransferError) as caught:
        Answer(200, {}, body).json()
    assert caught.value.failure.kind is K.NOT_A_SERVER


@pytest.mark.parametrize(
    "text, number", [("0", 0), ("9" * 18, 10**18 - 1), ("9" * 19, None), ("9" * 5000, None)]
)
def test_a_number_that_is_no_size_of_anything_is_none(text: str, number: int | None) -> None:
    assert Answer(204, {"upload-offset": text}).number("upload-offset") == number
