"""Run by Alembic (`flask db …`): as the schema's owner where DATABASE_MIGRATION_URL is set, else as the application."""

from __future__ import annotations

from alembic import context
from flask import current_app
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from app.database.engine import embedded_url
from app.database.models import Base

# Names the lock that lets one migration run at a time.
LOCK = 0x6E657773


def migrate() -> None:
    """Run migrations over a connection of their own."""
    settings = current_app.config
    url = settings["DATABASE_MIGRATION_URL"] or settings["DATABASE_URL"] or embedded_url(current_app)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        postgres = connection.dialect.name == "postgresql"
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_type=True,
            render_as_batch=not postgres,
            transaction_per_migration=False,
        )
        with context.begin_transaction():
            if postgres:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
                # A migration that waits for a table makes every query behind it wait: it gives up instead.
                connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            context.run_migrations()


def print_sql() -> None:
    """Print the statements instead of running them (`--sql`)."""
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    print_sql()
else:
    migrate()
