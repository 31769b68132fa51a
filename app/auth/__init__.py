"""Views of accounts: log-in, sign-up, password reset, settings."""

from app.auth import login, reset, settings, signup
from app.auth.blueprint import bp, load_user

__all__ = ["bp", "load_user", "login", "reset", "settings", "signup"]
