"""A news site and its API: the worked example that Flaskfleet runs."""

from pathlib import Path
from typing import Any, cast

from flask import Flask
from sqlalchemy.orm import configure_mappers
from werkzeug.middleware.proxy_fix import ProxyFix

from app import cli, config
from app.admin import bp as admin_bp
from app.api import bp as api_bp
from app.api import docs, document
from app.auth import bp as auth_bp
from app.auth import load_user
from app.config import Config
from app.database.engine import make_database
from app.database.models import Base
from app.desk import bp as desk_bp
from app.extensions import csrf, login_manager, migrate
from app.jobs import celery_app
from app.logs import structured
from app.mail import outbox
from app.main import bp as main_bp
from app.main import feeds_bp
from app.redis.cache import make_cache
from app.redis.store import make_store
from app.web import (
    assets,
    debugging,
    health,
    limits,
    metrics,
    pages,
    problems,
    read_your_writes,
    security_headers,
    urls,
)
from app.web.sessions import StoreSessionInterface, refuse_forms_without_session

TASK_MODULES = ["app.jobs.dead_letters", *(f"app.{package}.tasks" for package in ("accounts", "mail", "news", "web"))]


def create_app(settings: Config | None = None) -> Flask:
    """Create the application from `settings`, or from the environment. Connections are opened at their first use."""
    app = Flask(__name__)
    app.config.from_mapping((settings or config.load()).flask_settings())
    app.testing = app.config["ENVIRONMENT"] == "testing"
    structured.init_app(app)
    _configure_database(app)
    _configure_cache_and_store(app)
    metrics.init_app(app, app.extensions["database"], app.extensions["cache"])
    celery_app.init_app(app, task_modules=TASK_MODULES)
    outbox.init_app(app)
    _configure_login(app)
    _configure_responses(app)
    _configure_blueprints(app)
    cli.init_app(app)
    # Otherwise each gunicorn process would configure the mappers in its first request.
    configure_mappers()
    return app


def _configure_database(app: Flask) -> None:
    app.extensions["database"] = make_database(app)
    # Flask-Migrate needs only the metadata. The migrations are part of the package, so that a release contains them.
    migrate.init_app(app, cast("Any", Base), directory=str(Path(__file__).parent / "migrations"))


def _configure_cache_and_store(app: Flask) -> None:
    app.extensions["cache"] = make_cache(app)
    app.extensions["store"] = make_store(app)
    app.session_interface = StoreSessionInterface(app, app.extensions["store"])
    app.before_request(refuse_forms_without_session)


def _configure_login(app: Flask) -> None:
    login_manager.init_app(app)
    login_manager.user_loader(load_user)
    login_manager.login_view = "auth.login"
    # A message would create a session for every anonymous reader who opens a page that needs a log-in.
    login_manager.login_message = None
    csrf.init_app(app)


def _configure_responses(app: Flask) -> None:
    for module in (read_your_writes, limits, security_headers, debugging, problems, pages, assets):
        module.init_app(app)
    if app.config["BEHIND_PROXY"]:
        # One hop: the load balancer replaces these headers of the client.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]


def _configure_blueprints(app: Flask) -> None:
    app.url_map.converters["id"] = urls.IdConverter
    for blueprint in (health.bp, main_bp, feeds_bp, auth_bp, desk_bp, admin_bp, docs.bp):
        app.register_blueprint(blueprint)
    document.make_api(app).register_blueprint(api_bp)
    # The API authenticates by keys. A browser does not send them for another site, so CSRF is impossible.
    csrf.exempt(api_bp)
