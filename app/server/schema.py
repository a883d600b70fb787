"""The tables. Times are ISO 8601 text with Z, so that they sort and read as they are; migrations/ makes them."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint

HEAD = "0005"
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
    Column("origin", Text, nullable=False, server_default=""),  # the API that made it
    Column("extra", Text, nullable=False, server_default="{}"),  # JSON that only that API understands
    Column("jobs_total", Integer, nullable=False, server_default="0"),
    Column("jobs_completed", Integer, nullable=False, server_default="0"),
    Column("jobs_failed", Integer, nullable=False, server_default="0"),
    Column("jobs_cancelled", Integer, nullable=False, server_default="0"),
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
    Column("origin", Text, nullable=False, server_default=""),
    Column("extra", Text, nullable=False, server_default="{}"),
    Column("is_sized", Integer, nullable=False, server_default="1"),  # 0: its end is where its bytes end
    Column("process", Integer, nullable=False, server_default="0"),  # 1: inspect it when it is stored
    UniqueConstraint("owner", "idempotency_key"),
    Index("ix_files_batch_status", "batch_id", "status", "seq"),
    Index("ix_files_status_expires", "status", "expires_at"),
    Index("ix_files_owner_seq", "owner", "seq"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("file_id", Text),
    Column("batch_id", Text),  # the batch that counts it, if one does
    Column("lane", Text, nullable=False),  # one job at a time in each
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("interruptions", Integer, nullable=False, server_default="0"),  # servers that died over it
    Column("worker", Text),  # the server that runs it
    Column("progress", Integer, nullable=False, server_default="0"),
    Column("stage", Text),
    Column("error", Text),
    Column("result", Text),
    Column("payload", Text, nullable=False, server_default="{}"),
    Column("created_at", Text, nullable=False),
    Column("started_at", Text),
    Column("completed_at", Text),
    Index("ix_jobs_status_lane", "status", "lane", "seq"),
    Index("ix_jobs_file", "file_id"),
    Index("ix_jobs_batch_status", "batch_id", "status"),
    Index("ix_jobs_owner_seq", "owner", "seq"),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),  # casefolded
    Column("password_hash", Text, nullable=False),
    Column("created_at", Text, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("hash", Text, primary_key=True),  # SHA-256 of the text; the text itself is nowhere
    Column("user_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("family", Text, nullable=False),  # all that came from one login
    Column("expires_at", Text, nullable=False),
    Column("used_at", Text),
    Index("ix_tokens_family", "family"),
    Index("ix_tokens_user", "user_id"),
    Index("ix_tokens_expires", "expires_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("file_id", Text),
    Column("batch_id", Text),
    Column("payload", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("worker", Text),
    Column("created_at", Text, nullable=False),
    Column("next_attempt_at", Text, nullable=False),
    Column("delivered_at", Text),
    Column("last_error", Text),
    Index("ix_outbox_status_next", "status", "next_attempt_at"),
    Index("ix_outbox_file", "file_id"),
)
