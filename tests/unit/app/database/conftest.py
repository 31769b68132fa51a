"""An application with a replica, and database errors."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event


@pytest.fixture
def settings(migrated: Path, tmp_path: Path) -> dict[str, Any]:
    """A replica that never receives a write, so that a result shows which database was read."""
    replica = shutil.copy(migrated, tmp_path / "replica.sqlite3")
    # Cached entries expire at once, so every read queries a database.
    return {"DATABASE_REPLICA_URL": f"sqlite:///{replica}", "ARTICLES_TTL": 1e-6, "ARTICLE_TTL": 1e-6, "PIN_SECONDS": 1}


@contextmanager
def failing(engine: Engine, error: Exception, times: int = 1) -> Iterator[None]:
    """Make the engine's next statements fail."""
    errors = iter([error] * times)

    def fail(*_: Any) -> None:
        for left in errors:
            raise left

    event.listen(engine, "do_execute", fail)
    yield
    event.remove(engine, "do_execute", fail)
