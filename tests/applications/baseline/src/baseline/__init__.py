"""A news API with the design and settings of a well-known tutorial, on this fleet's servers and data."""

import os
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask, jsonify, request
from flask.wrappers import Response
from flask_caching import Cache
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from redis import Redis
from redis.sentinel import Sentinel
from sqlalchemy.dialects.postgresql import JSONB

db = SQLAlchemy()
cache = Cache()


class Article(db.Model):  # type: ignore[name-defined]
    """The news application's table."""

    __tablename__ = "article"

    id = db.Column(db.BigInteger, primary_key=True)
    author_id = db.Column(db.BigInteger)
    title = db.Column(db.String)
    content = db.Column(db.Text)
    summary = db.Column(db.Text)
    keywords = db.Column(JSONB)
    views = db.Column(db.BigInteger)
    published_at = db.Column(db.DateTime(timezone=True))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON of an article."""
        published_at: datetime = self.published_at
        return {
            "id": self.id,
            "title": self.title,
            "content": self.content,
            "summary": self.summary,
            "keywords": self.keywords,
            "views": self.views,
            "author_id": self.author_id,
            "published_at": published_at.isoformat(),
        }


def create_app() -> Flask:
    """Make the application."""
    app = Flask(__name__)
    app.config.from_mapping(
        SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"],
        SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 10},
        CACHE_TYPE="RedisCache",
        CACHE_REDIS_HOST=_master(os.environ["CACHE_SENTINEL_URL"]),
        CACHE_KEY_PREFIX="baseline:",
        SESSION_TYPE="redis",
        SESSION_REDIS=_master(os.environ["STORE_URL"]),
        SESSION_KEY_PREFIX="baseline-session:",
    )
    db.init_app(app)
    cache.init_app(app)
    Session(app)

    @app.get("/api/v1/articles")
    @cache.cached(timeout=60)
    def list_articles() -> Response:
        page = request.args.get("page", 1, type=int)
        per_page = min(request.args.get("per_page", 20, type=int), 100)
        found = Article.query.order_by(Article.published_at.desc()).paginate(page=page, per_page=per_page)
        articles = [article.to_dict() for article in found.items]
        return jsonify(articles=articles, total=found.total, pages=found.pages, current_page=found.page)

    # The tutorial's view also sends a task here. Because its result is cached, that happens once in five minutes.
    @app.get("/api/v1/articles/<int:article_id>")
    @cache.memoize(timeout=300)
    def get_article(article_id: int) -> Response:
        return jsonify(db.get_or_404(Article, article_id).to_dict())

    return app


def _master(url: str) -> Redis:
    """Return a client of the master in a URL: sentinel://user:password@h1:port,h2:port/0?master=NAME."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    addresses = [(host.partition(":")[0], int(host.partition(":")[2])) for host in hosts.split(",")]
    if parts.scheme == "redis":
        return Redis(host=addresses[0][0], port=addresses[0][1], username=user, password=password)
    login_to_sentinel = {"username": user, "password": password, "socket_timeout": 1}
    sentinel: Any = Sentinel(addresses, sentinel_kwargs=login_to_sentinel)  # type: ignore[no-untyped-call]
    host, port = sentinel.discover_master(parse_qs(parts.query)["master"][0])
    return Redis(host=host, port=port, username=user, password=password)
