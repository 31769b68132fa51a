"""A gallery of pictures."""

import os

from flask import Flask

from gallery.extensions import celery_init_app, db, migrate


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(
        SECRET_KEY=os.environ["SECRET_KEY"],
        SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"],
        SQLALCHEMY_ENGINE_OPTIONS={"pool_pre_ping": True},
        UPLOAD_FOLDER=os.path.abspath(os.getenv("UPLOAD_FOLDER", "uploads")),
        MAX_CONTENT_LENGTH=8 * 1024 * 1024,
        CELERY={
            "broker_url": os.getenv("CELERY_BROKER_URL", "redis://localhost:6379/0"),
            "result_backend": os.getenv("CELERY_RESULT_BACKEND", "redis://localhost:6379/1"),
            "broker_connection_retry_on_startup": True,
            "beat_schedule": {"count": {"task": "gallery.tasks.count", "schedule": 10.0}},
        },
    )
    os.makedirs(app.config["UPLOAD_FOLDER"], exist_ok=True)

    db.init_app(app)
    migrate.init_app(app, db)
    celery_init_app(app)

    from gallery import views

    app.register_blueprint(views.bp)
    return app
