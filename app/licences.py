"""Everything that Uphaul is made of, with version and licence, as the installed packages themselves say it.

In a frozen program that is every package whose metadata it carries (packaging/common/uphaul.spec copies them); elsewhere
it is what Uphaul's own metadata asks for, and what that asks for in turn. Reads files; call it once.
"""

import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions

import resources
from app import __version__

OPTIONAL_PARTS = ("window", "mcp")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?[^;]*(?:;(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_USUAL_NAMES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "COPYING", "NOTICE")
_PREFIX = "License :: OSI Approved :: "
_QT = frozenset({"pyside6-essentials", "shiboken6"})
_SPDX = {"pyinstaller": "GPL-2.0-or-later WITH Bootloader-exception"}
"""Of packages that tell it in a sentence of their own."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part. ``licence`` is an SPDX expression where the part gives one; ``text`` is the licence as a whole."""

    name: str
    version: str
    licence: str
    text: str


def components() -> list[Component]:
    """Return Uphaul itself first, then what it stands on, by name."""
    found = distributions() if getattr(sys, "frozen", False) else _needed("uphaul", OPTIONAL_PARTS)
    packages = [_package(each) for each in found if _name(each) != "uphaul"]
    parts = [
        *packages,
        Component("Lucide (icons)", "", "ISC", resources.license_text("Lucide")),
        Component("Python", platform.python_version(), "PSF-2.0", resources.license_text("Python")),
    ]
    own = Component("Uphaul", __version__, "MIT", resources.license_text("Uphaul"))
    return [own, *sorted(parts, key=lambda each: each.name.lower())]


def as_text(parts: Iterable[Component]) -> str:
    """Return all of them with their licences, for a file."""
    return "\n\n".join(f"{title(each)}\n{'=' * 78}\n\n{each.text.strip()}\n" for each in parts)


def title(part: Component) -> str:
    """Return the part on one line: "httpx 0.28.1, BSD-3-Clause"."""
    return f"{part.name} {part.version}".strip() + f", {part.licence}"


def _needed(root: str, extras: Iterable[str]) -> list[Distribution]:
    """Return the packages that *root* needs with these of its optional parts; what is not installed is passed over."""
    found: dict[str, Distribution] = {}
    asked: set[tuple[str, str]] = set()
    open_ = [(root, extra) for extra in ("", *extras)]
    while open_:
        name, extra = open_.pop()
        if (_normal(name), extra) in asked:
            continue
        asked.add((_normal(name), extra))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        found[_normal(name)] = package
        open_ += [pair for line in package.requires or () for pair in _wanted(line, extra)]
    return list(found.values())


def _wanted(requirement: str, extra: str) -> list[tuple[str, str]]:
    """Return (name, extra) pairs of one Requires-Dist line, if it is for *extra* ("" for the package itself)."""
    match = _REQUIREMENT.match(requirement)
    if match is None:
        return []
    name, extras, marker = match.groups()
    conditions = _EXTRA.findall(marker or "")
    if extra not in (conditions or [""]):
        return []
    return [(name, each.strip()) for each in ("", *(extras or "").split(","))]


def _package(package: Distribution) -> Component:
    name = package.metadata["Name"]
    texts = _texts(package)
    if _name(package) in _QT:
        texts = [resources.license_text(each) for each in ("Qt", "LGPL-3.0", "GPL-3.0")]
    return Component(name, package.version, _licence(package), "\n\n".join(texts))


def _texts(package: Distribution) -> list[str]:
    """Return the licence files beside its metadata: those it names, and those that are called as usual.

    Not by its list of files, which a frozen program does not have.
    """
    named = (package.metadata.get_all("License-File") or [], _USUAL_NAMES)
    paths = dict.fromkeys(
        f"{folder}{name}" for names in named for name in names for folder in ("licenses/", "")
    )
    found = (package.read_text(path) for path in paths)
    return list(dict.fromkeys(text for text in found if text))


def _licence(package: Distribution) -> str:
    """Return the SPDX expression, or the short older field, or what the classifiers say."""
    if known := _SPDX.get(_name(package)):
        return known
    metadata = package.metadata
    # What is not there is None to one library of this name and an error to its newer twin, which keyring may bring.
    fields = {name: metadata[name] for name in metadata}
    expression, old = fields.get("License-Expression", ""), fields.get("License", "")
    if expression:
        return expression
    classified = [each.removeprefix(_PREFIX) for each in metadata.get_all("Classifier") or []]
    if old and "\n" not in old and len(old) < 60:
        return old
    return " or ".join(each for each in classified if "License" in each) or "see the text"


def _name(package: Distribution) -> str:
    return _normal(package.metadata["Name"])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
