"""The values of variables that `bin/fleet init` finds in a project, and what it leaves to the owner."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.projects import APP, UP, found

MIGRATE = "from flask_migrate import Migrate\nmigrate = Migrate()\n"
MIGRATIONS = {
    "migrations/env.py": "def run_migrations_offline(): ...",
    "migrations/versions/1_a.py": "down_revision = None",
}
INNER_MIGRATIONS = {f"shop/{name}": text for name, text in MIGRATIONS.items()}
DB_URL = {"DB_URL": "{{ app_database_url }}"}
PREFIXED = {
    "FLASK_SECRET_KEY": "{{ app_secret_key }}",
    "FLASK_SQLALCHEMY_DATABASE_URI": "{{ app_database_url }}",
}
PYPROJECT = "[project]\nname = 'shop'\ndependencies = ['flask', 'psycopg[binary]', 'flask-sqlalchemy']\n"
CELERY = "from celery import Celery\ncelery = Celery()\n"


@pytest.mark.parametrize(
    ("files", "values"),
    [
        # Dependencies
        ({}, {"app_requirements": None, "app_database_driver": None}),
        (
            {"requirements.txt": "psycopg2-binary==2.9.11\nsqlalchemy"},
            {"app_database_driver": "psycopg2"},
        ),
        (
            {"requirements.txt": "-r requirements/prod.txt", "requirements/prod.txt": "asyncpg\nSQLAlchemy[asyncio]"},
            {"app_database_driver": "asyncpg"},
        ),
        ({"requirements.txt": "psycopg"}, {"app_database_driver": "none"}),
        (
            {"pyproject.toml": PYPROJECT, "uv.lock": "[[package]]\nname='psycopg2'\nversion='2'"},
            {"app_database_driver": "psycopg"},
        ),
        # Migrations
        (
            {"ext.py": MIGRATE, "requirements.txt": "flask-migrate", **MIGRATIONS},
            {
                "app_migrate_command": "flask --app app:app db upgrade",
                "app_migrate_status_command": "flask --app app:app db current",
                "app_migrate_sql_command": "flask --app app:app db upgrade --sql {current}:head",
            },
        ),
        (
            {
                "requirements.txt": "flask-migrate",
                **MIGRATIONS,
                "migrations/env.py": "from flask import current_app",
                "migrations/alembic.ini": "",
            },
            {"app_migrate_command": "flask --app app:app db upgrade"},
        ),
        (
            {"shop/ext.py": MIGRATE, "requirements.txt": "flask-migrate", **INNER_MIGRATIONS},
            {
                "app_migrate_command": "flask --app app:app db upgrade --directory shop/migrations",
                "app_migrate_status_command": "flask --app app:app db current --directory shop/migrations",
            },
        ),
        (
            {"ext.py": MIGRATE, "requirements.txt": "flask-migrate", "migrations/env.py": ""},
            {"app_migrate_command": None},
        ),
        (
            {"alembic.ini": "", "db/env.py": "", "db/versions/1.py": "down_revision = None"},
            {"app_migrate_command": "alembic upgrade head", "app_migrate_sql_command": None},
        ),
        (
            {"ext.py": MIGRATE + "import os\nos.environ['DB_URL']", "requirements.txt": "flask-migrate", **MIGRATIONS},
            {
                "app_migrate_command": "flask --app app:app db upgrade",
                "app_environment": {"DB_URL": "{{ app_database_url }}"},
            },
        ),
        # Celery
        (
            {"tasks.py": CELERY, "requirements.txt": "celery"},
            {"app_celery_app": "tasks:celery", "celery_metrics_port": 0, "celery_beat_host": ""},
        ),
        (
            {"tasks.py": CELERY + "celery.conf.beat_schedule = {}", "requirements.txt": "celery"},
            {"celery_beat_host": None},
        ),
        (
            {"make.py": "from app import app\nqueue = app.extensions['celery']", "requirements.txt": "celery"},
            {"app_celery_app": "make:queue"},
        ),
        (
            {
                "shop/tasks.py": CELERY,
                "requirements.txt": "celery",
                "Procfile": "worker: celery -A shop.tasks worker -c 3\nbeat: celery --app=shop.tasks beat",
            },
            {
                "app_celery_app": "shop.tasks:celery",
                "celery_concurrency": 3,
                "celery_beat_host": None,
                "app_processes": None,
            },
        ),
        (
            {
                "shop/tasks.py": CELERY,
                "requirements.txt": "celery",
                "compose.yaml": 'services:\n  worker:\n    command: celery -A "shop.tasks.celery" worker',
            },
            {"app_celery_app": "shop.tasks:celery"},
        ),
        # Processes
        (
            {"Procfile": "web: gunicorn app:app -w 3 --threads=4 -t 60 -b :$PORT\nq: rq worker -u $REDIS_URL"},
            {
                "app_workers": 3,
                "app_threads": 4,
                "app_request_timeout": 60,
                "app_processes": {"q": {"command": "rq worker"}},
            },
        ),
        (
            {"Procfile": "worker: rq worker mail"},
            {"app_processes": {"worker": {"command": "rq worker mail"}}},
        ),
        (
            {"Procfile": "web: flask db upgrade;flask translate compile; gunicorn app:app\nrelease: flask x && ./x"},
            {"app_build_command": "flask --app app:app translate compile", "app_release_command": "flask x && ./x"},
        ),
        (
            {"compose.yaml": "services: {jobs: {command: [dramatiq, shop]}, db: {image: postgres}}"},
            {"app_processes": {"jobs": {"command": "dramatiq shop"}}},
        ),
        (
            {
                "compose.yaml": "services:\n  web: {build: ., image: shop, command: python app.py, ports: ['80:80']}\n"
                "  queue: {image: shop, command: python manage.py work}\n"
                "  test: {image: shop, command: python manage.py test}\n"
                "  proxied: {image: shop, command: python serve.py}\n"
                "  monitor: {build: ./monitor, command: python monitor.py}",
                "serve.py": "app.run()",
            },
            {"app_processes": {"queue": {"command": "python manage.py work"}}},
        ),
        ({"Procfile": "web: gunicorn app:app | tee x\nrelease: a | b"}, {"app_release_command": "a | b"}),
        # WebSockets
        ({"requirements.txt": "flask-sock"}, {"app_workers": None, "app_threads": 100}),
        (
            {"requirements.txt": "flask-socketio", "Procfile": "web: gunicorn --threads 50 app:app"},
            {"app_workers": 1, "app_threads": 50},
        ),
        # Pages
        ({}, {"app_health_path": "/", "app_metrics_path": ""}),
        ({"app.py": APP + UP}, {"app_health_path": "/up"}),
        (
            {"app.py": APP + UP + "@app.route('/healthz', methods=['GET'])\ndef h(): ..."},
            {"app_health_path": "/healthz"},
        ),
        (
            {"app.py": APP + "@app.route('/ping', methods=['POST'])\ndef p(): ...\nsession.get('/status')"},
            {"app_health_path": "/"},
        ),
        ({"app.py": APP + "@app.route('/status/<name>')\ndef s(name): ..."}, {"app_health_path": "/"}),
        ({"app.py": APP + "app.add_url_rule('/health', view_func=print)"}, {"app_health_path": "/health"}),
        (
            {"up.py": "from flask import Blueprint\nu = Blueprint('', '', url_prefix='/up')\n@u.get('/')\ndef i(): 1"},
            {"app_health_path": "/up/"},
        ),
        (
            {
                "api.py": "from flask import Blueprint\nbp = Blueprint('a', __name__)\n@bp.get('/ping')\ndef i(): ...",
                "app.py": APP + "from api import bp as b\napp.register_blueprint(b, url_prefix='/api')",
            },
            {"app_health_path": "/api/ping"},
        ),
        (
            {"app.py": APP + "from prometheus_flask_exporter import PrometheusMetrics\nPrometheusMetrics(app)"},
            {"app_metrics_path": "/metrics"},
        ),
        (
            {"app.py": APP + "@app.get('/internal/metrics')\ndef m(): ...", "requirements.txt": "prometheus_client"},
            {"app_metrics_path": "/internal/metrics"},
        ),
        # Static files and assets
        ({"static/a.css": ""}, {"nginx_static_source": "static", "nginx_static_path": None}),
        (
            {
                "app.py": "from flask import Flask\napp = Flask('', static_folder='out', static_url_path='/assets')",
                "out/a.css": "",
            },
            {"nginx_static_source": "out", "nginx_static_path": "/assets/"},
        ),
        (
            {
                "app.py": "from flask import Flask\napp = Flask(__name__, static_folder='public', static_url_path='')",
                "public/a.css": "",
            },
            {"nginx_static_source": None},
        ),
        (
            {"package.json": '{"scripts": {"build": "x"}}', "package-lock.json": "", ".gitignore": "/static/dist/\n"},
            {"nginx_static_source": "static", "app_build_command": "npm ci && npm run build"},
        ),
        (
            {
                "package.json": '{"scripts": {"build": "x"}}',
                "package-lock.json": "",
                ".gitignore": "/static/dist/\n",
                "Procfile": "web: flask digest compile && gunicorn app:app",
            },
            {"app_build_command": "npm ci && npm run build && flask --app app:app digest compile"},
        ),
        ({"package.json": "[]", "app.json": "[]", "pyproject.toml": "tool = 1"}, {"app_build_command": None}),
        ({"package.json": '{"scripts": {"build": "x"}}', "yarn.lock": ""}, {"app_build_command": None}),
        # Settings and folders
        (
            {"c.py": "import os\nSECRET_KEY = os.environ.get('SHOP_SECRET') or 'dev'\nKEY = os.getenv('API_SECRET')"},
            {"app_environment": {"SHOP_SECRET": "{{ app_secret_key }}"}},
        ),
        ({"c.py": "app.config.from_prefixed_env()"}, {"app_environment": PREFIXED}),
        ({"c.py": "from decouple import config\nconfig('DB_URL')"}, {"app_environment": DB_URL}),
        ({"c.py": "from environs import Env\nenv = Env()\nenv.str('DB_URL')"}, {"app_environment": DB_URL}),
        (
            {"c.py": "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    db_url: str"},
            {"app_environment": DB_URL},
        ),
        ({"c.py": "MAX_CONTENT_LENGTH = 8 * 1024 * 1024 + 0"}, {"app_max_upload_mb": None}),
        ({"c.py": "c['MAX_CONTENT_LENGTH'] = 8 * 1024 ** 2"}, {"app_max_upload_mb": 8}),
        (
            {"c.py": "import os\nos.getenv('FLASK_CONFIG')\nmodes = {'production': 1, 'testing': 2}"},
            {"app_environment": {"FLASK_CONFIG": "production"}},
        ),
        (
            {"c.py": "import os\nos.environ['REDISTOGO_URL']"},
            {"app_environment": {"REDISTOGO_URL": "{{ app_redis_url }}"}},
        ),
        ({"c.py": "import os\nos.environ['REDIS_URL']\nos.environ.get('REDISTOGO_URL')"}, {"app_environment": None}),
        ({"Procfile": "web: gunicorn -e MODE=live app:app"}, {"app_environment": {"MODE": "live"}}),
    ],
)
def test_the_values_are_found(tmp_path: Path, files: dict[str, str], values: dict[str, Any]) -> None:
    project = found(tmp_path, {"app.py": APP, **files})
    assert {name: project.value(name) for name in values} == values


def test_flask_socketio_gets_one_host(tmp_path: Path) -> None:
    files = {"app.py": APP, "requirements.txt": "flask-socketio"}
    assert found(tmp_path, files).single
    assert not found(tmp_path, files, hosts="ten").single


def test_each_finding_names_its_place(tmp_path: Path) -> None:
    files = {"app.py": APP + UP, "Procfile": "web: gunicorn app:app --threads 2", ".python-version": "3.12"}
    sources = {finding.variable: finding.source for finding in found(tmp_path, files).findings}
    assert sources["app_module"] == "Procfile:1: gunicorn app:app"
    assert sources["app_threads"] == "Procfile:1: --threads"
    assert sources["app_python"] == ".python-version"
    assert sources["app_health_path"] == "app.py:4"
