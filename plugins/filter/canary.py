"""Decides whether the first host of a new release does as well as the others."""

from collections.abc import Mapping, Sequence
from typing import Any

# Fewer errors or slow answers than these may be chance.
MIN_ERRORS = 3
# Fewer answers than these say nothing about a host's speed.
MIN_ANSWERS = 50
# Limits for the canary: errors above the others' share, and a p99 above both of these.
ERROR_MARGIN = 0.02
SLOWER_FACTOR = 2.0
SLOWER_SECONDS = 0.25


def quantile(values: Sequence[float], share: float) -> float:
    """The value that a share of all values does not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0


def robust_p99(values: Sequence[float]) -> float:
    """The 99th percentile without outliers: among few values, one or two slow answers would be the percentile."""
    return min(quantile(values, 0.99), sorted(values)[-MIN_ERRORS]) if len(values) >= MIN_ERRORS else 0.0


def total(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of the counts of several load balancers or hosts."""
    return {
        "answers": sum(count["answers"] for count in counts),
        "errors": sum(count["errors"] for count in counts),
        "seconds": [seconds for count in counts for seconds in count["seconds"]],
    }


def canary(balancers: Sequence[Mapping[str, Mapping[str, Any]]], hosts: Sequence[str]) -> dict[str, str]:
    """Compare the canary's answers with those of all other hosts.

    Args:
        balancers: The counts of each load balancer, by the hosts' addresses.
        hosts: Addresses of the canary.

    Returns:
        `verdict`, a sentence if the canary does worse, else empty; and `seen`, the counts behind it.
    """
    own = total([counts for seen in balancers for address, counts in seen.items() if address in hosts])
    others = total([counts for seen in balancers for address, counts in seen.items() if address not in hosts])
    share, others_share = (count["errors"] / max(count["answers"], 1) for count in (own, others))
    p99, others_p99 = robust_p99(own["seconds"]), quantile(others["seconds"], 0.99)
    seen = f"{counts_text(own)}, p99 {p99:.3f} s; the other hosts {counts_text(others)}, p99 {others_p99:.3f} s"
    enough = min(own["answers"], others["answers"]) >= MIN_ANSWERS
    verdict = ""
    if own["errors"] >= MIN_ERRORS and share > others_share + ERROR_MARGIN:
        verdict = f"{share:.0%} of its answers are errors ({seen})"
    elif enough and p99 > max(SLOWER_FACTOR * others_p99, others_p99 + SLOWER_SECONDS):
        verdict = f"it is slower than the others ({seen})"
    return {"verdict": verdict, "seen": seen}


def counts_text(count: Mapping[str, Any]) -> str:
    """Counts as text."""
    return f"{count['answers']} answers, {count['errors']} errors"


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"canary": canary}
