"""Users and tokens, jobs, the outbox, and what batches and files need for them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"

_COUNTERS = ("jobs_total", "jobs_completed", "jobs_failed", "jobs_cancelled")


def upgrade() -> None:
    """Add columns to what is there, and four tables."""
    for table in ("batches", "files"):
        op.add_column(table, sa.Column("origin", sa.Text, nullable=False, server_default=""))
        op.add_column(table, sa.Column("extra", sa.Text, nullable=False, server_default="{}"))
    for counter in _COUNTERS:
        op.add_column("batches", sa.Column(counter, sa.Integer, nullable=False, server_default="0"))
    op.add_column("files", sa.Column("is_sized", sa.Integer, nullable=False, server_default="1"))
    op.add_column("files", sa.Column("process", sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_files_owner_seq", "files", ["owner", "seq"])
    _create_jobs()
    _create_users()
    _create_tokens()
    _create_outbox()


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("file_id", sa.Text),
        sa.Column("batch_id", sa.Text),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("interruptions", sa.Integer, nullable=False, server_default="0"),
        sa.Column("worker", sa.Text),
        sa.Column("progress", sa.Integer, nullable=False, server_default="0"),
        sa.Column("stage", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("result", sa.Text),
        sa.Column("payload", sa.Text, nullable=False, server_default="{}"),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text),
        sa.Column("completed_at", sa.Text),
    )
    op.create_index("ix_jobs_status_lane", "jobs", ["status", "lane", "seq"])
    op.create_index("ix_jobs_file", "jobs", ["file_id"])
    op.create_index("ix_jobs_batch_status", "jobs", ["batch_id", "status"])
    op.create_index("ix_jobs_owner_seq", "jobs", ["owner", "seq"])


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False, unique=True),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
    )


def _create_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
        sa.Column("used_at", sa.Text),
    )
    op.create_index("ix_tokens_family", "tokens", ["family"])
    op.create_index("ix_tokens_user", "tokens", ["user_id"])
    op.create_index("ix_tokens_expires", "tokens", ["expires_at"])


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("file_id", sa.Text),
        sa.Column("batch_id", sa.Text),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("worker", sa.Text),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("next_attempt_at", sa.Text, nullable=False),
        sa.Column("delivered_at", sa.Text),
        sa.Column("last_error", sa.Text),
    )
    op.create_index("ix_outbox_status_next", "outbox", ["status", "next_attempt_at"])
    op.create_index("ix_outbox_file", "outbox", ["file_id"])


def downgrade() -> None:
    """Take it all back."""
    for table in ("outbox", "tokens", "users", "jobs"):
        op.drop_table(table)
    op.drop_index("ix_files_owner_seq", "files")
    for table, columns in (("files", ("is_sized", "process")), ("batches", _COUNTERS)):
        for column in ("origin", "extra", *columns):
            op.drop_column(table, column)
