"""The application does all imports and configuration before gunicorn forks its processes."""

from tests.unit.app.conftest import run_python

FIRST_TASK = """
import sys
from app import create_app
from app.config import Testing
from app.database.models import Base

app = create_app(Testing(DATABASE_URL="sqlite://", STORE_URL="redis://127.0.0.1:1/0"))
assert not Base.registry._new_mappers, "mappers are not configured yet"
assert "httpx" not in sys.modules, "only the command `feeds import` needs httpx"
before = set(sys.modules)
celery = app.extensions["celery"]
with celery.connection_for_write("redis://127.0.0.1:1/0") as connection:
    celery.amqp, celery.events.default_dispatcher, celery.loader, connection.transport
late = sorted(name for name in set(sys.modules) - before if name.startswith(("celery", "kombu")))
assert not late, late
"""


def test_the_first_request_imports_and_configures_nothing() -> None:
    run_python(FIRST_TASK)
