"""Release notes from CHANGELOG.md: `python3 packaging/release_notes.py VERSION` prints that version's section.

With --json URL it prints the file about updates instead (docs/RELEASING.md): the notes, and each package of --dist with
its size and SHA-256, to be downloaded from below URL. It is signed with minisign afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_HEAD = re.compile(r"^## \[(?P<version>[^\]]+)\](?: - (?P<date>\d{4}-\d{2}-\d{2}))?\s*$", re.MULTILINE)
_SYSTEMS = {
    "_amd64.deb": "linux-deb",
    "-x86_64.AppImage": "linux-appimage",
    ".flatpak": "linux-flatpak",
    "-setup.exe": "windows",
    ".dmg": "macos",
}


class NotThere(Exception):
    """The changelog or the folder does not have what was asked for; the message is a sentence."""


def notes(changelog: str, version: str) -> tuple[str, date | None]:
    """Return the section of *version* without its headline, and its date (None for "Unreleased"). Raises NotThere."""
    heads = list(_HEAD.finditer(changelog))
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        if head["version"].lower() == version.lower():
            text = changelog[head.end() : following.start() if following else len(changelog)]
            day = date.fromisoformat(head["date"]) if head["date"] else None
            return _without_links(text).strip(), day
    known = ", ".join(head["version"] for head in heads)
    raise NotThere(f"CHANGELOG.md has no section [{version}]. It has: {known}.")


def plain(text: str) -> str:
    """Return Markdown of the changelog as lines for a plain field: joined paragraphs, no signs of emphasis."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("  ") and lines and lines[-1]:
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line.removeprefix("### ").rstrip())
    return re.sub(r"\*\*|`", "", "\n".join(lines))


def update_file(changelog: str, version: str, dist: Path, url: str) -> dict[str, object]:
    """Return the file about updates for a released *version*; packages are those in *dist*. Raises NotThere."""
    text, day = notes(changelog, version)
    if day is None:
        raise NotThere(f"[{version}] has no date yet: write “## [{version}] - YYYY-MM-DD” into CHANGELOG.md.")
    packages = [(file, system) for file in _files(dist) if (system := _system(file.name, version))]
    if not packages:
        raise NotThere(f"There is no package of version {version} in {dist}.")
    return {
        "version": version,
        "date": datetime.combine(day, time(), UTC).isoformat().replace("+00:00", "Z"),
        "notes": plain(text),
        "downloads": [_download(file, system, url) for file, system in packages],
    }


def main(argv: Sequence[str]) -> int:
    """Print what *argv* asks for and return the exit code."""
    parser = argparse.ArgumentParser(prog="release_notes.py", description=__doc__.partition("\n")[0])
    parser.add_argument("version")
    parser.add_argument(
        "--json", metavar="URL", help="print the file about updates; downloads are below this address"
    )
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where the packages are")
    args = parser.parse_args(argv)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        if args.json is None:
            print(notes(changelog, args.version)[0])
        else:
            print(
                json.dumps(
                    update_file(changelog, args.version, args.dist, args.json), indent=2, ensure_ascii=False
                )
            )
    except NotThere as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


def _without_links(text: str) -> str:
    """Leave out the references at the end of the file (``[0.1.0]: https://…``)."""
    return "\n".join(line for line in text.splitlines() if not re.match(r"\[[^\]]+\]: ", line))


def _files(dist: Path) -> list[Path]:
    return sorted(file for file in dist.iterdir() if file.is_file()) if dist.is_dir() else []


def _system(name: str, version: str) -> str | None:
    if not re.search(rf"[_-]{re.escape(version)}(?![\d.]*\d)", name):
        return None
    return next((system for end, system in _SYSTEMS.items() if name.endswith(end)), None)


def _download(file: Path, system: str, url: str) -> dict[str, object]:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    address = f"{url.rstrip('/')}/{file.name}"
    return {"system": system, "url": address, "sha256": digest, "size_bytes": file.stat().st_size}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
