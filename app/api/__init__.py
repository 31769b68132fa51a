"""The API, version 1. Nothing here reads or sets a cookie."""

from app.api.routes import bp

__all__ = ["bp"]
