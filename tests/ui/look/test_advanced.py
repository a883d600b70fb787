"""The folded part of a server's dialog: it gives back what it was given, and says beside the field what cannot be."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.accounts.profiles import ServerProfile
from ui.dialogs.advanced import Advanced
from ui.theme import Theme

PLAIN = ServerProfile("lab", "lab", "https://lab.example", "vuemantics")


@pytest.fixture
def advanced(qtbot: QtBot, theme: Theme) -> Iterator[Advanced]:
    """The part alone, on the screen."""
    parent = QWidget()
    qtbot.addWidget(parent)
    part = Advanced(theme, parent)
    parent.show()
    part.show()
    yield part
    parent.close()


@pytest.mark.parametrize(
    ("changes", "opens"),
    [
        ({}, False),
        ({"ca_file": "/ca.pem"}, True),
        ({"client_cert_file": "/me.pem", "client_key_file": "/me.key"}, True),
        ({"proxy": "none"}, True),
        ({"proxy": "http://anna@proxy.example:3128"}, True),
        ({"parcel_files": 50, "parcel_bytes": 20_500_000}, True),  # finer than the field's megabytes
    ],
)
def test_what_is_not_as_usual_is_shown_and_kept(
    advanced: Advanced, changes: dict[str, str | int], opens: bool
) -> None:
    profile = replace(PLAIN, **changes)
    advanced.show_profile(profile)
    assert (advanced.filled(PLAIN), advanced.fold.isChecked(), advanced.check()) == (profile, opens, True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"client_key_file": "/me.key"}, "A client key needs its certificate, too."),
        ({"proxy": "ftp://proxy.example"}, "The proxy must be “system”, “none” or an address"),
        ({"proxy": "http://"}, "The proxy must be “system”, “none” or an address"),
    ],
)
def test_what_cannot_be_is_said_beside_the_field(
    advanced: Advanced, changes: dict[str, str], said: str
) -> None:
    advanced.show_profile(replace(PLAIN, **changes))
    advanced.fold.setChecked(False)
    well = advanced.check()
    texts = [each.text for each in (advanced._certificate_said, advanced._proxy_said) if each.text]
    assert (well, len(texts), texts[0].startswith(said), advanced.fold.isChecked()) == (False, 1, True, True)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("vuemantics", "As usual (1,000)"), ("cell_segmentation_hub", "As usual (100)"), ("tus", "")],
)
def test_how_much_goes_in_a_request_is_asked_where_many_do(advanced: Advanced, kind: str, words: str) -> None:
    advanced.fold.setChecked(True)
    advanced.show_kind(kind)
    assert (advanced._files.isVisible(), advanced._files.text() if words else "") == (bool(words), words)
