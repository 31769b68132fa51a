"""What takes minutes in production takes seconds here; the worker and its tests agree on it."""

from datetime import timedelta

VISIBILITY_TIMEOUT = 4
FORGOTTEN_AFTER = timedelta(seconds=2)
