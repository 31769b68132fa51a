"""Timeouts of seconds instead of minutes, for the worker and its tests."""

from datetime import timedelta

VISIBILITY_TIMEOUT = 4
LOST_AFTER = timedelta(seconds=2)
