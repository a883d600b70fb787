"""DirectDrive's rules: names, refusals, statuses, and the frames of its socket."""

import mimetypes

import pytest

from app.domain.failure import FailureKind
from app.remote.answer import Answer
from app.remote.base import RemoteState
from app.remote.directdrive_rules import (
    MAX_SIZE_BYTES,
    Error,
    Progress,
    Status,
    Success,
    failure_of_initiate,
    file_of,
    frame_of,
    ids_in,
    is_nobodys,
    no_slot,
    refusal,
    remote_id_of,
    status_in,
    status_of,
    stored_name,
)
from app.server.api.directdrive.rules import sanitised

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "name",
    [
        "plain.txt", "Photos/2026/a b.jpg", "a\\b.txt", "x..y", 'say "hi"?.txt', "a\x00b\x1f.txt", "nul.txt", "COM1",
        "y" * 400 + ".tar.gz", "日本語 😀.txt", "a<b>c|d*e:f",
    ],
)  # fmt: skip
def test_a_name_is_predicted_as_our_server_makes_it(name: str) -> None:
    assert stored_name(name) == sanitised(name)


@pytest.mark.parametrize("name", [".profile", "ends.", " a", "/", "..", "\x00", "?"])
def test_a_name_that_only_the_server_can_tell_is_not_predicted(name: str) -> None:
    assert stored_name(name) is None


@pytest.mark.parametrize(
    "path, size, kind",
    [
        ("a.TXT", 1, None),
        ("a.exe.txt", 1, None),
        ("a.exe/b", 1, None),
        ("a.txt.EXE", 1, FailureKind.REFUSED),
        ("a.txt", 0, FailureKind.REFUSED),
        ("a.txt", MAX_SIZE_BYTES, None),
        ("a.txt", MAX_SIZE_BYTES + 1, FailureKind.TOO_LARGE),
    ],
)
def test_what_the_server_refuses_is_known(path: str, size: int, kind: FailureKind | None) -> None:
    refused = refusal(path, size, MAX_SIZE_BYTES)
    assert (refused.kind if refused else None) == kind


def test_a_type_that_the_server_refuses_is_known_where_this_computer_names_it_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which type a suffix has is the computer's to say: `.sh` is `text/x-sh` on some, and taken."""
    monkeypatch.setitem(mimetypes.types_map, ".sh", "application/x-sh")
    refused = refusal("run.sh", 1, MAX_SIZE_BYTES)
    assert (refused.detail if refused else None) == "File type '.sh' is not allowed for security reasons"


@pytest.mark.parametrize(
    "detail, status",
    [
        ("Cannot cancel file with status 'failed'. Only pending or uploading files can be cancelled.", "failed"),
        ("Cannot cancel file with status 'UploadStatus.COMPLETED'. Only …", "completed"),
        ("Cannot cancel upload. File status: pending", "pending"),
        ("Cannot cancel upload. File status: quarantined", None),
        ("File not found", None),
    ],
)  # fmt: skip
def test_the_old_status_is_read_out_of_a_refused_cancel(detail: str, status: str | None) -> None:
    assert status_in(detail) == status


@pytest.mark.parametrize(
    "record, status",
    [
        (None, Status.GONE),
        ({"status": "UploadStatus.UPLOADING"}, Status.UPLOADING),
        ({"status": "initiated"}, Status.PENDING),
        ({"status": "quarantined"}, None),
        ({}, None),
    ],
)
def test_a_status_is_read_whatever_its_spelling(
    record: dict[str, object] | None, status: Status | None
) -> None:
    assert status_of(record) == status


def test_a_word_that_nobody_knows_is_not_taken_for_an_end() -> None:
    assert file_of("b/f", None, {"size_bytes": 5}).state is RemoteState.UNFINISHED


@pytest.mark.parametrize(
    "frame, meaning",
    [
        ('{"type": "progress", "value": 39}', Progress(39)),
        ('{"type": "progress", "value": "79.9"}', Progress(79)),
        ('{"type": "progress", "value": 1e9}', Progress(100)),
        ('{"type": "progress", "value": NaN}', None),
        ('{"type": "progress"}', None),
        ('{"type": "success", "value": "/api/v1/download/stream/x"}', Success()),
        ('{"type": "error", "value": "Upload failed: no"}', Error("Upload failed: no")),
        ('{"type": "error"}', Error("the upload failed")),
        ("PROGRESS:50", Progress(50)),
        ("SUCCESS:abc", Success()),
        ("ERROR:disk: full", Error("disk: full")),
        ('{"type": "cancel_ack"}', None),
        ("[]", None),
        ("null", None),
        ("", None),
        (b"\x00", None),
    ],
)
def test_a_frame_means_what_it_says(frame: str | bytes, meaning: object) -> None:
    assert frame_of(frame) == meaning


@pytest.mark.parametrize(
    "code, reason, is_busy",
    [
        (1008, "Upload limit exceeded or insufficient resources", True),
        (1008, "Insufficient memory for upload", True),
        (1011, "Server error during upload initialization: OSError", True),
        (1008, "File ID not found", False),
        (1008, "gdrive_url query parameter is missing.", False),
        (1000, "", False),
        (1009, "", False),
    ],
)
def test_only_a_missing_place_is_waited_for(code: int, reason: str, is_busy: bool) -> None:
    assert (no_slot(code, reason) is not None) == is_busy


def test_a_page_instead_of_an_answer_is_not_read_as_the_servers_words() -> None:
    page = Answer(503, {"content-type": "text/html"}, "<html>daily quota concurrent</html>")
    assert failure_of_initiate(page, 0.0).detail == "503 Service Unavailable"


@pytest.mark.parametrize("body", ['{"detail": []}', '{"detail": [1]}', "[]", "nonsense", ""])
def test_an_odd_refusal_is_told_by_its_status(body: str) -> None:
    assert failure_of_initiate(Answer(422, JSON, body), 0.0).detail == "422 Unprocessable Entity"


@pytest.mark.parametrize(
    "record, nobodys",
    [
        ({"owner_id": "u", "is_anonymous": False}, False),
        ({"owner_id": None}, True),
        ({"is_anonymous": True}, True),
        ({}, False),
    ],
)
def test_whose_a_file_is_can_be_told(record: dict[str, object], nobodys: bool) -> None:
    assert is_nobodys(record) == nobodys


@pytest.mark.parametrize("batch", ["", "b-1"])
def test_an_id_says_which_batch_its_file_is_of(batch: str) -> None:
    assert ids_in(remote_id_of(batch, "f-1")) == (batch, "f-1")
