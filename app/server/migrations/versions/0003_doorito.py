"""Doorito's upload sessions and their parts."""

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
