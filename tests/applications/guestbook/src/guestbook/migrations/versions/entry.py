"""Create the table of entries."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "entry",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("guest", sa.String(80), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("thanks", sa.Text),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("entry")
