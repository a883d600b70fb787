"""Projects, who owns them and who shares them; every other part of this room asks here for access."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection, func, or_, select
from starlette.responses import JSONResponse

from app.server.api.cell_segmentation_hub.envelope import (
    conflict,
    invalid,
    missing,
    owner_of,
    said,
    success,
    uuid,
)
from app.server.api.cell_segmentation_hub.tables import images, links, projects, shares
from app.server.core import Core
from app.server.database import Transaction

Sort = Literal["createdAt", "updatedAt", "title", "name"]
_SORTS = {
    "createdAt": projects.c.seq,
    "updatedAt": projects.c.updated_at,
    "title": projects.c.title,
    "name": projects.c.title,
}


@dataclass(frozen=True, slots=True)
class Project:
    """A project as it stood in one snapshot."""

    id: str
    owner: str
    title: str
    description: str | None
    type: str
    created_at: str
    updated_at: str

    def shown(self, asker: str, image_count: int) -> dict[str, Any]:
        """Return it as the wire has it."""
        return {
            "id": self.id,
            "userId": self.owner,
            "title": self.title,
            "description": self.description,
            "type": self.type,
            "isOwned": self.owner == asker,
            "isShared": self.owner != asker,
            "_count": {"images": image_count},
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }


class ProjectIn(BaseModel):
    """What a new project is told."""

    title: str = Field(min_length=1, max_length=255)
    description: str | None = Field(None, max_length=10_000)
    type: str = Field("spheroid", max_length=100)


class ShareIn(BaseModel):
    """With whom."""

    email: str


_COLUMNS = [projects.c[name] for name in Project.__slots__]


def _is_mine(user: str) -> Any:
    shared = select(shares.c.project_id).where(shares.c.user_id == user)
    return or_(projects.c.owner == user, projects.c.id.in_(shared))


def get(connection: Connection, user: str, project_id: str) -> Project:
    """Return a project that *user* owns or shares; raises the 404 otherwise."""
    row = connection.execute(
        select(*_COLUMNS).where(projects.c.id == uuid(project_id, "id"), _is_mine(user))
    ).first()
    if row is None:
        raise missing("Project not found")
    return Project(*row)


def require_owner(connection: Connection, user: str, project_id: str) -> Project:
    """Return a project that *user* owns."""
    project = get(connection, user, project_id)
    if project.owner != user:
        raise missing("Project not found")
    return project


def members(connection: Connection, project_id: str) -> list[str]:
    """Return the owner of a project and everyone it is shared with."""
    owner = connection.execute(select(projects.c.owner).where(projects.c.id == project_id)).scalars()
    others = connection.execute(select(shares.c.user_id).where(shares.c.project_id == project_id)).scalars()
    return [*owner, *others]


def _count(connection: Connection, project_id: str) -> int:
    mine = (images.c.project_id == project_id) & (images.c.is_published == 1)
    return connection.execute(select(func.count()).select_from(images).where(mine)).scalar_one()


def _page(
    connection: Connection, user: str, page: int, limit: int, search: str, sort: Sort, is_descending: bool
) -> tuple[list[dict[str, Any]], int]:
    wanted = _is_mine(user)
    if search:
        wanted &= projects.c.title.contains(search, autoescape=True)
    order = _SORTS[sort]
    rows = connection.execute(
        select(*_COLUMNS)
        .where(wanted)
        .order_by(order.desc() if is_descending else order.asc(), projects.c.seq)
        .limit(limit)
        .offset((page - 1) * limit)
    ).all()
    total = connection.execute(select(func.count()).select_from(projects).where(wanted)).scalar_one()
    return [Project(*row).shown(user, _count(connection, row.id)) for row in rows], total


def pagination(page: int, limit: int, total: int) -> dict[str, Any]:
    """Return the `pagination` of a list."""
    pages = -(-total // limit)
    return {
        "page": page,
        "limit": limit,
        "total": total,
        "totalPages": pages,
        "hasNext": page < pages,
        "hasPrev": page > 1,
    }


def _create(tx: Transaction, user: str, body: ProjectIn, now: str) -> Project:
    project = Project(str(uuid4()), user, body.title, body.description, body.type, now, now)
    tx.execute(projects.insert(), {name: getattr(project, name) for name in Project.__slots__})
    return project


def of_id(connection: Connection, project_id: str) -> Project:
    """Return a project, whosever it is."""
    return Project(*connection.execute(select(*_COLUMNS).where(projects.c.id == project_id)).one())


def let_in(tx: Transaction, project_id: str, guest: str, now: str) -> tuple[str, bool]:
    """Share a project with a user; return the share's id, and whether it is new."""
    wanted = (shares.c.project_id == project_id) & (shares.c.user_id == guest)
    known: str | None = tx.execute(select(shares.c.id).where(wanted)).scalar()
    if known is not None:
        return known, False
    share_id = str(uuid4())
    row = {"id": share_id, "project_id": project_id, "user_id": guest, "created_at": now}
    tx.execute(shares.insert(), row)
    return share_id, True


def _share(tx: Transaction, user: str, project_id: str, guest: str, now: str) -> str:
    project = require_owner(tx.connection, user, project_id)
    if guest == user:
        raise invalid(email="A project cannot be shared with its owner")
    share_id, is_new = let_in(tx, project.id, guest, now)
    if not is_new:
        raise conflict("Project is already shared with this user")
    return share_id


def _unshare(tx: Transaction, user: str, project_id: str, share_id: str) -> None:
    project = require_owner(tx.connection, user, project_id)
    for table in (shares, links):
        gone = table.delete().where(table.c.id == share_id, table.c.project_id == project.id)
        if tx.execute(gone).rowcount:
            return
    raise missing("Share not found")


def add(app: FastAPI, core: Core) -> None:
    """Add the routes."""

    @app.post("/api/projects")
    async def create_project(request: Request, body: ProjectIn) -> JSONResponse:
        project = await core.database.write(_create, owner_of(request), body, core.now())
        return success(project.shown(owner_of(request), 0), "Projekt byl úspěšně vytvořen", 201)

    @app.get("/api/projects")
    async def list_projects(
        request: Request,
        page: Annotated[int, Query(ge=1, le=2**31)] = 1,
        limit: Annotated[int, Query(ge=1, le=100)] = 10,
        search: Annotated[str, Query(max_length=255)] = "",
        sortBy: Sort = "updatedAt",
        sortOrder: Literal["asc", "desc"] = "desc",
    ) -> JSONResponse:
        """List what one owns and what is shared with one."""
        found, total = await core.database.read(
            _page, owner_of(request), page, limit, search, sortBy, sortOrder == "desc"
        )
        return success({"projects": found, "pagination": pagination(page, limit, total)})

    @app.get("/api/projects/{id}")
    async def show_project(request: Request, id: str) -> JSONResponse:
        project = await core.database.read(get, owner_of(request), id)
        count = await core.database.read(_count, project.id)
        return success(project.shown(owner_of(request), count))

    _add_sharing(app, core)


def _add_sharing(app: FastAPI, core: Core) -> None:
    @app.post("/api/projects/{id}/share/email")
    async def share(request: Request, id: str, body: ShareIn) -> JSONResponse:
        """Share with somebody who has an account; it holds at once, nobody is sent a mail."""
        await core.database.read(require_owner, owner_of(request), id)
        guest = await core.accounts.find(body.email)
        if guest is None:
            raise missing("User not found")
        share_id = await core.database.write(_share, owner_of(request), id, guest.id, core.now())
        data = {"id": share_id, "email": guest.name, "status": "accepted"}
        return success(data, "Project shared successfully", 201)

    @app.delete("/api/projects/{id}/shares/{share_id}")
    async def unshare(request: Request, id: str, share_id: str) -> JSONResponse:
        await core.database.write(_unshare, owner_of(request), id, share_id)
        return said("Share revoked successfully")
