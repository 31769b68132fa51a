"""Confirmed addresses, session epochs, article versions and search, idempotent requests, e-mails, failed tasks.

This migration only adds, so the previous release still works on the new schema.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ANY = sa.JSON().with_variant(JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Upgrade the schema."""
    op.add_column("account", sa.Column("confirmed_at", MOMENT, nullable=True))
    op.add_column("account", sa.Column("session_epoch", sa.Integer(), nullable=False, server_default="0"))
    # Existing users can still log in.
    op.execute("UPDATE account SET confirmed_at = created_at")
    op.add_column("article", sa.Column("updated_at", MOMENT, nullable=True))
    op.add_column("article", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("article", sa.Column("entry_hash", sa.String(64), nullable=True))
    imported = sa.text("entry_hash IS NOT NULL")
    op.create_index(
        "ix_article_entry_hash",
        "article",
        ["entry_hash"],
        unique=True,
        postgresql_where=imported,
        sqlite_where=imported,
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "ALTER TABLE article ADD COLUMN search tsvector NOT NULL GENERATED ALWAYS AS"
            " (setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', content), 'B')) STORED"
        )
        op.create_index("ix_article_search", "article", ["search"], postgresql_using="gin")
        op.create_index(
            "ix_article_keywords",
            "article",
            ["keywords"],
            postgresql_using="gin",
            postgresql_ops={"keywords": "jsonb_path_ops"},
        )
    op.create_table(
        "idempotent_request",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.String(200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_idempotent_request"),
    )
    op.create_index("ix_idempotent_request_created_at", "idempotent_request", ["created_at"])
    op.create_table(
        "mail",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_mail"),
    )
    op.create_index(
        "ix_mail_unsent",
        "mail",
        ["created_at"],
        postgresql_where=sa.text("sent_at IS NULL"),
        sqlite_where=sa.text("sent_at IS NULL"),
    )
    op.create_table(
        "failed_task",
        sa.Column("id", ID, nullable=False),
        sa.Column("task_id", sa.String(64), nullable=False),
        sa.Column("task", sa.String(100), nullable=False),
        sa.Column("arguments", ANY, nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("failed_at", MOMENT, nullable=False),
        sa.Column("requeued_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_failed_task"),
        sa.UniqueConstraint("task_id", name="uq_failed_task_task_id"),
    )
    op.create_index("ix_failed_task_failed_at", "failed_task", ["failed_at"])


def downgrade() -> None:
    """Downgrade the schema."""
    for table in ("failed_task", "mail", "idempotent_request"):
        op.drop_table(table)
    if op.get_context().dialect.name == "postgresql":
        op.drop_index("ix_article_keywords", "article")
        op.drop_index("ix_article_search", "article")
        op.drop_column("article", "search")
    op.drop_index("ix_article_entry_hash", "article")
    for column in ("entry_hash", "version", "updated_at"):
        op.drop_column("article", column)
    for column in ("session_epoch", "confirmed_at"):
        op.drop_column("account", column)
