"""Whether the first host of a new release does as well as the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Fewer errors or slow answers are chance, and so is much among few answers.
CHANCE, ANSWERS = 3, 50
# How much worse than the others a canary may be.
RATIO, SLOWER, SECONDS = 0.02, 2.0, 0.25


def quantile(values: Sequence[float], share: float) -> float:
    """The value that a share of all does not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0


def typical_worst(values: Sequence[float]) -> float:
    """The 99th percentile; where so few were answered that one or two of them are it, the slowest but those."""
    return min(quantile(values, 0.99), sorted(values)[-CHANCE]) if len(values) >= CHANCE else 0.0


def together(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of several load balancers or hosts as one."""
    return {
        "answers": sum(count["answers"] for count in counts),
        "errors": sum(count["errors"] for count in counts),
        "seconds": [seconds for count in counts for seconds in count["seconds"]],
    }


def canary(balancers: Sequence[Mapping[str, Mapping[str, Any]]], hosts: Sequence[str]) -> dict[str, str]:
    """Compare hosts with all others.

    Args:
        balancers: What each load balancer has counted, by the hosts' addresses.
        hosts: Addresses of the canaries.

    Returns:
        `verdict`, a sentence where they do worse, else empty; and `seen`, what they were judged by.
    """
    own = together([counts for seen in balancers for address, counts in seen.items() if address in hosts])
    others = together([counts for seen in balancers for address, counts in seen.items() if address not in hosts])
    ratio, usual = (count["errors"] / max(count["answers"], 1) for count in (own, others))
    p99, usual_p99 = typical_worst(own["seconds"]), quantile(others["seconds"], 0.99)
    seen = f"{own['answers']} answers, {own['errors']} errors, p99 {p99:.3f} s; the other hosts {ratio_text(others)}, p99 {usual_p99:.3f} s"
    verdict = ""
    if own["errors"] >= CHANCE and ratio > usual + RATIO:
        verdict = f"{ratio:.0%} of its answers are errors ({seen})"
    elif min(own["answers"], others["answers"]) >= ANSWERS and p99 > max(SLOWER * usual_p99, usual_p99 + SECONDS):
        verdict = f"it is slower than the others ({seen})"
    return {"verdict": verdict, "seen": seen}


def ratio_text(count: Mapping[str, Any]) -> str:
    """Answers and errors in words."""
    return f"{count['answers']} answers, {count['errors']} errors"


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"canary": canary}
