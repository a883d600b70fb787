"""The tables of this room: projects, who shares them and by which links, uploads, and which files are images of a project."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from app.server.schema import metadata

projects = Table(
    "csh_projects",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("owner", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text),
    Column("type", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Index("ix_csh_projects_owner", "owner", "seq"),
)

shares = Table(
    "csh_shares",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, ForeignKey("csh_projects.id"), nullable=False),
    Column("user_id", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    UniqueConstraint("project_id", "user_id"),
    Index("ix_csh_shares_user", "user_id"),
)

links = Table(
    "csh_links",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, ForeignKey("csh_projects.id"), nullable=False),
    Column("token", Text, nullable=False, unique=True),  # whoever has it may share the project
    Column("expires_at", Text),
    Column("created_at", Text, nullable=False),
    Index("ix_csh_links_project", "project_id"),
)

uploads = Table(
    "csh_uploads",
    metadata,
    Column("batch_id", Text, primary_key=True),  # the core's batch, which counts the files
    Column("id", Text, nullable=False),  # the sender may choose it
    Column("owner", Text, nullable=False),
    Column("project_id", Text, ForeignKey("csh_projects.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("completed_at", Text),
    UniqueConstraint("owner", "id"),
    Index("ix_csh_uploads_project", "project_id", "created_at"),
    Index("ix_csh_uploads_state", "state"),
)

images = Table(
    "csh_images",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("file_id", Text, nullable=False, unique=True),
    Column("owner", Text, nullable=False),
    Column("project_id", Text, ForeignKey("csh_projects.id"), nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("stored_path", Text, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("is_video", Integer, nullable=False, server_default="0"),
    Column("is_published", Integer, nullable=False, server_default="0"),  # 1: its whole upload arrived
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Index("ix_csh_images_project", "project_id", "is_published", "seq"),
    Index("ix_csh_images_batch", "batch_id"),
)
