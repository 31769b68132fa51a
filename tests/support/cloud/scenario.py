"""Command line: `python -m tests.support.cloud.scenario hosts|down` creates or removes the fleet of the scenario `aws`.

terraform/aws creates it with the real provider at a local EC2.
"""

import argparse
import os
import subprocess
import sys

from tests.support.cloud import api, s3
from tests.support.cloud.ec2 import CREDENTIALS
from tests.support.cloud.fleet import KEY, VPC, CloudFleet
from tests.support.cloud.hosts import CERTIFICATE, DIRECTORY, FLEET
from tools.fleet.context import ROOT, FleetError, echo
from tools.fleet.down import down as remove
from tools.terraform.aws_provider import environment, missing

# This file has the reason if the scenario cannot run here. Its tests are then skipped.
UNAVAILABLE = DIRECTORY / "unavailable"


def fleet() -> CloudFleet:
    """Return the scenario's fleet."""
    DIRECTORY.mkdir(mode=0o700, parents=True, exist_ok=True)
    variables = environment(os.environ) | CREDENTIALS
    variables |= {"TF_DATA_DIR": str(DIRECTORY / "terraform"), "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}
    # terraform/aws has no workspaces, so FLEET must not name one. The user's own AWS account must never be used.
    for name in ("FLEET", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        variables.pop(name, None)
    return CloudFleet(FLEET, "aws", environment=variables)


def up() -> None:
    """Start the API and create the instances, or record why the provider is not available."""
    cloud = fleet()
    if not KEY.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", FLEET, "-f", str(KEY)], check=True)
    if not CERTIFICATE.exists():
        s3.certify(str(VPC[1]))
    api.stop()  # two processes would remove each other's hosts
    api.start()
    init = cloud.init()
    if init.returncode == 0:
        cloud.apply()
    elif reason := missing(init.stderr):
        UNAVAILABLE.write_text(reason)
        echo(reason)
    else:
        raise FleetError(f"terraform init failed: {init.stderr.strip()}")


def down() -> None:
    """Remove instances, hosts and the API, including those of an interrupted run."""
    api.stop()
    remove(fleet())


def main() -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.cloud.scenario", description=__doc__)
    parser.add_argument("command", choices=["hosts", "down"])
    try:
        (up if parser.parse_args().command == "hosts" else down)()
    except (FleetError, subprocess.TimeoutExpired) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
