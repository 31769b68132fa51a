"""A panel of the debug toolbar. Only `debugging` uses it, because Flask-DebugToolbar is a development tool."""

from typing import Any

from flask import Flask, g, has_request_context
from flask_debugtoolbar.panels import DebugPanel

from app.database.engine import Database


class DatabasePanel(DebugPanel):
    """Number and time of a page's database queries."""

    name = "Database"
    has_content = False

    @classmethod
    def init_app(cls, app: Flask) -> None:
        """Listen to queries."""
        database: Database = app.extensions["database"]
        database.on_query.append(_note)

    def title(self) -> str:
        """Return the panel's name."""
        return self.name

    nav_title = title

    def nav_subtitle(self) -> str:
        """Return the number and time of the queries."""
        seconds: list[float] = g.get("debug_queries", [])
        return f"queries: {len(seconds)}, {sum(seconds) * 1000:.1f} ms"

    def url(self) -> Any:
        """Return no link, because the panel has no content."""
        return ""


def _note(seconds: float) -> None:
    if has_request_context():
        g.setdefault("debug_queries", []).append(seconds)
