"""Which tests of a scenario run: the core of `make test`, the drills that a command names, or all of them.

TIER=core keeps the tests marked `core`. DRILLS=name,name keeps drills of these names. Without both everything runs.
"""

import os

import pytest

core = pytest.mark.core


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "core: part of `make test`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that TIER and DRILLS select. A scenario's conftest.py imports this hook."""
    tier, names = os.environ.get("TIER", ""), [name for name in os.environ.get("DRILLS", "").split(",") if name]
    if tier not in ("", "core"):
        raise pytest.UsageError(f"TIER={tier} is not a tier; use TIER=core, or leave it out to run every test.")
    kept = [item for item in items if not tier or item.get_closest_marker("core")]
    if names:
        drills = {drill_name(item): item for item in items}
        if unknown := [name for name in names if name not in drills]:
            known = ", ".join(sorted(name for name in drills if name))
            raise pytest.UsageError(f"D={','.join(unknown)} is not a drill; use one or more of {known}.")
        kept = [item for item in items if drill_name(item) in (*names, "")]
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def drill_name(item: pytest.Item) -> str:
    """Return the name of the drill that a test runs, or an empty text."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return str(getattr(parameters.get("drill"), "name", ""))
