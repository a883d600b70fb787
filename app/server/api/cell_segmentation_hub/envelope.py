"""The response envelope of the Cell Segmentation Hub: `{success, data, message}`, or `{success, error, code, details?}`."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.server.problems import CODES, Problem

_CODES: Mapping[int, str] = {
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    410: "CONFLICT",
    423: "CONFLICT",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
    507: "SERVICE_UNAVAILABLE",
}
_VALIDATION = {"validation_failed", "too_large", "body_too_long", "too_many_parts", "name_taken"}
NO_TOKEN = "Chybí autentizační token"  # noqa: S105 - a sentence of the original, not a secret


def success(data: object, message: str = "Success", status: int = 200) -> JSONResponse:
    """Return an answer with data."""
    return JSONResponse({"success": True, "data": data, "message": message}, status)


def said(message: str, **more: object) -> JSONResponse:
    """Return one of the answers that have no `data`."""
    return JSONResponse({"success": True, "message": message, **more})


def invalid(**details: str) -> Problem:
    """Return the refusal of fields, each with what is wrong with it."""
    return Problem("validation_failed", extra={"details": {name: [text] for name, text in details.items()}})


def missing(what: str) -> Problem:
    """Return the refusal for what is not there, or is somebody else's: one must not tell from the other."""
    return Problem("not_found", what)


def generic(text: str) -> Problem:
    """Return a refusal with the code that the original gives to plain sentences."""
    return Problem("invalid_request", text, extra={"code": "GENERIC_ERROR"})


def conflict(text: str, **details: object) -> Problem:
    """Return the refusal of what does not fit the state; *details* as in the envelope."""
    return Problem("conflict", text, extra={"details": details} if details else None)


def refuse(problem: Problem) -> Response:
    """Answer a refusal. What exceeds a limit is 400 VALIDATION_ERROR here, never 413."""
    status, code = problem.status, _CODES.get(problem.status, "BAD_REQUEST")
    text, body = problem.detail, dict(problem.extra)
    if problem.code in _VALIDATION:
        status, code = 400, "VALIDATION_ERROR"
        if problem.code == "name_taken":
            status, code = 409, "CONFLICT"
    elif problem.code == "cancelled":
        status, text = 409, "Upload was cancelled"
    elif problem.code == "unauthorized":
        text = NO_TOKEN if problem.detail == CODES["unauthorized"][1] else problem.detail
    elif code == "BAD_REQUEST" and status != 405:
        status = 400
    code = body.pop("code", code)
    if "details" not in body and body:
        body = {"details": body}
    return JSONResponse({"success": False, "error": text, "code": code, **body}, status, problem.headers)


def crashed() -> Response:
    """Answer for a mistake of ours."""
    return refuse(Problem("internal_error", "Internal server error"))


def unfit(error: RequestValidationError) -> Response:
    """Answer for a body or a query that does not fit its route."""
    details: dict[str, list[str]] = {}
    for one in error.errors():
        details.setdefault(str(one["loc"][-1]) if one["loc"] else "body", []).append(str(one["msg"]))
    return refuse(Problem("validation_failed", "Validation failed", extra={"details": details}))


def uuid(text: str, field: str) -> str:
    """Return an id in its one spelling; raises the refusal of *field* if it is none."""
    try:
        return str(UUID(text))
    except ValueError:
        raise invalid(**{field: "Must be a valid UUID"}) from None


def owner_of(request: Request) -> str:
    """Return who asks; the gate has let nobody else in."""
    owner: str = request.state.owner
    return owner


def web(path: str, request: Request) -> str:
    """Return *path* of this API as the client must ask for it."""
    return f"{request.scope.get('root_path', '').rstrip('/')}{path}"
