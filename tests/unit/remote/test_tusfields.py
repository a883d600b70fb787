"""The header fields of tus, and how a file is cut into requests."""

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.failure import FailureKind, TransferError
from app.remote.answer import Answer
from app.remote.base import Abilities, Outgoing
from app.remote.tusfields import (
    abilities,
    checksum,
    checksum_of,
    metadata,
    patch_bytes,
    path_of,
    remote_id_of,
    seconds_text,
)

MIB = 1024 * 1024


def test_metadata_is_pairs_of_key_and_base64() -> None:
    text = metadata(Outgoing("k", "Ä/b\n😀.txt", 1, 1_500_000_000, "b1", None), "ab" * 32)
    pairs = {key: b64decode(value).decode() for key, value in (pair.split(" ") for pair in text.split(","))}
    assert pairs == {
        "filename": "b\n😀.txt",
        "relative_path": "Ä/b\n😀.txt",
        "mtime": "1.500000000",
        "batch_id": "b1",
        "sha256": "ab" * 32,
    }


@pytest.mark.parametrize(
    "name, kind", [("a.png", "image/png"), ("b/c.MP4", "video/mp4"), ("d", "application/octet-stream")]
)
def test_the_type_goes_with_the_name_where_it_may_be_wanted(name: str, kind: str) -> None:
    text = metadata(Outgoing("k", name, 1, 0, None, None), None, with_type=True)
    pairs = dict(pair.split(" ") for pair in text.split(","))
    assert b64decode(pairs["filetype"]).decode() == kind


@pytest.mark.parametrize(
    "offered, algorithm",
    [("sha1,sha256", "sha256"), ("md5, SHA1", "sha1"), ("crc32", None), ("", None)],
)
def test_a_checksum_is_sent_by_the_best_way_that_is_offered(offered: str, algorithm: str | None) -> None:
    headers = {"tus-extension": "checksum", "tus-checksum-algorithm": offered}
    assert checksum_of(Answer(204, headers)) == algorithm


def test_a_checksum_is_the_algorithm_and_base64() -> None:
    assert (
        checksum("sha1", b"hello world") == "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="
    )  # the example of the protocol


@pytest.mark.parametrize(
    "time_ns, text",
    [
        (0, "0.000000000"),
        (1, "0.000000001"),
        (-1_500_000_000, "-1.500000000"),
        (2**62, "4611686018.427387904"),
    ],
)
def test_times_keep_every_nanosecond(time_ns: int, text: str) -> None:
    assert seconds_text(time_ns) == text


@pytest.mark.parametrize(
    "location, remote_id",
    [
        ("/up/files/abc", "abc"),
        ("http://h:1/up/files/abc", "abc"),
        ("https://H/up/files/abc", "abc"),
        ("abc", "abc"),
        ("abc?sig=1/2", "abc?sig=1/2"),
        ("files/abc", "abc"),
        ("./files/abc", "abc"),
        ("../other/abc", "/other/abc"),
        ("/elsewhere/abc?sig=1%2F2", "/elsewhere/abc?sig=1%2F2"),
        ("/up/files/ä b", "%C3%A4%20b"),
        ("/up/files/abc?sig=ä b", "abc?sig=%C3%A4%20b"),
    ],
)
def test_a_location_becomes_an_id_and_an_id_a_path_again(location: str, remote_id: str) -> None:
    found = remote_id_of(location, "http://h:1/up/files")
    assert (found, path_of(found, "/up/files").startswith("/")) == (remote_id, True)


@pytest.mark.parametrize(
    "location", ["", "http://evil/up/files/abc", "//evil/x", "http://[::1", "//h@evil/x"]
)
def test_a_location_on_another_host_gets_no_token(location: str) -> None:
    with pytest.raises(TransferError) as caught:
        remote_id_of(location, "http://h:1/up/files")
    assert caught.value.failure.kind is FailureKind.NOT_A_SERVER


def test_what_a_server_promises() -> None:
    headers = {"tus-version": "1.0.0,0.2.2", "tus-extension": "creation, termination", "tus-max-size": "10"}
    assert abilities(Answer(204, headers)) == Abilities(resume=True, cancel_file=True, max_size_bytes=10)


def test_an_answer_without_a_tus_version_is_of_something_else() -> None:
    with pytest.raises(TransferError) as caught:
        abilities(Answer(200, {"content-type": "text/html"}))
    assert caught.value.failure.kind is FailureKind.NOT_A_SERVER


@given(st.integers(0, 300 * MIB), st.integers(1, 64))
def test_the_last_request_holds_the_last_block_alone(size_bytes: int, chunk_mib: int) -> None:
    bodies, left_bytes = [], size_bytes
    while left_bytes or not bodies:
        bodies.append(patch_bytes(left_bytes, chunk_mib * MIB, MIB))
        left_bytes -= bodies[-1]
    assert (sum(bodies), bodies[-1] <= MIB, max(bodies) <= chunk_mib * MIB) == (size_bytes, True, True)
