"""Batches and files."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "batches",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("folder_key", sa.Text, nullable=False, unique=True),
        sa.Column("total_files", sa.Integer, nullable=False, server_default="0"),
        sa.Column("stored_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failed_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("cancelled_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("total_bytes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("stored_bytes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text),
        sa.Column("completed_at", sa.Text),
        sa.Column("cancelled_at", sa.Text),
        sa.Column("cancelled_by", sa.Text),
        sa.UniqueConstraint("owner", "idempotency_key"),
    )
    op.create_index("ix_batches_owner_seq", "batches", ["owner", "seq"])
    op.create_table(
        "files",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("batch_id", sa.Text, sa.ForeignKey("batches.id")),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("relative_path", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("offset_bytes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("expected_sha256", sa.Text),
        sa.Column("sha256", sa.Text),
        sa.Column("mtime_ns", sa.Integer),
        sa.Column("stored_path", sa.Text),
        sa.Column("upload_metadata", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("completed_at", sa.Text),
        sa.Column("cancelled_at", sa.Text),
        sa.Column("cancelled_by", sa.Text),
        sa.Column("expires_at", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.UniqueConstraint("owner", "idempotency_key"),
    )
    op.create_index("ix_files_batch_status", "files", ["batch_id", "status", "seq"])
    op.create_index("ix_files_status_expires", "files", ["status", "expires_at"])


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("files")
    op.drop_table("batches")
