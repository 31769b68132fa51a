"""Run checks: what `make test`, `test-all`, `test-changed`, `lint`, `unit`, `scenarios` and `drills` call."""

import argparse
import os
import sys
import time
from collections.abc import Sequence

from tools.checks import changed, report, runner
from tools.checks.plan import (
    ALL_SCENARIOS,
    CORE_SCENARIOS,
    LINT,
    PREPARE,
    REPORTS,
    TERRAFORM_TESTS,
    UNIT,
    groups,
)
from tools.checks.runner import Phase, one_after_another, side_by_side


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.checks", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    kinds.add_parser("lint", help="linters and type checks")
    kinds.add_parser("unit", help="unit tests and terraform test")
    kinds.add_parser("test", help="what every change must pass: lint, unit tests, the core tests of the scenarios")
    kinds.add_parser("test-all", help="everything: every drill, every deploy test, operations, aws")
    since = kinds.add_parser("changed", help="lint, unit tests, and every test of the scenarios that a change touches")
    since.add_argument("base", help="the revision that the change is compared with, for example origin/main")
    since.add_argument("--list", action="store_true", help="print the scenarios and run nothing")
    chosen = kinds.add_parser("scenarios", help="every test of the named scenarios")
    chosen.add_argument("names", nargs="*", default=[], help=f"scenarios, default all: {', '.join(ALL_SCENARIOS)}")
    drills = kinds.add_parser("drills", help="failure drills by name, on a fleet of their own")
    drills.add_argument("names", nargs="*", default=[], help="drills, default all of them")
    return parser.parse_args()


def fast_checks(*, lint: bool, unit: bool) -> list[Phase]:
    """Run linters, then unit tests. Most linters use one processor each, so they run beside each other."""
    phases = one_after_another(PREPARE)
    phases += side_by_side((LINT if lint else {}) | (TERRAFORM_TESTS if unit else {}))
    return phases + (one_after_another(UNIT) if unit else [])


def scenarios(names: Sequence[str], **environment: str) -> list[Phase]:
    """Run scenarios. All of them use one host image, which is removed at the end."""
    environment |= {"FLASKFLEET_KEEP_IMAGE": "true"}
    phases: list[Phase] = []
    for group in groups(names):
        phases += [] if group.small else runner.scenarios(group, environment)
    phases += runner.in_pairs([group for group in groups(names) if group.small], environment)
    removal = [sys.executable, "-m", "tools.fleet", "prune"]
    return [*phases, runner.run("remove the host image", removal, runner.environment())]


def checks(options: argparse.Namespace) -> list[Phase]:
    """Run the checks that the command line names.

    Raises:
        ValueError: a name or a revision that does not exist.
    """
    match options.kind:
        case "lint":
            return fast_checks(lint=True, unit=False)
        case "unit":
            return fast_checks(lint=False, unit=True)
        case "scenarios":
            if unknown := " ".join(name for name in options.names if name not in ALL_SCENARIOS):
                raise ValueError(f"S={unknown} is not a scenario; use one or more of {', '.join(ALL_SCENARIOS)}.")
            return scenarios(options.names or ALL_SCENARIOS)
        case "drills":
            return scenarios(["failover"], DRILLS=",".join(options.names))
        case "changed":
            names, environment = changed.scenarios(changed.changed_since(options.base)), {}
            print(f"Scenarios that this change needs: {', '.join(names) or 'none'}", flush=True)
            if options.list:
                return []
        case "test":
            names, environment = list(CORE_SCENARIOS), {"TIER": "core"}
        case _:
            names, environment = list(ALL_SCENARIOS), {}
    phases = fast_checks(lint=True, unit=True)
    if any(phase.code for phase in phases):
        print("\nThe scenarios were not run: the fast checks failed.")
        return phases
    return phases + scenarios(names, **environment)


def main() -> int:
    """Run the checks; return 0 if all of them passed."""
    options, strict = arguments(), os.environ.get("CI") == "true"
    REPORTS.mkdir(parents=True, exist_ok=True)
    for old in REPORTS.glob("*.xml"):
        old.unlink()
    start = time.monotonic()
    try:
        phases = checks(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not phases:
        return 0
    findings = report.read(REPORTS)
    print(f"\n== Summary ({time.monotonic() - start:.0f} s)")
    for line in report.lines(phases, findings, strict=strict):
        print(line)
    return 1 if any(phase.code for phase in phases) or (strict and findings.unexplained) else 0


if __name__ == "__main__":
    sys.exit(main())
