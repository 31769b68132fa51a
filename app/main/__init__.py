"""The pages that everybody reads."""

from app.main.feeds import bp as feeds_bp
from app.main.routes import bp

__all__ = ["bp", "feeds_bp"]
