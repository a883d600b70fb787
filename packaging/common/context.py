"""What every package is made from: the product as pyproject.toml describes it, the folders, the time, and how to run a tool.

A target is a module with two functions:

    obstacle(context) -> str | None      why it cannot be built on this system, as one sentence; None if it can
    build(context) -> list[Path]         build it; the files that belong into `context.dist`, already there

`build` raises Stop with a sentence when it finds out only while it works.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Stop(Exception):
    """Nothing more can be done; the message is a sentence for the person at the keyboard."""


@dataclass(frozen=True, slots=True)
class Product:
    """What is packaged. Everything comes from pyproject.toml: [project], and [tool.uphaul.packaging] for the rest."""

    name: str
    """The command's and the package's name: `uphaul`."""
    version: str
    summary: str
    """One line, as on a package list."""
    licence: str
    """An SPDX expression."""
    authors: str
    homepage: str
    urls: Mapping[str, str]
    """All of [project.urls]: homepage, documentation, changelog, issues."""
    title: str
    """What a person reads below the icon: `Uphaul`."""
    id: str
    """Reverse DNS, as AppStream, Flatpak and macOS want it."""
    publisher: str
    maintainer: str
    """`Name <address>`, as Debian wants it."""
    scheme: str
    """The links that open the window: `uphaul` for `uphaul:`."""
    keywords: tuple[str, ...]
    description: tuple[str, ...]
    """Paragraphs in plain text."""

    @classmethod
    def read(cls, pyproject: Path) -> Product:
        """Read *pyproject*; Stop naming what is missing."""
        return cls.of(tomllib.loads(pyproject.read_text(encoding="utf-8")))

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Product:
        """Take the product from the parsed pyproject.toml; Stop naming what is missing."""
        try:
            project, more = document["project"], document["tool"]["uphaul"]["packaging"]
            return cls(
                name=project["name"],
                version=project["version"],
                summary=project["description"],
                licence=project["license"],
                authors=", ".join(author["name"] for author in project["authors"]),
                homepage=project["urls"]["homepage"],
                urls=dict(project["urls"]),
                title=more["title"],
                id=more["id"],
                publisher=more["publisher"],
                maintainer=more["maintainer"],
                scheme=more["scheme"],
                keywords=tuple(project["keywords"]),
                description=tuple(more["description"]),
            )
        except KeyError as error:
            raise Stop(f"pyproject.toml lacks {error.args[0]!r}, which a package needs.") from None


@dataclass(frozen=True, slots=True)
class Context:
    """One run of build.py. Folders exist once they are asked for by `folder`."""

    root: Path
    """The checkout."""
    dist: Path
    """Where what people download goes."""
    work: Path
    """Scratch: environments, payloads, trees. May be deleted at any time."""
    product: Product
    epoch_seconds: int
    """The only time that may get into a package: SOURCE_DATE_EPOCH, else that of the last commit."""
    payload: Path | None = None
    """A one-folder program made elsewhere, to be packed instead of one frozen here (build.py --payload)."""

    @classmethod
    def here(cls, root: Path, payload: Path | None = None) -> Context:
        """Describe the checkout at *root*."""
        return cls(
            root=root,
            dist=root / "dist",
            work=root / "build" / "packaging",
            product=Product.read(root / "pyproject.toml"),
            epoch_seconds=_epoch(root),
            payload=payload,
        )

    def folder(self, *names: str) -> Path:
        """Return an empty folder below `work`, made anew."""
        folder = self.work.joinpath(*names)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def run(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        quiet: bool = True,
    ) -> str:
        """Run a tool with SOURCE_DATE_EPOCH set; return what it printed; Stop with its last words if it fails."""
        full = os.environ | {"SOURCE_DATE_EPOCH": str(self.epoch_seconds), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd or self.root,
            env=full | dict(env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            words = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
            raise Stop(f"This did not work: {shlex.join(map(str, command))}\n{words}")
        if not quiet:
            say(done.stdout + done.stderr)
        return done.stdout


def lacking(*programs: str) -> str | None:
    """Return a sentence naming those of *programs* that are not installed, or None."""
    missing = [program for program in programs if shutil.which(program) is None]
    return f"Not installed here: {', '.join(missing)}." if missing else None


def only_on(platform: str, name: str) -> str | None:
    """Return a sentence if this is not the system that *platform* (of sys.platform) means, else None."""
    return None if sys.platform == platform else f"This can only be built on {name}."


def say(text: str) -> None:
    """One sentence to the person, apart from the output of what we start."""
    print(text, file=sys.stderr, flush=True)


def settle(files: Iterable[Path], epoch_seconds: int) -> None:
    """Give *files* and folders one modification time, for a package must not tell when it was made."""
    for file in files:
        os.utime(file, (epoch_seconds, epoch_seconds), follow_symlinks=False)


def _epoch(root: Path) -> int:
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given.isdecimal():
        return int(given)
    done = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode != 0 or not done.stdout.strip().isdecimal():
        raise Stop("This is no git checkout: set SOURCE_DATE_EPOCH to the release's time in seconds.")
    return int(done.stdout)
