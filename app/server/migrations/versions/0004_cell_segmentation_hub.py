"""Projects, shares, uploads and images of the Cell Segmentation Hub."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    """Make the four tables. They are written out: a step must not change when the code does."""
    op.create_table(
        "csh_projects",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
    )
    op.create_index("ix_csh_projects_owner", "csh_projects", ["owner", "seq"])
    op.create_table(
        "csh_shares",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project_id", sa.Text, sa.ForeignKey("csh_projects.id"), nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.UniqueConstraint("project_id", "user_id"),
    )
    op.create_index("ix_csh_shares_user", "csh_shares", ["user_id"])
    op.create_table(
        "csh_uploads",
        sa.Column("batch_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, sa.ForeignKey("csh_projects.id"), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("completed_at", sa.Text),
        sa.UniqueConstraint("owner", "id"),
    )
    op.create_index("ix_csh_uploads_project", "csh_uploads", ["project_id", "created_at"])
    op.create_index("ix_csh_uploads_state", "csh_uploads", ["state"])
    op.create_table(
        "csh_images",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("file_id", sa.Text, nullable=False, unique=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, sa.ForeignKey("csh_projects.id"), nullable=False),
        sa.Column("batch_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("stored_path", sa.Text, nullable=False),
        sa.Column("mime_type", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("is_published", sa.Integer, nullable=False, server_default="0"),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
    )
    op.create_index("ix_csh_images_project", "csh_images", ["project_id", "is_published", "seq"])
    op.create_index("ix_csh_images_batch", "csh_images", ["batch_id"])


def downgrade() -> None:
    """Take them back, the ones that refer to others first."""
    for name in ("csh_images", "csh_uploads", "csh_shares", "csh_projects"):
        op.drop_table(name)
