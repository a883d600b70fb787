"""Headers in, values or a refusal out."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.server.api import tus_headers
from app.server.names import UnsafePathError, split_path
from app.server.problems import Problem


def encoded(**values: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


@given(path=st.text(st.characters(codec="utf-8"), min_size=1, max_size=50))
def test_any_safe_path_survives_the_header(path: str) -> None:
    try:
        split_path(path)
    except UnsafePathError:
        with pytest.raises(Problem):
            tus_headers.metadata(encoded(filename="f", relative_path=path), windows=False)
        return
    assert (
        tus_headers.metadata(encoded(filename="f", relative_path=path), windows=False).relative_path == path
    )


@given(text=st.text(st.characters(codec="ascii")))
def test_any_text_is_metadata_with_a_filename_or_a_mistake_of_the_sender(text: str) -> None:
    try:
        fits = bool(tus_headers.metadata(text, windows=False).filename)
    except Problem as problem:
        fits = problem.status == 400
    assert fits


@pytest.mark.parametrize(
    "text,nanoseconds",
    [
        ("0", 0),
        ("1.5", 1_500_000_000),
        ("-1.25", -1_250_000_000),
        ("1700000000.123456789", 1700000000_123456789),
    ],
)
def test_mtime_is_exact(text: str, nanoseconds: int) -> None:
    assert tus_headers.metadata(encoded(filename="f", mtime=text), windows=False).mtime_ns == nanoseconds


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "1e3", "٣", " 1", "9" * 20, str(2**62 + 1)])
def test_what_is_no_number_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="whole number"):
        tus_headers.number({"Upload-Length": text}, "Upload-Length")


def test_a_stored_path_fits_into_a_header() -> None:
    assert tus_headers.stored_path("Fotos/ä\n 1.txt") == "Fotos/%C3%A4%0A%201.txt"


def test_a_checksum_is_read() -> None:
    found = tus_headers.checksum("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")
    assert (found and found.algorithm, found and found.digest.hex()) == (
        "sha1",
        "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed",
    )
