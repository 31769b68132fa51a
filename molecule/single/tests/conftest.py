"""Fixtures of this scenario: those of every scenario."""

from tests.support.live.fixtures import api_key, author, fleet, healthy_fleet, site

__all__ = ["api_key", "author", "fleet", "healthy_fleet", "site"]
