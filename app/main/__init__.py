"""The public pages and the Atom feed."""

from app.main.feeds import bp as feeds_bp
from app.main.routes import bp

__all__ = ["bp", "feeds_bp"]
