"""Doorito's upload sessions and their parts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Add two tables; a deleted file takes its session and parts along."""
    op.create_table(
        "doorito_sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column(
            "file_id", sa.Text, sa.ForeignKey("files.id", ondelete="CASCADE"), nullable=False, unique=True
        ),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("chunk_size_bytes", sa.Integer, nullable=False),
        sa.Column("total_parts", sa.Integer, nullable=False),
        sa.Column("completed_parts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("bytes_received", sa.Integer, nullable=False, server_default="0"),
        sa.UniqueConstraint("owner", "idempotency_key"),
    )
    op.create_table(
        "doorito_parts",
        sa.Column(
            "session_id",
            sa.Text,
            sa.ForeignKey("doorito_sessions.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("part_number", sa.Integer, primary_key=True),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Take both back."""
    op.drop_table("doorito_parts")
    op.drop_table("doorito_sessions")
