"""Fixtures of the desk."""

from functools import partial

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.unit.app import conftest
from tests.unit.app.conftest import add_user, logged_in

send = partial(conftest.send, content_type="multipart/form-data")


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    """A client of another logged-in author."""
    return logged_in(app, add_user(app, "bob@news.example").email)
