"""Release notes out of the changelog, and the file about updates from real files, down to what the program believes of it."""

import hashlib
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import minisign
import pytest

from app.update_file import FILE_NAME, Download, release_from, verified
from tests.support.command_line import ROOT

sys.path.append(str(ROOT / "packaging"))
from release_notes import NotThere, notes, plain, update_file

CHANGELOG = """\
# Changelog

## [Unreleased]

### Added

- Something new.

## [0.2.0] - 2026-12-01

### Fixed

- A cancel of **one** file, told
  on two lines.

### Added

- `uphaul serve`.

## [0.1.0] - 2026-11-21

- The first one.

[0.2.0]: https://uphaul.example/0.2.0
"""
URL = "https://uphaul.example/releases/"


def test_a_version_has_its_own_section_and_no_more() -> None:
    assert notes(CHANGELOG, "0.2.0") == (
        "### Fixed\n\n- A cancel of **one** file, told\n  on two lines.\n\n### Added\n\n- `uphaul serve`.",
        date(2026, 12, 1),
    )


def test_the_last_section_ends_before_the_links() -> None:
    assert notes(CHANGELOG, "0.1.0") == ("- The first one.", date(2026, 11, 21))


def test_what_is_not_released_has_no_date() -> None:
    assert notes(CHANGELOG, "unreleased") == ("### Added\n\n- Something new.", None)


def test_a_version_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(NotThere, match=r"no section \[0\.3\.0\]\. It has: Unreleased, 0\.2\.0, 0\.1\.0"):
        notes(CHANGELOG, "0.3.0")


def test_a_field_without_markdown_can_be_read() -> None:
    assert plain(notes(CHANGELOG, "0.2.0")[0]).splitlines() == [
        "Fixed",
        "",
        "- A cancel of one file, told on two lines.",
        "",
        "Added",
        "",
        "- uphaul serve.",
    ]


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """Packages of two versions, and what is no package."""
    for name in (
        "uphaul_0.2.0_amd64.deb",
        "Uphaul-0.2.0-x86_64.AppImage",
        "uphaul-0.2.0-setup.exe",
        "Uphaul-0.2.0.dmg",
        "uphaul_0.1.0_amd64.deb",
        "uphaul_0.2.01_amd64.deb",
        "uphaul-0.2.0.cdx.json",
        "SHA256SUMS",
    ):
        (tmp_path / name).write_text(f"content of {name}")
    return tmp_path


def test_what_it_makes_is_signed_and_believed_by_the_program(dist: Path) -> None:
    content = json.dumps(update_file(CHANGELOG, "0.2.0", dist, URL), indent=2).encode()
    keys = minisign.KeyPair.generate()
    signature = keys.secret_key.sign(content, trusted_comment=f"timestamp:1\tfile:{FILE_NAME}\thashed")
    verified(content, bytes(signature), [keys.public_key.to_base64().decode()])
    release = release_from(content)
    deb = dist / "uphaul_0.2.0_amd64.deb"
    assert [(each.system, each.url.removeprefix(URL)) for each in release.downloads] == [
        ("linux-appimage", "Uphaul-0.2.0-x86_64.AppImage"),
        ("macos", "Uphaul-0.2.0.dmg"),
        ("windows", "uphaul-0.2.0-setup.exe"),
        ("linux-deb", "uphaul_0.2.0_amd64.deb"),
    ]
    assert release.downloads[3] == Download(
        "linux-deb", f"{URL}{deb.name}", hashlib.sha256(deb.read_bytes()).hexdigest(), deb.stat().st_size
    )


def test_without_a_date_or_a_package_there_is_nothing_to_announce(dist: Path, tmp_path: Path) -> None:
    with pytest.raises(NotThere, match="has no date yet"):
        update_file(CHANGELOG, "Unreleased", dist, URL)
    with pytest.raises(NotThere, match="no package of version"):
        update_file(CHANGELOG, "0.2.0", tmp_path / "nothing", URL)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "packaging" / "release_notes.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_the_command_prints_our_own_changelog() -> None:
    done = run("Unreleased")
    page = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert (done.returncode, done.stdout.strip() in page, "## [" in done.stdout) == (0, True, False)


def test_the_command_says_what_is_not_there() -> None:
    done = run("9.9.9")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("CHANGELOG.md has no section [9.9.9]. It has: Unreleased")


def test_the_file_that_releasing_shows_is_one_that_the_program_reads() -> None:
    page = (ROOT / "docs" / "RELEASING.md").read_text(encoding="utf-8")
    example = page.partition("```json")[2].partition("```")[0]
    release = release_from(example.encode())
    assert (release.version, release.downloads[0].system) == ("1.2.3", "linux-deb")
