"""Links that share a project: whoever has an account and the link's token may come in; and the lists of shares."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection, or_, select
from starlette.responses import JSONResponse

from app.server.api.cell_segmentation_hub import projects
from app.server.api.cell_segmentation_hub.envelope import missing, owner_of, success, web
from app.server.api.cell_segmentation_hub.projects import Project
from app.server.api.cell_segmentation_hub.tables import links, shares
from app.server.clock import iso
from app.server.core import Core
from app.server.database import Transaction
from app.server.schema import users

INVALID = "Invalid or expired share link"


class LinkIn(BaseModel):
    """How long a link works; without a word for ever, until it is revoked."""

    expiryHours: float | None = Field(None, gt=0, le=24 * 365)


def _make(
    tx: Transaction, user: str, project_id: str, expires_at: str | None, now: str
) -> dict[str, str | None]:
    project = projects.require_owner(tx.connection, user, project_id)
    row = {
        "id": str(uuid4()),
        "project_id": project.id,
        "token": secrets.token_urlsafe(24),
        "expires_at": expires_at,
        "created_at": now,
    }
    tx.execute(links.insert(), row)
    return row


def _find(connection: Connection, token: str, now: str) -> tuple[Any, Project]:
    """Return the row of a link that works, and its project; raises the 404."""
    works = or_(links.c.expires_at.is_(None), links.c.expires_at > now)
    row = connection.execute(select(links).where(links.c.token == token, works)).first()
    if row is None:
        raise missing(INVALID)
    return row, projects.of_id(connection, row.project_id)


def _accept(tx: Transaction, user: str, token: str, now: str) -> dict[str, Any]:
    row, project = _find(tx.connection, token, now)
    if project.owner != user:
        projects.let_in(tx, project.id, user, now)
    return {
        "share": {"id": row.id, "project": {"id": project.id, "title": project.title}},
        "needsLogin": False,
    }


def _shares(connection: Connection, user: str, project_id: str) -> tuple[list[Any], list[Any]]:
    """Return who shares a project, and its links: these only to its owner, for a link lets others in."""
    project = projects.get(connection, user, project_id)
    people = connection.execute(
        select(shares, users.c.name)
        .outerjoin(users, users.c.id == shares.c.user_id)
        .where(shares.c.project_id == project.id)
        .order_by(shares.c.created_at)
    ).all()
    found = select(links).where(links.c.project_id == project.id).order_by(links.c.created_at)
    return list(people), list(connection.execute(found)) if project.owner == user else []


def _shown_link(row: Any, request: Request) -> dict[str, Any]:
    return {
        "id": row["id"],
        "shareToken": row["token"],
        "shareUrl": web(f"/api/share/accept/{row['token']}", request),
        "tokenExpiry": row["expires_at"],
        "createdAt": row["created_at"],
    }


def _shown_person(row: Any) -> dict[str, Any]:
    with_whom = {"id": row.user_id, "email": row.name}
    return {
        "id": row.id,
        "email": row.name,
        "sharedWith": with_whom,
        "status": "accepted",
        "createdAt": row.created_at,
    }


def add(app: FastAPI, core: Core) -> None:
    """Add the routes."""
    _add_of_owner(app, core)

    @app.get("/api/share/validate/{token}")
    async def validate(request: Request, token: str) -> JSONResponse:
        """Show what a link shares."""
        row, project = await core.database.read(_find, token, core.now())
        about = {"id": project.id, "title": project.title, "description": project.description}
        return success({"id": row.id, "status": "pending", "tokenExpiry": row.expires_at, "project": about})

    @app.post("/api/share/accept/{token}")
    async def accept(request: Request, token: str) -> JSONResponse:
        """Let whoever asks into the project of a link."""
        told = await core.database.write(_accept, owner_of(request), token, core.now())
        return success(told, "Share invitation accepted successfully")


def _add_of_owner(app: FastAPI, core: Core) -> None:
    @app.post("/api/projects/{id}/share/link")
    async def share_by_link(request: Request, id: str, body: LinkIn) -> JSONResponse:
        """Make a link. It is revoked like a share, by its id."""
        hours, expires_at = body.expiryHours, None
        if hours is not None:
            expires_at = iso(core.clock() + timedelta(hours=hours))
        made = await core.database.write(_make, owner_of(request), id, expires_at, core.now())
        return success(_shown_link(made, request), "Shareable link generated successfully", 201)

    @app.get("/api/projects/{id}/shares")
    async def list_shares(request: Request, id: str) -> JSONResponse:
        """List with whom a project is shared, and, for its owner, by which links."""
        people, made = await core.database.read(_shares, owner_of(request), id)
        open_links = [
            {**_shown_link(row._mapping, request), "email": None, "sharedWith": None, "status": "pending"}
            for row in made
        ]
        return success([_shown_person(row) for row in people] + open_links)
