"""Log-in and log-out."""

from app.auth.routes import bp, load_user

__all__ = ["bp", "load_user"]
