"""What `bin/fleet init` leaves to the owner: settings, secrets, tables and commands that nothing else runs."""

from pathlib import Path

import pytest

from tests.unit.tools.projects import APP, found
from tools.project import inventory

MIGRATE = {"requirements.txt": "flask-migrate", "ext.py": "from flask_migrate import Migrate\nm = Migrate()"}
BOOT = "export A=1\nflask db upgrade\nflask deploy\nexec gunicorn app:app\nflask shell\n"


@pytest.mark.parametrize(
    ("files", "note"),
    [
        ({"c.py": "SECRET_KEY = 'dev'"}, "c.py:1: SECRET_KEY is fixed in the code, so its readers can forge sessions;"),
        ({"c.py": "app.secret_key = 'dev'"}, "c.py:1: SECRET_KEY is fixed in the code"),
        ({"c.py": "import os\nos.environ['LIMIT']", ".env.example": "LIMIT='5'"}, "LIMIT (.env.example has 5); set it"),
        (MIGRATE, "ext.py:2 uses Flask-Migrate, but the project has no migrations, so a new database has no tables;"),
        (
            {
                "db/env.py": "def offline(): ...\ndb.create_all()\n",
                "db/a.py": "down_revision = None",
                "alembic.ini": "",
            },
            "db/env.py calls create_all() before the migrations, so these may fail in an empty database, because",
        ),
        ({"boot.sh": BOOT}, "boot.sh:3 runs `flask deploy` before gunicorn; if every release needs it, set"),
        (
            {"app.json": '{"env": {"KEY": {"required": true}, "B": {"value": "1"}, "C": {"required": false}}}'},
            "KEY; set",
        ),
        (
            {"requirements.txt": "Flask-SocketIO"},
            "requirements.txt has flask-socketio, whose clients first poll, and all requests of a client must reach",
        ),
        (
            {"c.py": "import os\nos.environ['STRIPE_KEY']"},
            "c.py:2 needs the variable STRIPE_KEY; set it in app_environment.",
        ),
        ({"requirements.txt": "psycopg2", "c.py": "from environs import Env"}, "No code reads DATABASE_URL"),
        (
            {"requirements.txt": "psycopg2", "sample.env": "A=1\nFLASK_SQLALCHEMY_DATABASE_URI='postgresql:///x'"},
            "sample.env has FLASK_SQLALCHEMY_DATABASE_URI, so probably app_environment needs",
        ),
        (
            {"c.py": "import os\nos.getenv('SHOP_ENV', 'dev')"},
            "c.py:2: without SHOP_ENV the application runs in the mode dev; set it in app_environment.",
        ),
        (
            {"requirements.txt": "flask\npg8000", "c.py": "import os\nos.getenv('DATABASE_URL')"},
            "pg8000 needs a URL with its own name and one host; set app_database_via: proxy, and in app_environment",
        ),
        ({"requirements.txt": "flask\nrq", "worker.py": "x"}, "set app_processes: worker: {command: python worker.py}"),
        ({"requirements.txt": "flask\nrq"}, "requirements.txt has rq, but nothing in the project starts a worker;"),
        (
            {"Procfile": "web: gunicorn -k gevent app:app"},
            "Procfile:1: gunicorn's --worker-class gevent is not taken over",
        ),
        (
            {"compose.yaml": "services: {jobs: {build: {context: .}, command: work}}"},
            "compose.yaml, service jobs runs `work`; if it belongs beside the web server, add it to app_processes.",
        ),
        ({"Procfile": "web: flask run"}, "Procfile:1 does not start gunicorn"),
        ({"Procfile": "release: flask db upgrade"}, "Procfile:1 migrates the schema, but no migrations were found"),
        ({"package.json": '{"scripts": {"build": "x"}}'}, "package.json: script build builds assets"),
    ],
)
def test_what_only_the_owner_can_do_is_noted(tmp_path: Path, files: dict[str, str], note: str) -> None:
    (written,) = found(tmp_path, {"app.py": APP, **files}).notes
    assert note in written


@pytest.mark.parametrize(
    ("files", "note"),
    [
        (
            {"requirements.txt": "flask-socketio\ngevent"},
            "requirements.txt has gevent, which Flask-SocketIO uses, but the fleet's gunicorn works with threads;",
        ),
        (
            {"requirements.txt": "flask-socketio", "c.py": "io = SocketIO()\nio.init_app(app, async_mode='eventlet')"},
            "c.py:2 has async_mode='eventlet', but the fleet's gunicorn works with threads; set SocketIO(async_mode=",
        ),
        ({"requirements.txt": "flask-socketio\ngevent", "c.py": "io = SocketIO(app, async_mode='threading')"}, None),
        (
            {
                "requirements.txt": "flask-socketio\neventlet",
                "c.py": "io = SocketIO()\nio.init_app(app) if live else io.init_app(app, async_mode='threading')",
            },
            "requirements.txt has eventlet, which Flask-SocketIO uses,",
        ),
        ({"requirements.txt": "Flask-Sockets"}, "requirements.txt has flask-sockets, which needs a server of gevent;"),
        ({"requirements.txt": "flask-sock\ngevent"}, None),
    ],
)
def test_websockets_need_threads(tmp_path: Path, files: dict[str, str], note: str | None) -> None:
    notes = [one for one in found(tmp_path, {"app.py": APP, **files}).notes if "first poll" not in one]
    assert len(notes) == (note is not None)
    assert notes == [] or str(note) in notes[0]


@pytest.mark.parametrize(
    "code",
    [
        "app.config.from_envvar('SHOP')",
        "app.config.from_envvar('SHOP', silent=True)",
        "import os\ndef create():\n    path = os.environ.get('SHOP')\n    app.config.from_pyfile(path)",
    ],
)
def test_an_application_that_reads_a_file_with_settings_gets_one(tmp_path: Path, code: str) -> None:
    sqlite = "SECRET_KEY = 'x'\nSQLALCHEMY_DATABASE_URI = 'sqlite:///x.db'"
    project = found(tmp_path, {"app.py": APP, "c.py": code, "d.py": sqlite, "requirements.txt": "flask-sqlalchemy"})
    (note,) = project.notes
    assert note.startswith("d.py:2 has sqlite:///x.db and the project no driver of Postgres")
    assert project.value("app_environment") == {"SHOP": "/etc/{{ app_name }}/settings.cfg"}
    assert project.value("app_extra_packages") == ["psycopg2-binary"]
    (content,) = project.value("app_config_files").values()
    lines = ["import os", "", 'SECRET_KEY = os.environ["SECRET_KEY"]']
    assert content.splitlines() == [*lines, 'SQLALCHEMY_DATABASE_URI = os.environ["DATABASE_URL"]']


@pytest.mark.parametrize(
    "code",
    [
        "import os\nURI = os.environ['DATABASE_URL']\napp.config.from_envvar('SHOP')",
        "app.config.from_pyfile('config.py')",
    ],
)
def test_an_application_that_reads_the_environment_needs_no_file(tmp_path: Path, code: str) -> None:
    assert found(tmp_path, {"app.py": APP, "c.py": code}).value("app_config_files") is None


@pytest.mark.parametrize(
    "code",
    [
        "import os\nSECRET_KEY = os.getenv('SECRET_KEY')\nclass Other:\n    SECRET_KEY = 'x'",
        "class TestConfig:\n    SECRET_KEY = 'x'",
        "SECRET_KEY = make()",
    ],
)
def test_a_secret_that_a_variable_sets_or_that_serves_tests_is_not_noted(tmp_path: Path, code: str) -> None:
    assert found(tmp_path, {"app.py": APP, "c.py": code}).notes == []


@pytest.mark.parametrize(
    ("files", "values"),
    [
        (
            {"config.py": "import os\nclass ProductionConfig: ...\nclass TestConfig: ...\nos.environ['APP_SETTINGS']"},
            {"APP_SETTINGS": "config.ProductionConfig"},
        ),
        (
            {"config.py": "import os\nclass ProdConfig: ...\nos.getenv('APP_SETTINGS', 'config.ProdConfig')"},
            None,
        ),
        ({"app.json": '{"env": {"SALT": {"generator": "secret"}}}'}, {"SALT": "{{ app_secret_key }}"}),
    ],
)
def test_settings_of_production_are_chosen(
    tmp_path: Path, files: dict[str, str], values: dict[str, str] | None
) -> None:
    assert found(tmp_path, {"app.py": APP, **files}).value("app_environment") == values


def test_optional_variables_are_listed(tmp_path: Path) -> None:
    code = (
        "import os\n[os.getenv('STRIPE_KEY'), os.environ.get('TITLE', 'x'), os.getenv('DEBUG'), os.getenv('DB_HOST')]"
    )
    project = found(tmp_path, {"app.py": APP, "c.py": code})
    assert project.optional == ["STRIPE_KEY", "TITLE"]
    assert "# The code also reads these variables, if app_environment sets them: STRIPE_KEY, TITLE.\n" in (
        inventory.application(project)
    )


@pytest.mark.parametrize(("code", "printed"), [("", True), ("# create_all()\n", True), ("db.create_all()\n", False)])
def test_an_environment_that_creates_tables_cannot_print_sql(tmp_path: Path, code: str, printed: bool) -> None:
    files = {"app.py": APP, "db/env.py": f"def offline(): ...\n{code}", "db/a.py": "down_revision = None"}
    project = found(tmp_path, files | {"alembic.ini": "", "requirements.txt": "flask\nalembic"})
    assert project.value("app_migrate_command") == "alembic upgrade head"
    assert (project.value("app_migrate_sql_command") is not None) == printed
