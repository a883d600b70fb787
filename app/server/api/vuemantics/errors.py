"""How vuemantics refuses: `{"detail", "type"}` from the application, `{"detail"}` from the framework, a list for 422."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse, Response

from app.server.problems import Problem

PLAIN = frozenset(
    {
        "not_found",
        "method_not_allowed",
        "invalid_request",
        "invalid_multipart",
        "too_many_parts",
        "rate_limited",
    }
)
"""What comes from the framework in the original: these answers have no `type`."""

TYPES: Mapping[str, str] = {
    "batch_not_found": "NotFoundError",
    "file_not_found": "NotFoundError",
    "name_taken": "ConflictError",
    "not_cancellable": "ConflictError",
    "batch_cancelled": "ConflictError",
    "batch_full": "ConflictError",
    "cancelled": "ConflictError",
    "token_invalid": "AuthenticationError",
    "forbidden": "AuthorizationError",
    "validation_failed": "ValidationError",
    "too_large": "FileTooLargeError",
    "body_too_long": "FileTooLargeError",
    "content_type_unsupported": "UnsupportedFileTypeError",
}
"""The exception classes of the original; everything else is a `StorageError`, or an `InternalError` at 500."""

STATUSES: Mapping[str, int] = {"not_cancellable": 409, "cancelled": 409}
DETAILS: Mapping[str, str] = {
    "batch_not_found": "Batch not found",
    "file_not_found": "Upload not found",
    "name_taken": "Email already registered",
}

token_fault: ContextVar[str | None] = ContextVar("token_fault", default=None)
"""What is wrong with the token of this request; None if it has none. `authenticate` says it, the gate's refusal tells it."""


def refuse(problem: Problem) -> Response:
    """Return the answer for a refusal of the core."""
    status = STATUSES.get(problem.code, problem.status)
    body = {"detail": DETAILS.get(problem.code, problem.detail)}
    if problem.code == "unauthorized":
        fault = token_fault.get()
        body = {"detail": fault, "type": "AuthenticationError"} if fault else {"detail": "Not authenticated"}
    elif problem.code not in PLAIN:
        body["type"] = TYPES.get(problem.code, "InternalError" if status == 500 else "StorageError")
    return JSONResponse({**body, **problem.extra}, status, problem.headers)


def not_valid(*places: tuple[str, ...], message: str = "Field required", kind: str = "missing") -> Response:
    """Return the 422 that says which places of the request are wrong."""
    return JSONResponse({"detail": [{"type": kind, "loc": list(one), "msg": message} for one in places]}, 422)


def invalid(error: RequestValidationError) -> Response:
    """Return the list of what does not fit; what was sent is not repeated: it may be a password."""
    found = [{"type": one["type"], "loc": list(one["loc"]), "msg": one["msg"]} for one in error.errors()]
    return JSONResponse({"detail": found}, 422)
