"""Links that share a project of the Cell Segmentation Hub, and which of its images are videos."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    """Make one table and one column."""
    op.create_table(
        "csh_links",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project_id", sa.Text, sa.ForeignKey("csh_projects.id"), nullable=False),
        sa.Column("token", sa.Text, nullable=False, unique=True),
        sa.Column("expires_at", sa.Text),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    op.create_index("ix_csh_links_project", "csh_links", ["project_id"])
    op.add_column("csh_images", sa.Column("is_video", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Take both back."""
    op.drop_column("csh_images", "is_video")
    op.drop_table("csh_links")
