"""Alembic runs this for `flask db …`. It connects as the schema's owner if DATABASE_MIGRATION_URL is set."""

from alembic import context
from flask import current_app
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from app.database.engine import embedded_url
from app.database.models import Base

# Id of the advisory lock that allows one migration at a time.
LOCK = 0x6E657773

if context.is_offline_mode():
    # `--sql` prints the statements instead of running them.
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    settings = current_app.config
    url = settings["DATABASE_MIGRATION_URL"] or settings["DATABASE_URL"] or embedded_url(current_app)
    with create_engine(url, poolclass=NullPool).connect() as connection:
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
                # While a migration waits for a table lock, all later queries on that table wait too. So stop it early.
                connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            context.run_migrations()
