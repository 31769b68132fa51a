"""An application that has a relay for letters, and workers that only note them."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def settings() -> dict[str, Any]:
    """With a relay, which no test here asks."""
    return {"MAIL_URL": "smtp://127.0.0.1:1"}


@pytest.fixture(autouse=True)
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Letters that were handed to a worker."""
    letters: list[int] = []
    monkeypatch.setattr("app.mail.emails.deliver", letters.append)
    return letters
