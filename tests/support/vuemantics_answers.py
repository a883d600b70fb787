"""The shapes of a pretended vuemantics' answers: its five kinds of errors, its tokens, its rows."""

import base64
import json
from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.support.vuemantics_worker import File

_PSYOP = "It was never real. The endpoint was a psyop"


class Windows:
    """Its limits: fixed windows that begin with the first request of a key, in the memory of the process."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._hits: dict[str, tuple[float, int]] = {}

    def clear(self) -> None:
        """Forget everything, as a restart does."""
        self._hits.clear()

    def fill(self, key: str, hits: int) -> None:
        """Somebody else has asked so often just now."""
        self._hits[key] = (self._now(), hits)

    def take(self, key: str, most: int, window_s: float, text: str) -> None:
        """Count a request; refused ones do not count. 429 has the limit as text, and no Retry-After."""
        since, hits = self._hits.get(key, (self._now(), 0))
        if self._now() - since >= window_s:
            since, hits = self._now(), 0
        if hits >= most:
            raise HTTPException(429, text)
        self._hits[key] = (since, hits + 1)


class AppError(HTTPException):
    """An exception of the application: its answer has a type."""

    def __init__(self, status: int, detail: str, kind: str) -> None:
        super().__init__(status, detail)
        self.kind = kind


async def health(_request: Request) -> Response:
    """Say that it is well."""
    return PlainTextResponse("1")


async def client_config(_request: Request) -> Response:
    """Tell its clients what they should know, to anybody."""
    return JSONResponse({"max_upload_size_mb": 100})


async def psyop(_request: Request, error: Exception) -> Response:
    """All headers of the exception are dropped, as there."""
    assert isinstance(error, HTTPException)
    if isinstance(error, AppError):
        return app_error(error.status_code, error.detail, error.kind)
    return JSONResponse({"detail": _PSYOP if error.status_code == 404 else error.detail}, error.status_code)


def app_error(status: int, detail: str, kind: str) -> JSONResponse:
    """An error of the application."""
    return JSONResponse({"detail": detail, "type": kind}, status)


def jwt(claims: dict[str, Any]) -> str:
    """A token whose signature nobody looks at."""
    return ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in ({}, claims, {}))


def row_of(file: File) -> dict[str, Any]:
    """An upload as JSON; one of an empty file breaks the answer."""
    if not file.content:
        raise ValueError("file_size: greater than 0")
    return {
        "id": file.id,
        "filename": file.name,
        "file_size": len(file.content),
        "mime_type": file.media_type,
        "processing_status": file.status,
        "error_message": file.error,
        "metadata": {
            "batch_id": file.batch_id,
            "upload_source": "bulk",
            "original_filename": file.name,
        },
    }
