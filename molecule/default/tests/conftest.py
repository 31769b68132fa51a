"""Fixtures of this scenario: those of every scenario."""

from tests.live.fixtures import api_key, author, fleet, site, whole

__all__ = ["api_key", "author", "fleet", "site", "whole"]
