"""What a server's processes share, because the application has done it before they are forked."""

from __future__ import annotations

import subprocess
import sys

from tools.fleet.context import ROOT

# In a process of its own: others' tests have imported what this one looks for.
FIRST_TASK = """
import sys
from app import create_app
from app.config import Testing
from app.database.models import Base

app = create_app(Testing(DATABASE_URL="sqlite://", STORE_URL="redis://127.0.0.1:1/0"))
assert not Base.registry._new_mappers, "mappers are left to the first request"
before = set(sys.modules)
celery = app.extensions["celery"]
with celery.connection_for_write("redis://127.0.0.1:1/0") as connection:
    celery.amqp, celery.events.default_dispatcher, celery.loader, connection.transport
late = sorted(name for name in set(sys.modules) - before if name.startswith(("celery", "kombu")))
assert not late, late
"""


def test_a_process_has_nothing_left_to_import_or_configure_when_it_gets_its_first_request() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_TASK], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
