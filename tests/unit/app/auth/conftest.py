"""An application with a relay, whose e-mails are only recorded."""

from typing import Any

import pytest


@pytest.fixture
def settings() -> dict[str, Any]:
    """The URL of a relay. No test here connects to it."""
    return {"MAIL_URL": "smtp://127.0.0.1:1"}


@pytest.fixture(autouse=True)
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """IDs of the delivered e-mails."""
    email_ids: list[int] = []
    monkeypatch.setattr("app.mail.emails.deliver", email_ids.append)
    return email_ids
