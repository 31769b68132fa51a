"""Fixtures of this scenario: those of every scenario that need no news application."""

from tests.support.live.fixtures import fleet, site

__all__ = ["fleet", "site"]
