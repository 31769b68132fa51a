"""What `bin/fleet init` reports about servers that the fleet does not have, and about addresses that are fixed."""

from pathlib import Path

import pytest

from tests.unit.tools.projects import APP, found
from tools.fleet.context import ROOT

ORM = {"requirements.txt": "flask-sqlalchemy"}
OWN = "import os\nURI = os.environ.get('DATABASE_URL') or 'sqlite:///shop.db'\n"
PREFIXED = """
app.config.from_mapping(SECRET_KEY='x', CELERY=dict(broker_url='redis://localhost', result_backend='redis://localhost'))
app.config.from_prefixed_env()
"""


@pytest.mark.parametrize(
    ("files", "note"),
    [
        ({"c.py": "SQLALCHEMY_DATABASE_URI = 'sqlite:///shop.db'", **ORM}, "c.py:1 uses SQLite (sqlite:///shop.db), a"),
        ({"c.py": "import os\nURI = 'sqlite:///' + os.path.join('a', 'b')", **ORM}, "c.py:2 uses SQLite (sqlite:///)"),
        ({"db.py": "import sqlite3\nsqlite3.connect('shop.db')"}, "db.py:2 uses SQLite (sqlite3.connect())"),
        (
            {"requirements.txt": "flask-sqlalchemy\npymysql"},
            "requirements.txt has pymysql, a driver of MySQL, and none",
        ),
        (ORM, "requirements.txt has no driver for Postgres, the fleet's database, and no code reads DATABASE_URL"),
        (
            {"requirements.txt": "Flask-PyMongo", "c.py": "import os\nos.getenv('MONGO_URI')"},
            "outside of the fleet, and set its address in app_environment (MONGO_URI).",
        ),
        (
            {"c.py": "BROKER = 'redis://redis:6379/0'"},
            "The fixed address redis://redis:6379/0 (c.py:1) leads to no server; take",
        ),
        ({"c.py": "URL = 'amqp://guest@mq//'"}, "take it from CELERY_BROKER_URL."),
        (
            {"c.py": "from redis import Redis\nr = Redis(host='redis')"},
            "The fixed address redis (c.py:2) leads to no server",
        ),
    ],
)
def test_a_server_that_the_fleet_does_not_have_is_named(tmp_path: Path, files: dict[str, str], note: str) -> None:
    (written,) = found(tmp_path, {"app.py": APP, **files}).notes
    assert note in written


@pytest.mark.parametrize(
    ("value", "requirements", "noted"),
    [
        ("'sqlite:///shop.db'", "flask-sqlalchemy", True),
        ("'sqlite:///' + os.path.join('a', 'b')", "flask-sqlalchemy", True),
        ("'sqlite:///shop.db'", "flask-sqlalchemy\npsycopg2", False),
        ("'sqlite:///:memory:'", "flask-sqlalchemy", False),
        ("'sqlite://'", "flask-sqlalchemy", False),
    ],
)
def test_an_application_that_has_used_sqlite_so_far_is_told_what_to_check(
    tmp_path: Path, value: str, requirements: str, noted: bool
) -> None:
    code = f"import os\nURI = os.environ.get('DATABASE_URL') or {value}\n"
    notes = found(tmp_path, {"app.py": APP, "c.py": code, "requirements.txt": requirements}).notes
    assert [note.split(" and ")[0] for note in notes] == ([f"c.py:2 has {value.split(chr(39))[1]}"] if noted else [])
    page = (ROOT / "docs/your-application.md").read_text()
    assert all(
        note.endswith("docs/your-application.md (From SQLite to Postgres) lists what to check.") for note in notes
    )
    assert "\n#### From SQLite to Postgres\n" in page


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (ORM, {"app_extra_packages": ["psycopg2-binary"], "app_database_driver": "psycopg2"}),
        (
            {
                "uv.lock": "[[package]]\nname = 'sqlalchemy'\nversion = '2.0.50'\n",
                "pyproject.toml": "[project]\nname = 'x'\ndependencies = ['flask', 'sqlalchemy']\n"
                "[project.optional-dependencies]\ndev = ['pytest']\npg = ['psycopg[binary]>=3']\n",
            },
            {"app_extras": ["pg"], "app_database_driver": "psycopg"},
        ),
    ],
)
def test_an_application_without_a_driver_of_postgres_gets_one(
    tmp_path: Path, files: dict[str, str], expected: dict[str, object]
) -> None:
    project = found(tmp_path, {"app.py": APP, "c.py": OWN, **files})
    names = ("app_extras", "app_extra_packages", "app_database_driver")
    assert {name: value for name in names if (value := project.value(name))} == expected
    assert len(project.notes) == ("app_extras" not in expected), "the note about SQLite"


@pytest.mark.parametrize(
    "code",
    [
        "import os\nr = os.getenv('REDIS_URL', 'redis://localhost:6379')",
        "class DevConfig:\n    URI = 'sqlite:///dev.db'\n    BROKER = 'redis://localhost'",
        "TEST_URI = 'sqlite:///test.db'",
        "def use(url):\n    return url.startswith('redis://')",
        "import redis\nr = redis.Redis(host=app.config['HOST'])",
        "import redis\nr = redis.Redis(connection_pool=pool)",
    ],
)
def test_an_address_that_a_variable_replaces_or_that_serves_no_user_is_not_named(tmp_path: Path, code: str) -> None:
    assert found(tmp_path, {"app.py": APP, "c.py": code}).notes == []


def test_variables_replace_fixed_addresses_where_flask_reads_them(tmp_path: Path) -> None:
    project = found(tmp_path, {"app.py": APP + PREFIXED})
    assert project.notes == []
    assert project.value("app_environment").items() >= {
        ("FLASK_CELERY__broker_url", "{{ app_redis_url }}"),
        ("FLASK_CELERY__result_backend", "{{ app_celery_result_url }}"),
    }


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    x = os.environ['LIMIT']\nexcept Exception:\n    x = 5",
        "try:\n    x = int(os.environ['LIMIT'])\nexcept (KeyError, ValueError):\n    x = 5",
        "if 'LIMIT' in os.environ:\n    x = os.environ['LIMIT']",
    ],
)
def test_a_variable_whose_absence_the_code_handles_is_not_required(tmp_path: Path, code: str) -> None:
    assert found(tmp_path, {"app.py": APP, "c.py": f"import os\n{code}"}).notes == []


def test_the_parts_of_the_address_are_given_to_code_that_reads_them(tmp_path: Path) -> None:
    code = (
        "import os\nos.getenv('DB_HOST')\nos.getenv('DB_USERNAME')\nos.environ['DB_PASS']\nos.getenv('TEST_DB_HOST')\n"
    )
    files = {"app.py": APP, "requirements.txt": "sqlalchemy\npsycopg2", "c.py": code + "os.getenv('POSTGRES_DB', 'x')"}
    project = found(tmp_path, files)
    assert project.notes == []
    assert project.value("app_database_via") == "proxy"
    assert project.value("app_environment") == {
        "DB_HOST": "127.0.0.1",
        "DB_USERNAME": "{{ postgres_app_user }}",
        "DB_PASS": "{{ postgres_app_password }}",
        "POSTGRES_DB": "{{ postgres_database }}",
    }


def test_an_application_that_reads_a_url_needs_no_parts(tmp_path: Path) -> None:
    code = "import os\nos.getenv('DB_HOST'), os.getenv('DB_USER'), os.getenv('DB_PASSWORD'), os.getenv('DATABASE_URL')"
    assert found(tmp_path, {"app.py": APP, "c.py": code}).value("app_environment") is None


COMMAND = "@app.cli.command('make')\ndef make():\n"
USED = {"app.py": f"{APP}\ndef later():\n    from c import db"}


@pytest.mark.parametrize(
    ("files", "owner"),
    [
        ({"c.py": "db.create_all()", **USED}, True),
        ({"c.py": "db.create_all()"}, None),
        ({"app.py": f"{APP}\nif __name__ == '__main__':\n    with app.app_context():\n        db.create_all()"}, None),
        ({"c.py": "@app.cli.command('init-db')\ndef init():\n    db.create_all()"}, None),
        ({"c.py": "from flask_migrate import upgrade\ndef make():\n    upgrade('migrations')", **USED}, True),
        ({"c.py": "from plugins import upgrade\nupgrade()"}, None),
        ({"s.sql": "CREATE TABLE t", "c.py": "def make():\n    app.open_resource('s.sql')", **USED}, True),
        ({"s.sql": "SELECT 1", "c.py": "def start():\n    app.open_resource('s.sql')"}, None),
        ({"db/s.sql": "create table t", "c.py": f"def init():\n    open('s.sql')\n{COMMAND}    init()"}, None),
        ({"c.py": f"def init():\n    db.create_all()\n{COMMAND}    init()", **USED}, None),
        ({"c.py": f"def init():\n    db.create_all()\ninit()\n{COMMAND}    init()", **USED}, True),
    ],
)
def test_an_application_that_changes_its_schema_at_its_start_is_the_owner(
    tmp_path: Path, files: dict[str, str], owner: bool | None
) -> None:
    project = found(tmp_path, {"app.py": APP, **files})
    assert project.value("app_database_owner") is owner
    by_hand = "creates the tables, but gunicorn does not run that line"
    creates = any(word in str(files) for word in ("create_all", "create table"))
    assert any(by_hand in note for note in project.notes) == (owner is None and creates)
