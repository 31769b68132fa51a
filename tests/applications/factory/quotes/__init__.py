import os
from datetime import datetime, timezone

from flask import Flask
from flask_caching import Cache
from redis import Redis

cache = Cache()
redis = Redis.from_url(os.environ.get("REDIS_URL", "redis://localhost:6379/0"), decode_responses=True)


def create_app(config=None):
    app = Flask(__name__)
    app.config.from_mapping(
        CACHE_TYPE="RedisCache",
        CACHE_REDIS_URL=os.environ.get("CACHE_URL", "redis://localhost:6379/1"),
    )
    app.config.from_mapping(config or {})
    cache.init_app(app)

    from quotes.views import bp

    app.register_blueprint(bp)

    @app.cli.command("next")
    def next_quote():
        """Choose the next quote."""
        redis.incr("quotes:number")
        redis.set("quotes:chosen", datetime.now(timezone.utc).isoformat(timespec="seconds"))

    return app
