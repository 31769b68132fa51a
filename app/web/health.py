"""Health checks: `/livez` shows that this process answers, `/readyz` that it can do its work."""

import time
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import text

from app.extensions import cache, db, store

bp = Blueprint("health", __name__)
NO_STORE = {"Cache-Control": "no-store"}


@bp.get("/livez")
def livez() -> tuple[str, dict[str, str]]:
    """Answer 200 as long as the process can answer at all."""
    return "ok\n", NO_STORE | {"Content-Type": "text/plain; charset=utf-8"}


@bp.get("/readyz")
def readyz() -> tuple[Response, int, dict[str, str]]:
    """Answer 200 if database and broker answer, otherwise 503. Without the cache, pages are only slower."""
    checks = {"database": _check(_read_database), "broker": _check(store.ping), "cache": _check(cache.backend.ping)}
    ready = checks["database"]["ok"] and checks["broker"]["ok"]
    return jsonify(status="ready" if ready else "not ready", checks=checks), 200 if ready else 503, NO_STORE


def _read_database() -> None:
    db.read(lambda session: session.execute(text("SELECT 1")))


def _check(probe: Callable[[], Any]) -> dict[str, Any]:
    started = time.monotonic()
    try:
        probe()
        result: dict[str, Any] = {"ok": True}
    except Exception as error:
        # Only the class, because a database's message contains hosts and users.
        result = {"ok": False, "error": type(error).__name__}
    return result | {"seconds": round(time.monotonic() - started, 4)}
