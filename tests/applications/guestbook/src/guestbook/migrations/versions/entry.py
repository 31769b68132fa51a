"""Make the guest book's table."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "entry",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("guest", sa.String(80), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("thanks", sa.Text),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("entry")
