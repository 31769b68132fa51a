"""Static files have a hash of their content in the URL, so that browsers can cache them for a year."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, request, url_for

IMMUTABLE = "public, max-age=31536000, immutable"


def init_app(app: Flask) -> None:
    """Add `?v=` to the URLs of static files."""
    folder = Path(app.static_folder or "")

    @app.url_defaults
    def add_hash(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and "filename" in values and "v" not in values:
            path = folder / values["filename"]
            if path.is_file():
                values["v"] = _hash(path, path.stat().st_mtime_ns)

    @app.after_request
    def set_cache_control(response: Response) -> Response:
        if request.endpoint == "static" and response.status_code in {200, 304}:
            # During a rollout, a page of the new release may load a file from the old one. It must not be cached under
            # the new hash.
            own = url_for("static", **(request.view_args or {}))
            response.headers["Cache-Control"] = (
                IMMUTABLE if own.endswith(f"v={request.args.get('v')}") else "public, max-age=60"
            )
        return response


@lru_cache(maxsize=256)
def _hash(path: Path, _modified: int) -> str:
    """Return the hash of a file's content. A new modification time invalidates the cached hash, for development."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
