"""The author's desk."""

from app.desk.routes import bp

__all__ = ["bp"]
