"""The pages for people and machines that look after the server: /healthz and /docs, and the index of APIs at /."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from sqlalchemy import Connection
from starlette.responses import HTMLResponse

from app import __version__
from app.server.api.bodies import Health
from app.server.api.room import Api
from app.server.core import Core

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }
code, pre { font-family: ui-monospace, monospace; font-size: 13px }
summary { cursor: pointer; padding: .3rem 0 } b { display: inline-block; min-width: 4.5rem }
details { border-top: 1px solid #8884 } table { border-collapse: collapse } td { padding: .1rem 1rem .1rem 0; vertical-align: top }
"""


def router(app: FastAPI, core: Core, apis: Sequence[Api], root: Api | None) -> APIRouter:
    """Build the routes; /docs needs nothing from the network."""
    pages = APIRouter()

    @pages.get("/healthz", tags=["server"])
    async def healthz() -> Health:
        """Tell that the server runs and its database answers."""
        await core.database.read(_ask)
        return Health(version=__version__)

    @pages.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(_page(app.openapi()))

    @pages.get("/", include_in_schema=False)
    async def index(request: Request) -> dict[str, Any]:
        """Tell which APIs are there."""
        base = str(request.base_url).rstrip("/")
        names: list[dict[str, Any]] = [{"name": "uphaul", "path": "/api/v1", "docs": f"{base}/docs"}]
        names += [
            {"name": api.name, "path": api.prefix, "openapi": f"{base}{api.prefix}/openapi.json"}
            for api in apis
        ]
        return {
            "server": "uphaul",
            "version": __version__,
            "apis": [one | {"url": base + one["path"], "at_root": _is(root, one["name"])} for one in names],
        }

    return pages


def _is(root: Api | None, name: str) -> bool:
    return root is not None and root.name == name


def _ask(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT 1")


def _page(api: dict[str, Any]) -> str:
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(_schema(name, schema) for name, schema in api["components"]["schemas"].items())
    title = escape(f"{api['info']['title']} {api['info']['version']}")
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>{escape(api['info']['description'])}</p>"
        "<p>Every request needs <code>Authorization: Bearer …</code>. For programs: <a href='openapi.json'>openapi.json</a>.</p>"
        f"<h2>Routes</h2>{operations}<h2>Bodies</h2>{schemas}</html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}<td>{escape(_type(one['schema']))}"
        for one in operation.get("parameters", [])
    )
    answers = "".join(
        f"<tr><td>{escape(status)}<td>{escape(_type(_json(answer)))}<td>{escape(answer['description'])}"
        for status, answer in operation["responses"].items()
    )
    sent = _type(_json(operation["requestBody"])) if "requestBody" in operation else "nothing"
    return (
        f"<details><summary><b>{method.upper()}</b><code>{escape(path)}</code></summary>"
        f"<p>{escape(operation.get('description', ''))}</p><p>Body: <code>{escape(sent)}</code></p>"
        f"<table>{parameters}{answers}</table></details>"
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(key)}</code><td>{escape(_type(value))}<td>{escape(value.get('description', ''))}"
        for key, value in schema.get("properties", {}).items()
    )
    choices = escape(", ".join(map(str, schema.get("enum", []))))
    return f"<details><summary><code>{escape(name)}</code></summary><p>{choices}</p><table>{rows}</table></details>"


def _json(holder: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = holder.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("type", ""))
