"""The bill of materials, CycloneDX 1.6: every package that is frozen in, with its licence, what is compiled into it, and what
the system adds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.context import Context
from common.frozen import product_python, tools_python

_RUNTIME = """
import json, pathlib, platform, re, sqlite3, ssl, sysconfig
import PySide6
site = pathlib.Path(sysconfig.get_path("purelib"))
icu = [file.name.rpartition(".so.")[2] for file in site.glob("PySide6/Qt/lib/libicuuc.so.*")]
print(json.dumps({"site": str(site), "parts": [
    {"name": "cpython", "version": platform.python_version(), "licenses": [{"license": {"id": "PSF-2.0"}}]},
    {"name": "openssl", "version": ssl.OPENSSL_VERSION.split()[1], "licenses": [{"license": {"id": "Apache-2.0"}}]},
    {"name": "sqlite", "version": sqlite3.sqlite_version, "licenses": [{"license": {"id": "blessing"}}]},
    {"name": "qt", "version": PySide6.__version__, "licenses": [{"license": {"id": "LGPL-3.0-only"}}]},
    {"name": "lucide", "licenses": [{"license": {"id": "ISC"}}]},
    *({"name": "icu", "version": version, "licenses": [{"license": {"id": "Unicode-DFS-2016"}}]} for version in icu),
]}))
"""
_TOOLS = """
import importlib.metadata as m, json
print(json.dumps([
    {"name": "pyinstaller", "version": m.version("pyinstaller"),
     "licenses": [{"expression": "GPL-2.0-or-later WITH Bootloader-exception"}]},
]))
"""
_NOT_FROZEN = frozenset({
    "FreeType", "FriBiDi", "HarfBuzz", "Little CMS 2", "PIL._avif", "PIL._imagingcms", "PIL._imagingft", "PIL._imagingmath",
    "PIL._imagingmorph", "PIL._imagingtk", "fribidi-shim", "libavif", "libimagequant", "raqm",
})  # fmt: skip
"""What Pillow's own bill names and uphaul.spec leaves out, or its wheels never had."""
_SYSTEMS = {"win32": "-windows", "darwin": "-macos"}
"""Each system has packages of its own: bills that come together in one folder need names of their own."""


def write_sbom(context: Context) -> Path:
    """Write dist/uphaul-VERSION.cdx.json and return it. It holds no time and no random number."""
    product, tools = context.product, tools_python(context)
    python = product_python(context)
    command = "-m cyclonedx_py environment --output-reproducible --spec-version 1.6 --mc-type application --pyproject".split()
    said = context.run([tools, *command, context.root / "pyproject.toml", "--output-format", "JSON", python])
    bill: dict[str, Any] = json.loads(said)
    bill["components"] = [part for part in bill["components"] if part["name"] not in ("pip", "setuptools")]
    known = {part["bom-ref"] for part in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    bill["dependencies"] = [entry for entry in bill.get("dependencies", ()) if entry["ref"] in known]
    runtime = json.loads(context.run([python, "-c", _RUNTIME]))
    for part in (*runtime["parts"], *json.loads(context.run([tools, "-c", _TOOLS]))):
        bill["components"].append({"type": "library", "bom-ref": part["name"], **part})
    bill["components"] += {part["bom-ref"]: part for part in compiled_in(Path(runtime["site"]))}.values()
    file = context.dist / f"{product.name}-{product.version}{_SYSTEMS.get(sys.platform, '')}.cdx.json"
    file.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return file


def compiled_in(site: Path) -> Iterator[dict[str, Any]]:
    """Yield what the packages in *site* say in bills of their own that they have compiled in: OpenSSL, crates, libjpeg…"""
    for file in sorted(site.glob("*.dist-info/sboms/*.json")):
        owner = file.parent.parent.name.partition("-")[0]
        for part in json.loads(file.read_bytes()).get("components", ()):
            if (
                part.get("scope") == "excluded"
                or part["name"] in _NOT_FROZEN
                or part["name"].lower() == owner
            ):
                continue
            told = {key: part[key] for key in ("name", "version", "licenses", "purl") if part.get(key)}
            yield {"type": "library", "bom-ref": f"{owner}/{part['name']}@{part.get('version', '')}", **told}
