"""The bill of materials, CycloneDX 1.6: every package that is frozen in, with its licence, and what the system adds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common.context import Context
from common.frozen import product_python, tools_python

_RUNTIME = """
import json, platform, sqlite3, ssl
print(json.dumps([
    {"name": "cpython", "version": platform.python_version(), "licenses": [{"license": {"id": "PSF-2.0"}}]},
    {"name": "openssl", "version": ssl.OPENSSL_VERSION.split()[1], "licenses": [{"license": {"id": "Apache-2.0"}}]},
    {"name": "sqlite", "version": sqlite3.sqlite_version, "licenses": [{"license": {"id": "blessing"}}]},
]))
"""


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
    for part in json.loads(context.run([python, "-c", _RUNTIME])):
        bill["components"].append({"type": "library", "bom-ref": part["name"], **part})
    file = context.dist / f"{product.name}-{product.version}.cdx.json"
    file.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return file
