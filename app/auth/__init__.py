"""Accounts: log-in, sign-up, forgotten passwords, and what users change of their own."""

from app.auth import login, reset, settings, signup
from app.auth.blueprint import bp, load_user

__all__ = ["bp", "load_user", "login", "reset", "settings", "signup"]
