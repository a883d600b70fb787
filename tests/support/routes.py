"""The routes that are really mounted, API by API, as the table in docs/SERVER.md and the tests of all routes need them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount, WebSocketRoute

from app.server.api.room import Api
from app.server.api.tus import METHODS_ON_COLLECTION, METHODS_ON_FILE, TusEndpoint
from app.server.app import create_app
from app.server.config import ServerConfig
from app.server.gate import OPENAPI_PATH

WEBSOCKET = "WebSocket"
SOCKET_IO = "socket.io"
_CONVERTOR = re.compile(r":\w+}")


@dataclass(frozen=True, slots=True)
class Mounted:
    """One way in. *path* is below the prefix of its API; with socket.io it is the name of an event."""

    api: str
    method: str
    path: str
    is_open: bool
    """Whether nobody has to say who it is. Sockets are asked by rules of their own."""
    purpose: str
    """The first sentence of its docstring; empty if it has none."""


def mounted_apis(data_dir: Path) -> list[Api]:
    """Return every API of a server on *data_dir*, our own first. Nothing is started."""
    (gate,) = create_app(ServerConfig(data_dir, "token")).user_middleware
    told: Mapping[str, Any] = gate.kwargs
    return [told["own"], *told["apis"]]


def mounted_routes(data_dir: Path) -> list[Mounted]:
    """Return every route of every API, in the order in which they are asked."""
    return [route for api in mounted_apis(data_dir) for route in _routes(api)]


def _routes(api: Api) -> Iterator[Mounted]:
    assert isinstance(api.app, FastAPI)
    for each in iter_route_contexts(api.app.routes):
        path = _CONVERTOR.sub("}", str(each.path))
        route = each.original_route
        if isinstance(route, Mount):
            yield from _events(api, route)
        elif isinstance(route, WebSocketRoute):
            yield Mounted(api.name, WEBSOCKET, path, False, _first_sentence(each.endpoint))
        elif isinstance(each.endpoint, TusEndpoint):
            for method in sorted(METHODS_ON_FILE if "{" in path else METHODS_ON_COLLECTION):
                yield Mounted("tus", method, path, method == "OPTIONS", "")
        else:
            is_open = path in api.open_paths or path == OPENAPI_PATH
            for method in sorted((each.methods or set()) - {"HEAD"}):
                yield Mounted(api.name, method, path, is_open, _first_sentence(each.endpoint))


def _events(api: Api, mount: Mount) -> Iterator[Mounted]:
    """What a client may send over socket.io: its server knows, and the application that is mounted has it."""
    for name in mount.app.engineio_server.handlers["/"]:  # type: ignore[attr-defined]
        yield Mounted(api.name, SOCKET_IO, name, False, "")


def _first_sentence(endpoint: object) -> str:
    return (endpoint.__doc__ or "").strip().partition("\n")[0] if callable(endpoint) else ""
