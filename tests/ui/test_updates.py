"""The whole window is told of a newer version: from About, and by itself where a person has switched that on."""

import json
from collections.abc import AsyncIterator

import minisign
import pytest
from PySide6.QtWidgets import QListWidget, QPlainTextEdit, QPushButton

from app.update_file import FILE_NAME
from tests.support.canned_server import Canned, CannedServer
from tests.ui.running import Running, dialog
from ui.actions import Do
from ui.dialogs.about import AboutDialog
from ui.dialogs.parts import Mood

KEYS = minisign.KeyPair.generate()
SENTENCE = "Version 900.0.0 of 2026-12-01 is there."


@pytest.fixture
async def publisher() -> AsyncIterator[CannedServer]:
    """Where a newer version is told of, on this loop."""
    content = json.dumps(
        {"version": "900.0.0", "date": "2026-12-01T10:00:00Z", "notes": "Faster.", "downloads": []}
    )
    signature = KEYS.secret_key.sign(content.encode(), trusted_comment=f"timestamp:1\tfile:{FILE_NAME}")
    answers = {
        ("GET", "/u.json"): Canned(200, content),
        ("GET", "/u.json.minisig"): Canned(200, bytes(signature).decode()),
    }
    async with CannedServer(answers) as server:
        yield server


def settings(publisher: CannedServer, *, asks: bool) -> dict[str, object]:
    key = KEYS.public_key.to_base64().decode()
    return {"update_url": f"{publisher.url}/u.json", "update_key": key, "check_for_updates": asks}


def button(about: AboutDialog, text: str) -> QPushButton:
    return next(each for each in about.findChildren(QPushButton) if each.text() == text)


async def test_about_asks_when_its_button_is_pressed(start, publisher: CannedServer) -> None:
    run: Running = await start(**settings(publisher, asks=False))
    await run.until(lambda: run.window.selection().ready, "it is ready")
    run.use(Do.ABOUT)
    about = await dialog(run, AboutDialog)
    (parts,) = about.findChildren(QListWidget)
    await run.until(lambda: parts.count() > 10, "the licences")
    before = len(publisher.asked)
    button(about, "Check for updates").click()
    await run.until(lambda: about.said.mood is Mood.GOOD, "the answer")
    news = next(each for each in about.findChildren(QPlainTextEdit) if each.accessibleName() == "What is new")
    assert (before, about.said.text, news.toPlainText()) == (0, SENTENCE, "Faster.")


async def test_where_it_is_switched_on_the_window_tells_and_leads_to_about(
    start, publisher: CannedServer
) -> None:
    run: Running = await start(**settings(publisher, asks=True))
    await run.until(lambda: run.window.notices.text == SENTENCE, "the newer version")
    asked = len(publisher.asked)
    next(each for each in run.window.notices.findChildren(QPushButton) if each.text() == "Read more").click()
    about = await dialog(run, AboutDialog)
    await run.until(lambda: about.said.text == SENTENCE, "the answer")
    assert (asked, len(publisher.asked)) == (2, 4)


async def test_an_address_alone_is_never_asked_by_itself(start, publisher: CannedServer) -> None:
    run: Running = await start(**settings(publisher, asks=False))
    await run.until(lambda: run.window.selection().ready, "it is ready")
    run.use(Do.QUIT)
    await run.ended
    assert publisher.asked == []
