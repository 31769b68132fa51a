"""The checks: `make lint`, `make unit`, `make scenarios`. Every phase prints a heading and its duration."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / ".cache" / "reports"
# Molecule notes there which scenarios have hosts. Its own place is named after the clone's folder alone: any two clones called
# `main` share it, and a run that was killed tells the next one, in whatever clone, that the hosts exist.
NOTES = ROOT / ".cache" / "molecule"

LINT: dict[str, Sequence[str]] = {
    "ruff": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "yamllint": ["yamllint", "--strict", "."],
    "ansible-lint (production)": ["ansible-lint", "--offline"],
    "role READMEs": [sys.executable, "-m", "tools.docs.role_readme", "--check"],
    "dashboards": [sys.executable, "-m", "tools.docs.dashboards", "--check"],
    "terraform fmt": ["bin/terraform", "fmt", "-check", "-recursive", "terraform"],
    "terraform init": ["bin/terraform", "-chdir=terraform/sandbox", "init", "-input=false", "-no-color"],
    "terraform validate": ["bin/terraform", "-chdir=terraform/sandbox", "validate", "-no-color"],
    "terraform validate (aws)": [sys.executable, "-m", "tools.terraform.aws", "validate"],
}
UNIT: dict[str, Sequence[str]] = {
    "terraform init": LINT["terraform init"],
    "terraform test": ["bin/terraform", "-chdir=terraform/sandbox", "test", "-no-color"],
    "terraform test (aws)": [sys.executable, "-m", "tools.terraform.aws", "test"],
    "pytest": [
        "pytest",
        "tests/unit",
        "-q",
        "--numprocesses=auto",
        "--dist=loadscope",
        f"--junitxml={REPORTS}/unit.xml",
    ],
}
# Scenarios whose stories are told one after another on one converged fleet (molecule's shared state).
SHARED = ["default", "failover", "operations", "deploy"]
# What `make test` runs; `make scenarios S=operations` holds the drills of what operators do, which would take it past its hour.
SCENARIOS = ["default", "failover", "deploy", "single", "contract", "aws"]
# How tools begin the line that says what went wrong; a summary repeats the first few of a phase, cut to a length.
ERROR = re.compile(rb"\s*(error|fatal|msg|stderr|Error|FAILED): ")
ERRORS, ERROR_LENGTH = 5, 1000


def molecule(names: Sequence[str]) -> dict[str, Sequence[str]]:
    """The commands that test scenarios, by heading: one for all that share a fleet, one for each other."""
    together = [name for name in SHARED if name in names]
    groups = [group for group in (together, *([name] for name in names if name not in SHARED)) if group]
    return {
        f"molecule {', '.join(group)}": ["molecule", "test", *(f"--scenario-name={name}" for name in group)]
        for group in groups
    }


def phase(name: str, command: Sequence[str]) -> list[str] | None:
    """Run one check under a heading; return None where it passed, else what it said went wrong."""
    print(f"\n== {name}", flush=True)
    start = time.monotonic()
    shutil.rmtree(NOTES, ignore_errors=True)  # of a run that was killed
    environment = os.environ | {
        "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
        "PY_COLORS": "0",
        "NO_COLOR": "1",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(NOTES),
    }
    errors: list[str] = []
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout
        for line in process.stdout:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            if ERROR.match(line):
                errors.append(line.decode(errors="replace").strip()[:ERROR_LENGTH])
    code = process.returncode
    print(f"-- {name}: {'ok' if code == 0 else f'FAILED ({code})'} in {time.monotonic() - start:.1f} s", flush=True)
    return errors[:ERRORS] if code else None


def failures(commands: dict[str, Sequence[str]]) -> dict[str, list[str]]:
    """Run checks one after another; return what those that failed said."""
    said = {name: phase(name, command) for name, command in commands.items()}
    return {name: errors for name, errors in said.items() if errors is not None}


def count() -> Counter[str]:
    """Tests passed, failed and skipped, summed over every report of this run."""
    total: Counter[str] = Counter()
    for report in REPORTS.glob("*.xml"):
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            total.update(passed=tests - skipped - failed, failed=failed, skipped=skipped)
            for case in suite.iter("testcase"):
                if (reason := case.find("skipped")) is not None:
                    why = " ".join((reason.get("message") or "no reason given").split())
                    print(f"SKIPPED {case.get('classname')}::{case.get('name')}: {why}")
                for fault in (*case.iter("failure"), *case.iter("error")):
                    what = " ".join((fault.get("message") or "no message").split())[:ERROR_LENGTH]
                    print(f"FAILED {case.get('classname')}::{case.get('name')}: {what}")
    return total


def main() -> int:
    """Run the checks that the command line names; return 0 when all passed."""
    parser = argparse.ArgumentParser(prog="python -m tools.checks", description=__doc__)
    parser.add_argument("kind", choices=["lint", "unit", "scenarios", "all"])
    parser.add_argument("names", nargs="*", help="scenarios to run; all by default")
    arguments = parser.parse_args()
    fast = (LINT if arguments.kind in {"lint", "all"} else {}) | (UNIT if arguments.kind in {"unit", "all"} else {})
    scenarios = molecule(arguments.names or SCENARIOS)

    REPORTS.mkdir(parents=True, exist_ok=True)
    for report in REPORTS.glob("*.xml"):
        report.unlink()
    start = time.monotonic()
    failed = failures(fast)
    if arguments.kind == "scenarios" or (arguments.kind == "all" and not failed):
        failed |= failures(scenarios)
    elif arguments.kind == "all":
        print("\nThe scenarios were not run: the fast checks failed.")
    print(f"\n== Summary ({time.monotonic() - start:.0f} s)")
    tests = count()
    for name, errors in failed.items():
        print("\n    ".join((f"FAILED {name}", *errors)))
    if tests:
        print(f"{tests['passed']} passed, {tests['failed']} failed, {tests['skipped']} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
