"""Validates or tests terraform/aws and its modules: `python -m tools.terraform.aws validate|test`.

The tests use mocked resources. Without the AWS provider, the checks are skipped.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from tools.fleet.context import ROOT, echo
from tools.terraform.aws_provider import CACHE, environment, missing

REPORTS = ROOT / ".cache" / "reports"
# Validation of the root includes its modules. For tests, each module has its own.
ROOTS = {
    "validate": [ROOT / "terraform" / "aws"],
    "test": sorted(
        tests.parent for tests in (ROOT / "terraform").glob("**/tests") if "sandbox" not in tests.parent.name
    ),
}


def terraform(root: Path, *arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run Terraform in `root` with a separate data folder, so that no real backend is touched."""
    variables = environment() | {"TF_DATA_DIR": str(CACHE / root.name)}
    command = ["bin/terraform", f"-chdir={root}", *arguments, "-no-color"]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=quiet, text=True, check=False)


def skip(action: str, reason: str) -> None:
    """Print the skip, and record it for the summary of the checks."""
    echo(f"SKIPPED: {reason}")
    suite = ElementTree.Element("testsuite", tests="1", skipped="1")
    case = ElementTree.SubElement(suite, "testcase", classname="terraform/aws", name=f"terraform {action}")
    ElementTree.SubElement(case, "skipped", message=reason)
    REPORTS.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(suite).write(REPORTS / f"terraform-aws-{action}.xml")


def main() -> int:
    """Run one action on all roots. Return 0 if it passed or was skipped."""
    parser = argparse.ArgumentParser(prog="python -m tools.terraform.aws", description=__doc__)
    parser.add_argument("action", choices=list(ROOTS))
    action = parser.parse_args().action
    failed = []
    for root in ROOTS[action]:
        init = terraform(root, "init", "-backend=false", "-input=false", quiet=True)
        if init.returncode != 0 and (reason := missing(init.stderr)):
            skip(action, reason)
            return 0
        echo(
            f"{root.relative_to(ROOT)}: {init.stderr.strip()}" if init.returncode != 0 else f"{root.relative_to(ROOT)}"
        )
        if init.returncode != 0 or terraform(root, action).returncode != 0:
            failed.append(root.name)
    if failed:
        echo(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
