"""`uphaul check-update` as a person runs it, against a real server."""

import asyncio
import json
import re
from collections.abc import Mapping

import minisign
import pytest

from app import __version__
from app.update_file import FILE_NAME, Why
from tests.cli.test_docs import shape
from tests.support.canned_server import Canned, CannedServer
from tests.support.command_line import ROOT, Cli

KEYS = minisign.KeyPair.generate()
DOWNLOAD = {
    "system": "linux-deb",
    "url": "https://a.example/u.deb",
    "sha256": "ab" * 32,
    "size_bytes": 4_000_000,
}


def published(version: str) -> Mapping[tuple[str, str], Canned]:
    content = json.dumps(
        {
            "version": version,
            "date": "2026-12-01T10:00:00Z",
            "notes": "Faster.\n\x1b[2J",
            "downloads": [DOWNLOAD],
        }
    )
    signature = KEYS.secret_key.sign(
        content.encode(), trusted_comment=f"timestamp:1\tfile:{FILE_NAME}\thashed"
    )
    return {
        ("GET", f"/{FILE_NAME}"): Canned(200, content),
        ("GET", f"/{FILE_NAME}.minisig"): Canned(200, bytes(signature).decode()),
    }


async def check(cli: Cli, answers: Mapping[tuple[str, str], Canned], *args: str) -> tuple[int, str, str]:
    """Run the command with a server with these answers in the settings."""
    async with CannedServer(answers) as server:
        cli.home.mkdir(exist_ok=True)
        (cli.home / "settings.toml").write_text(
            f'update_url = "{server.url}/{FILE_NAME}"\nupdate_key = "{KEYS.public_key.to_base64().decode()}"\n'
        )
        return await asyncio.to_thread(cli.run, "check-update", *args)


@pytest.fixture
def newer() -> str:
    major = int(__version__.partition(".")[0])
    return f"{major + 1}.0.0"


async def test_a_newer_version_is_told_and_counts_as_one(cli: Cli, newer: str) -> None:
    assert await check(cli, published(newer)) == (
        1,
        f"Version {newer} of 2026-12-01 is there.\n\nFaster.\n\ufffd[2J\n\n"
        f"linux-deb, 4.0 MB: https://a.example/u.deb\nSHA-256 {'ab' * 32}\n",
        "",
    )


async def test_the_newest_needs_no_notes(cli: Cli) -> None:
    assert await check(cli, published(__version__)) == (
        0,
        f"This is the newest version, {__version__} of 2026-12-01.\n",
        "",
    )


async def test_what_is_not_believed_is_an_error(cli: Cli) -> None:
    code, out, err = await check(cli, {})
    assert (code, out, err) == (
        2,
        "",
        "uphaul: There is nothing about updates at this address. Check it in the settings.\n",
    )


async def test_the_json_is_the_documented_one(cli: Cli, newer: str) -> None:
    code, out, _ = await check(cli, published(newer), "--json")
    text = (ROOT / "docs" / "CLI.md").read_text(encoding="utf-8")
    example = text.partition("### check-update")[2].partition("```json")[2].partition("```")[0]
    assert (code, shape(json.loads(out))) == (1, shape(json.loads(example)))
    assert json.loads(out)["release"]["date"] == "2026-12-01T10:00:00.000Z"


def test_without_an_address_it_says_where_to_put_one(cli: Cli) -> None:
    code, value = cli.json("check-update")
    assert (code, value["error"]["code"]) == (2, "no_address")


def test_every_reason_is_documented() -> None:
    text = (ROOT / "docs" / "CLI.md").read_text(encoding="utf-8")
    assert sorted({each.value for each in Why} - set(re.findall(r"\w+", text))) == []


def test_the_licences_are_printed_as_a_whole(cli: Cli) -> None:
    code, value = cli.json("licences")
    texts = {part["name"]: part["text"] for part in value["parts"]}
    assert (code, "Permission is hereby granted" in texts["Uphaul"], min(map(len, texts.values())) > 500) == (
        0,
        True,
        True,
    )
