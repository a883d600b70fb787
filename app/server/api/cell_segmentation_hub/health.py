"""Whether the server is well, for those who watch it; nobody has to log in."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from sqlalchemy import Connection, func, select
from starlette.responses import JSONResponse

from app import __version__
from app.server.core import Core
from app.server.problems import Problem
from app.server.schema import jobs
from app.server.states import JOB_UNFINISHED

OPEN_PATHS = frozenset({"/api/health", "/api/health/live", "/api/health/ready"})


def _queue_length(connection: Connection) -> int:
    wanted = select(func.count()).select_from(jobs).where(jobs.c.status.in_(JOB_UNFINISHED))
    return connection.execute(wanted).scalar_one()


async def _check(core: Core) -> dict[str, Any]:
    """Ask the database and the disk; what one of them says is in `checks`."""
    checks: dict[str, dict[str, str]] = {}
    metrics: dict[str, int] = {}
    try:
        metrics["queueLength"] = await core.database.read(_queue_length)
        checks["database"] = {"status": "healthy", "message": "The database answers."}
    except Problem as problem:
        checks["database"] = {"status": "unhealthy", "message": problem.detail}
    try:
        await core.on_disk(core.storage.require_room, 0)
        checks["filesystem"] = {"status": "healthy", "message": "There is room."}
    except (Problem, OSError) as error:
        checks["filesystem"] = {"status": "unhealthy", "message": str(error)}
    is_well = all(one["status"] == "healthy" for one in checks.values())
    status = "healthy" if is_well else "unhealthy"
    told = {"status": status, "timestamp": core.now(), "version": __version__, "environment": "production"}
    return {**told, "checks": checks, "metrics": metrics}


def add(app: FastAPI, core: Core) -> None:
    """Add the routes."""

    @app.get("/api/health")
    async def show_health() -> JSONResponse:
        """Say how the database and the disk are: 200, or 503 if one of them is not well."""
        data = await _check(core)
        is_well = data["status"] == "healthy"
        body = {"success": is_well, "data": data, "message": f"Server is {data['status']}"}
        return JSONResponse(body, 200 if is_well else 503)

    @app.get("/api/health/live")
    async def show_life() -> JSONResponse:
        """Say that the process answers."""
        return JSONResponse({"status": "alive", "timestamp": core.now()})

    @app.get("/api/health/ready")
    async def show_readiness() -> JSONResponse:
        """Say whether uploads can be taken."""
        data = await _check(core)
        issues = [
            f"{name}: {one['message']}" for name, one in data["checks"].items() if one["status"] != "healthy"
        ]
        told = {"ready": not issues, "timestamp": data["timestamp"]}
        return JSONResponse(told | ({"issues": issues} if issues else {}), 503 if issues else 200)
