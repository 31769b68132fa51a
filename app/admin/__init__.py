"""Pages for administrators."""

from app.admin import content, operation, people
from app.admin.blueprint import bp

__all__ = ["bp", "content", "operation", "people"]
