"""The tables. Times are ISO 8601 text with Z, so that they sort and read as they are; migrations/ makes them."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint

HEAD = "0001"
"""The newest migration: a database that says so needs no look at migrations/ (a test compares the two)."""

metadata = MetaData()

batches = Table(
    "batches",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("owner", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("name", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column(
        "folder_key", Text, nullable=False, unique=True
    ),  # casefolded: no two batches share a folder anywhere
    Column("total_files", Integer, nullable=False, server_default="0"),
    Column("stored_count", Integer, nullable=False, server_default="0"),
    Column("failed_count", Integer, nullable=False, server_default="0"),
    Column("cancelled_count", Integer, nullable=False, server_default="0"),
    Column("total_bytes", Integer, nullable=False, server_default="0"),
    Column("stored_bytes", Integer, nullable=False, server_default="0"),
    Column("created_at", Text, nullable=False),
    Column("started_at", Text),
    Column("completed_at", Text),
    Column("cancelled_at", Text),
    Column("cancelled_by", Text),
    UniqueConstraint("owner", "idempotency_key"),
    Index("ix_batches_owner_seq", "owner", "seq"),
)

files = Table(
    "files",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("owner", Text, nullable=False),
    Column("batch_id", Text, ForeignKey("batches.id")),
    Column("idempotency_key", Text),
    Column("filename", Text, nullable=False),
    Column("relative_path", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("offset_bytes", Integer, nullable=False, server_default="0"),  # a running upload's is on the disk
    Column("expected_sha256", Text),
    Column("sha256", Text),
    Column("mtime_ns", Integer),
    Column("stored_path", Text),
    Column("upload_metadata", Text, nullable=False, server_default=""),
    Column("created_at", Text, nullable=False),
    Column("completed_at", Text),
    Column("cancelled_at", Text),
    Column("cancelled_by", Text),
    Column("expires_at", Text),
    Column("error_message", Text),
    UniqueConstraint("owner", "idempotency_key"),
    Index("ix_files_batch_status", "batch_id", "status", "seq"),
    Index("ix_files_status_expires", "status", "expires_at"),
)
