"""The tables of upload sessions and their parts; migrations/versions/0003_doorito.py makes them."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, Table, Text, UniqueConstraint

from app.server.schema import metadata

sessions = Table(
    "doorito_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("file_id", Text, ForeignKey("files.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("idempotency_key", Text),
    Column("chunk_size_bytes", Integer, nullable=False),
    Column("total_parts", Integer, nullable=False),
    Column("completed_parts", Integer, nullable=False, server_default="0"),
    Column("bytes_received", Integer, nullable=False, server_default="0"),
    UniqueConstraint("owner", "idempotency_key"),
)
"""A session has no status of its own: its file has."""

parts = Table(
    "doorito_parts",
    metadata,
    Column("session_id", Text, ForeignKey("doorito_sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("part_number", Integer, primary_key=True),  # from 1
    Column("size_bytes", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("name", Text, nullable=False),  # of its bytes in the folder of the session
)
