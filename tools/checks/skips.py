"""The skips that CI accepts, each with the reason why a machine may lack what the test needs.

With CI=true any other skip is a failure: a test that silently stops running protects nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Skip(NamedTuple):
    """A skipped test and the reason it gave."""

    test: str
    reason: str


class Allowed(NamedTuple):
    """A kind of skip that is accepted.

    Args:
        test: Regular expression that the test's name must contain.
        reason: Regular expression that its reason must contain.
        why: Why a machine may lack what the test needs.
    """

    test: str
    reason: str
    why: str


ALLOWED = (
    Allowed(
        r"test_browser",
        r"axe-core cannot be installed",
        "The npm registry is closed to machines without internet access.",
    ),
    Allowed(
        r"test_monitoring",
        r"Grafana's repository",
        "Grafana's package is not in Debian; its own repository may be closed.",
    ),
    Allowed(
        r"(test_aws|terraform/aws)",
        r"provider",
        "The AWS provider comes from Terraform's registry, which may be closed.",
    ),
    Allowed(
        r"test_base_volumes",
        r"(loop devices|CAP_SYS_RESOURCE)",
        "Loop devices and CAP_SYS_RESOURCE are missing on many CI machines.",
    ),
    Allowed(r"tests\.unit\.tools\.test_fleet", r"no route to a network", "A machine may have no network at all."),
)


def is_allowed(skip: Skip) -> bool:
    """Return whether a skip stands on the list."""
    return any(re.search(row.test, skip.test) and re.search(row.reason, skip.reason) for row in ALLOWED)
