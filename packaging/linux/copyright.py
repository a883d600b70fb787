"""The copyright file of the .deb, in Debian's format 1.0: ours, then every part that `uphaul licences` tells of, as it tells it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from common.context import Context, Product

Part = Mapping[str, str]
"""As `uphaul licences --json` says it: name, version, licence and text."""
_COMMON = {
    "Apache-2.0": r"Apache License\s+Version 2\.0, January 2004.*?END OF TERMS AND CONDITIONS",
    "LGPL-3": r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3, 29 June 2007.*?choose that version for the\s+Library\.",
    "GPL-3": r"GNU GENERAL PUBLIC LICENSE\s+Version 3, 29 June 2007.*?END OF TERMS AND CONDITIONS.*?why-not-lgpl\.html>\.",
    "GPL-2": r"GNU GENERAL PUBLIC LICENSE\s+Version 2, June 1991.*?END OF TERMS AND CONDITIONS",
    "MPL-2.0": r"Mozilla Public License Version 2\.0\s+=+.*?Exhibit B.*?Mozilla Public License, v\. 2\.0\.",
}
"""Where a text begins and ends that every Debian has, and by what name."""
_FILES = {
    "Lucide (icons)": ("resources/icons/*",),
    "pyinstaller": ("../uphaul",),
    "PySide6_Essentials": ("PySide6/*",),
    "Python": ("base_library.zip", "libpython*", "python3*"),
    "argon2-cffi-bindings": ("_argon2_cffi_bindings/*",),
    "cffi": ("_cffi_backend*",),
    "pillow": ("PIL/*", "pillow.libs/*"),
    "rpds-py": ("rpds/*",),
}
_COMMENT = """\
Comment: usr/lib/{name}/{name} is the bootloader of PyInstaller with an archive of Python modules behind it: those of this program and
 of the parts below, whose other files are named there. `{name} licences` prints all of this, too."""


def parts_of(context: Context, program: Path) -> list[Part]:
    """Ask the frozen *program* (a folder) what it is made of."""
    home = {"UPHAUL_HOME": str(context.folder("licences"))}
    said = context.run([program / context.product.name, "licences", "--json"], env=home)
    parts: list[Part] = json.loads(said)["parts"]
    return parts


def text(product: Product, year: int, parts: Iterable[Part], folders: Iterable[str]) -> str:
    """Return the file. *folders* are the names of what lies in the program's `_internal`."""
    own, *others = parts
    known = {_normal(name.partition("-")[0]): name for name in folders if name.endswith(".dist-info")}
    plain = {_normal(name): name for name in folders if not name.endswith(".dist-info")}
    lines = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
        f"Upstream-Name: {product.title}",
        f"Source: {product.homepage}",
        _COMMENT.format(name=product.name),
        "",
        "Files: *",
        f"Copyright: {year} {product.authors}",
        "License: Expat",
        *_indented(own["text"].partition("\n\n")[2].partition("\n\n")[2]),
    ]
    for part in others:
        name = part["name"]
        places = list(_FILES.get(name, ()))
        places += [f"{found[key]}/*" for found in (known, plain) if (key := _normal(name)) in found]
        title = f"{name} {part['version']}".strip()
        lines += [
            "",
            f"Files: {' '.join(_place(product, place) for place in dict.fromkeys(places))}",
            f"Copyright: the authors of {title}",
            f"License: {re.sub(r'[^A-Za-z0-9.+-]+', '-', title).strip('-')}",
            *_indented(f"Declared by its authors as: {part['licence']}\n\n{_shortened(part['text'])}"),
        ]
    return "\n".join(lines) + "\n"


def _place(product: Product, place: str) -> str:
    folder = f"usr/lib/{product.name}/"
    return folder + place.removeprefix("../") if place.startswith("../") else f"{folder}_internal/{place}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _shortened(words: str) -> str:
    """Return a licence with those texts that every Debian has replaced by where they are; everything around them stays."""
    for name, pattern in _COMMON.items():
        place = f"The text of this licence is in /usr/share/common-licenses/{name}."
        words = re.sub(pattern, place, words, flags=re.DOTALL)
    return words


def _indented(words: str) -> Iterable[str]:
    """Return lines of a field: each begins with a space, and an empty one is a dot."""
    lines = words.strip().replace("\f", "\n").splitlines()
    return (f" {line.rstrip()}" if line.strip() else " ." for line in lines)
