"""The man page, from the command line's own parser (describe_parser.py)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from common.context import Product
from linux.completions import walk


def page(top: Mapping[str, Any], product: Product, epoch_seconds: int) -> str:
    """Return uphaul(1) in man's macros."""
    day = datetime.fromtimestamp(epoch_seconds, UTC).date().isoformat()
    lines = [
        f'.TH {product.name.upper()} 1 "{day}" "{product.title} {product.version}"',
        ".SH NAME",
        f"{product.name} \\- send files and folders, and see every one arrive",
        ".SH SYNOPSIS",
        f".B {product.name}",
        "[\\fIPATH\\fR...]",
        ".br",
        f".B {product.name}",
        "\\fICOMMAND\\fR [\\fIOPTION\\fR...]",
        ".SH DESCRIPTION",
        *(f".PP\n{_text(paragraph)}" for paragraph in (top["help"], *product.description)),
        ".SH COMMANDS",
    ]
    for words, command in walk(top):
        below = words.partition(" ")[2]
        if below:
            names = " ".join(argument["name"] for argument in command["arguments"])
            lines += [f'.SS "{_text(below)} {names}"', _text(command["help"] or ".")]
        for entry in (*command["arguments"], *command["options"]):
            if entry["help"]:
                lines += [".TP", _named(entry), _text(entry["help"])]
    lines += [".SH NOTES", ".nf", *map(_text, str(top["epilog"]).splitlines()), ".fi"]
    lines += [".SH SEE ALSO", f"{_text(product.urls['documentation'])}", ""]
    return "\n".join(lines)


def _named(entry: Mapping[str, Any]) -> str:
    if "flags" not in entry:
        return f"\\fI{_text(entry['name'])}\\fR"
    flags = ", ".join(f"\\fB{_text(flag)}\\fR" for flag in entry["flags"])
    return f"{flags} \\fI{_text(entry['takes'])}\\fR" if entry["takes"] else flags


def _text(text: str) -> str:
    """Escape what man would take for its own."""
    safe = (
        text.replace("\\", "\\e").replace("-", "\\-").replace("%%", "%").replace("%(default)s", "its default")
    )
    return f"\\&{safe}" if safe.startswith((".", "'")) else safe
