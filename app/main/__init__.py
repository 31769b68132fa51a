"""The pages that everybody reads."""

from app.main.routes import bp

__all__ = ["bp"]
