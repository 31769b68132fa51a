"""Tests on real servers. `TEST_DATABASE_URL` is a Postgres server on which the tests may create databases."""

import os
import secrets
from collections.abc import Iterator

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import create_engine, make_url, text

from app import create_app
from app.config import Testing
from app.extensions import db


@pytest.fixture(scope="module")
def app() -> Iterator[Flask]:
    """An application with a new, migrated database, which is dropped after the tests."""
    if not (url := os.environ.get("TEST_DATABASE_URL")):
        pytest.skip(
            "TEST_DATABASE_URL is not set: give postgresql+psycopg2://… of a server where tests may create databases"
        )
    name = f"test_{secrets.token_hex(6)}"
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    settings = Testing(
        DATABASE_URL=make_url(url).set(database=name).render_as_string(hide_password=False),
        DATABASE_STATEMENT_TIMEOUT=0,
    )
    application = create_app(settings)
    try:
        with application.app_context():
            flask_migrate.upgrade()
            yield application
            db.primary.dispose()
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()
