"""Drops and pastes: which paths are taken, byte for byte, and what is said of the rest."""

import os
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QUrl

from ui.drop import NOTHING_CAME, Taken, from_clipboard, from_text, from_urls, refusal_text


def urls(*addresses: str) -> list[QUrl]:
    return [QUrl(address) for address in addresses]


@pytest.mark.parametrize(
    ("addresses", "taken"),
    [
        (["file:///tmp/a", "file:///tmp/b%20c", "file:///tmp/a"], Taken(("/tmp/a", "/tmp/b c"), ())),
        (["file:///tmp/folder/"], Taken(("/tmp/folder",), ())),
        (["file:///tmp/gr%C3%BC%C3%9Fe"], Taken(("/tmp/grüße",), ())),
        (["file:///tmp/100%25"], Taken(("/tmp/100%",), ())),
        (["file:///tmp/a%23b%3Fc"], Taken(("/tmp/a#b?c",), ())),
        (["file:///tmp/line%0Abreak"], Taken(("/tmp/line\nbreak",), ())),
        (["file://localhost/tmp/a"], Taken(("/tmp/a",), ())),
        (["file://nas/share/a"], Taken((), ("file://nas/share/a",))),
        (["mtp://phone/DCIM", "file:///tmp/a"], Taken(("/tmp/a",), ("mtp://phone/DCIM",))),
        ([], Taken((), ())),
    ],
)
def test_addresses(addresses: list[str], taken: Taken) -> None:
    assert from_urls(urls(*addresses)) == taken


def test_a_name_that_is_no_utf8_is_kept_byte_for_byte(tmp_path: Path) -> None:
    """A file from an old disk; QUrl.toLocalFile() would name a file that is not there."""
    name = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    with open(name, "wb"):
        pass
    taken = from_urls([QUrl.fromEncoded(b"file://" + os.fsencode(tmp_path) + b"/caf%E9.txt")])
    assert [os.path.exists(path) for path in taken.paths] == [True]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("/tmp/a\n/tmp/b c\n", ("/tmp/a", "/tmp/b c")),
        ("  '/tmp/a'  \n\"/tmp/b\"", ("/tmp/a", "/tmp/b")),
        ("file:///tmp/x%20y", ("/tmp/x y",)),
        ("~/a", (os.path.expanduser("~/a"),)),
        ("just words\nrelative/path", ()),
        ("", ()),
    ],
)
def test_text(text: str, paths: tuple[str, ...]) -> None:
    assert from_text(text).paths == paths


def test_files_win_over_their_text() -> None:
    """A file manager puts both on the clipboard."""
    mime = QMimeData()
    mime.setUrls(urls("file:///tmp/a"))
    mime.setText("/somewhere/else")
    assert from_clipboard(mime) == Taken(("/tmp/a",), ())


def test_an_address_alone_is_refused_politely() -> None:
    mime = QMimeData()
    mime.setText("https://example.org/a.jpg")
    assert from_clipboard(mime) == Taken((), ("https://example.org/a.jpg",))


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        ((), ""),
        (
            ("mtp://phone/a",),
            "“mtp://phone/a” was not taken: files on a phone or camera have to be copied to this computer first.",
        ),
        (
            ("https://a.example/x", "https://a.example/y"),
            "2 items were not taken: web addresses cannot be uploaded; download them first.",
        ),
        (
            ("smb://nas/a",),
            "“smb://nas/a” was not taken: only files and folders of this computer can be uploaded. "
            "Copy them here, or mount the place they are in.",
        ),
    ],
)
def test_what_is_not_taken_is_named(refused: tuple[str, ...], sentence: str) -> None:
    assert refusal_text(Taken(("/tmp/a",), refused)) == sentence


def test_a_password_in_an_address_is_not_shown() -> None:
    assert from_urls(urls("ftp://me:secret@host/a")).refused == ("ftp://me@host/a",)


def test_a_drop_that_came_with_nothing_is_not_passed_over_in_silence() -> None:
    assert refusal_text(from_urls([])) == NOTHING_CAME
