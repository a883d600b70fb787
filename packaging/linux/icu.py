"""Makes Qt's libicudata small: of its 32 MB, Qt Widgets uses the rules for sorting and for the properties of letters.

The library is one symbol, `icudtNN_dat`: a header, then a table of (name, data), sorted by name (ICU's
"Common Data" format, udata.h and ucmndata.h). Names of countries, currencies and time zones, transliterations and old
encodings are left out of that table; Qt has tables of its own for what it shows of them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from pathlib import Path

from common.context import Context, Stop

_FORMAT_OFFSET = 12
_ALIGNMENT = 16
_PREFIX = re.compile(rb"icudt\d+l/")
_KEPT = re.compile(
    r"coll/.*|(root|pool|res_index|likelySubtags|keyTypeData|numberingSystems)\.res|u[a-z]+\.icu|\w+\.nrm"
)
_LEFT_OUT = re.compile(r"unames\.icu")


def shrink(library: Path, context: Context) -> None:
    """Replace the data library *library* (libicudata.so.NN) by one with what Qt Widgets uses."""
    header, items = read(library.read_bytes())
    kept = {name: data for name, data in items.items() if is_kept(name.partition("/")[2])}
    prefix = next(iter(items)).partition("/")[0]
    work = context.folder("icu")
    (work / "data").write_bytes(write(header, kept))
    (work / "data.s").write_text(
        _ASSEMBLY.format(symbol=f"{prefix.removesuffix('l')}_dat", file=work / "data")
    )
    context.run(["as", "-o", work / "data.o", work / "data.s"])
    link = ["ld", "-shared", "-z", "noexecstack", "--build-id=none", "-soname", library.name]
    context.run([*link, "-o", work / library.name, work / "data.o"])
    library.write_bytes((work / library.name).read_bytes())


_ASSEMBLY = """\
    .section .rodata
    .balign 16
    .globl {symbol}
    .type {symbol}, @object
{symbol}:
    .incbin "{file}"
    .size {symbol}, . - {symbol}
    .section .note.GNU-stack,"",@progbits
"""


def is_kept(name: str) -> bool:
    """Whether Qt Widgets has a use for the item *name* (without the package's prefix)."""
    return bool(_KEPT.fullmatch(name)) and not _LEFT_OUT.fullmatch(name)


def read(blob: bytes) -> tuple[bytes, Mapping[str, bytes]]:
    """Return the header and the items, by name, of the common data that is somewhere in *blob*; Stop if there is none."""
    found = blob.find(b"CmnD")
    if found < _FORMAT_OFFSET:
        raise Stop("Qt's libicudata is not in the format that packaging/linux/icu.py knows.")
    start = found - _FORMAT_OFFSET
    (size,) = struct.unpack_from("<H", blob, start)
    base = start + size
    (count,) = struct.unpack_from("<I", blob, base)
    table = [struct.unpack_from("<II", blob, base + 4 + 8 * number) for number in range(count)]
    # The last item has no successor that tells its end: what follows it in the file does no harm.
    ends = [data for _name, data in table[1:]] + [len(blob) - base]
    items = {}
    for (name_at, data_at), end in zip(table, ends, strict=True):
        name = blob[base + name_at : blob.index(b"\0", base + name_at)]
        if not _PREFIX.match(name):
            raise Stop(f"Qt's libicudata has an item with the unknown name {name!r}.")
        items[name.decode()] = blob[base + data_at : base + end]
    return blob[start:base], items


def write(header: bytes, items: Mapping[str, bytes]) -> bytes:
    """Return common data with these items."""
    names, name_offsets = b"", []
    first_name = 4 + 8 * len(items)
    for name in sorted(items):
        name_offsets.append(first_name + len(names))
        names += name.encode() + b"\0"
    body, table = bytearray(), [struct.pack("<I", len(items))]
    first_data = _aligned(first_name + len(names))
    for name, name_at in zip(sorted(items), name_offsets, strict=True):
        table.append(struct.pack("<II", name_at, first_data + len(body)))
        body += items[name]
        body += bytes(_aligned(len(body)) - len(body))
    head = b"".join(table) + names
    return header + head + bytes(first_data - len(head)) + bytes(body)


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT
