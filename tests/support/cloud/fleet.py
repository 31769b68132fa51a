"""The fleet whose Terraform root is terraform/aws, its state in a bucket as docs/aws.md has it, all of it at the local API."""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.support.cloud import api, ec2, hosts, instances
from tests.support.cloud.hosts import DIRECTORY
from tests.support.live.fleet import eventually
from tools.fleet.context import ROOT, Fleet, FleetError
from tools.fleet.up import wait_for_hosts

VARIABLES = DIRECTORY / "scenario.tfvars.json"
KEY = DIRECTORY / "id_ed25519"
INVENTORIES = ["--inventory=inventories/aws", "--inventory=molecule/aws/inventory"]
# No step takes longer, and a dozen hosts have booted by then, two at a time on a busy machine.
SECONDS, BOOT_SECONDS = 1800, 600
STATE_BUCKET = "flaskfleet-state"
BACKEND = DIRECTORY / "state.tfbackend"
STATE = """\
bucket         = "{bucket}"
key            = "cloud.tfstate"
region         = "{region}"
access_key     = "test"
secret_key     = "test"
use_path_style = true
endpoints      = {{ s3 = "{endpoint}", sts = "{endpoint}", iam = "{endpoint}" }}
"""
VPC = ipaddress.ip_network("10.80.0.0/20")
SETTINGS = {
    "region": ec2.REGION,
    "fleet": "cloud",
    "fleet_size": "small",
    "domain": "news.test",
    "dns_zone": "",
    "vpc_cidr": str(VPC),
    # This machine as its hosts see it.
    "admin_networks": [f"{VPC[1]}/32"],
    "connect_by": "private",
}
# What docs/aws.md tells who means to lose the data: files that Terraform lays over the modules' own.
UNPROTECTED = {
    "hosts/destroy_override.tf": 'resource "aws_ebs_volume" "data" {\n  lifecycle {\n    prevent_destroy = false\n  }\n}\n',
    "backups/destroy_override.tf": 'resource "aws_s3_bucket" "backups" {\n  lifecycle {\n    prevent_destroy = false\n  }\n}\n',
}


@dataclass(frozen=True)
class CloudFleet(Fleet):
    """The scenario's fleet."""

    def run(self, *command: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command in the repository's root, within SECONDS."""
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, text=True, capture_output=quiet, timeout=SECONDS, check=False
        )

    def terraform(self, *arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        """Run Terraform in terraform/aws."""
        return self.run("bin/terraform", "-chdir=terraform/aws", *arguments, quiet=quiet)

    def init(self) -> subprocess.CompletedProcess[str]:
        """Make the bucket of the state, and tell Terraform of it."""
        location = {"LocationConstraint": ec2.REGION}
        ec2.client("s3", api.port()).create_bucket(Bucket=STATE_BUCKET, CreateBucketConfiguration=location)
        BACKEND.write_text(
            STATE.format(bucket=STATE_BUCKET, endpoint=f"http://127.0.0.1:{api.port()}", region=ec2.REGION)
        )
        return self.terraform(
            "init", "-reconfigure", "-input=false", "-no-color", f"-backend-config={BACKEND}", quiet=True
        )

    def apply(self, **variables: object) -> None:
        """Bring instances to the preset, with some variables changed, and wait until every host answers.

        Raises:
            FleetError: Terraform failed, or a host is silent.
        """
        result = self.terraform(
            "apply", "-auto-approve", "-input=false", "-no-color", *arguments(variables), quiet=True
        )
        if result.returncode != 0:
            raise FleetError(f"terraform apply failed: {' '.join((result.stderr or result.stdout)[-2000:].split())}")
        running = {instance.id for instance in known() if instance.state == instances.RUNNING}
        if not eventually(lambda: running <= set(hosts.present()), within=BOOT_SECONDS, every=2):
            said = " | ".join(api.LOG.read_text().splitlines()[-3:])
            raise FleetError(f"instances without a host after {BOOT_SECONDS} s; {api.LOG} says why: {said[-1000:]}")
        wait_for_hosts(self)

    def plan(self, **variables: object) -> dict[str, list[str]]:
        """Address of each resource that a plan would change → what it would do."""
        file = DIRECTORY / "plan"
        made = self.terraform("plan", "-input=false", "-no-color", f"-out={file}", *arguments(variables), quiet=True)
        if made.returncode != 0:
            raise FleetError(f"terraform plan failed: {made.stderr.strip()}")
        plan: dict[str, Any] = json.loads(self.terraform("show", "-json", str(file), quiet=True).stdout)
        changes = {change["address"]: change["change"]["actions"] for change in plan.get("resource_changes", [])}
        return {address: actions for address, actions in changes.items() if actions not in (["no-op"], ["read"])}

    def destroy(self, unprotected: bool = False) -> subprocess.CompletedProcess[str]:
        """Remove everything; data as well only when `unprotected`, as docs/aws.md has it, in a copy of the modules."""
        command = ["destroy", "-auto-approve", "-input=false", "-no-color", *arguments({})]
        if not unprotected:
            return self.terraform(*command, quiet=True)
        copy = DIRECTORY / "unprotected"
        shutil.copytree(
            ROOT / "terraform", copy / "terraform", ignore=shutil.ignore_patterns(".terraform", "*tfstate*")
        )
        (copy / "inventories").symlink_to(ROOT / "inventories")
        for name, text in UNPROTECTED.items():
            (copy / "terraform" / "modules" / name).write_text(text)
        return self.run("bin/terraform", f"-chdir={copy}/terraform/aws", *command, quiet=True)

    def left(self) -> dict[str, list[str]]:
        """What the API still has of what costs money or holds data, by kind."""
        api_of = partial(ec2.client, port=api.port())
        left = {
            "volumes": [volume["VolumeId"] for volume in api_of("ec2").describe_volumes()["Volumes"]],
            "balancers": [
                balancer["LoadBalancerName"] for balancer in api_of("elbv2").describe_load_balancers()["LoadBalancers"]
            ],
            "buckets": [
                bucket["Name"] for bucket in api_of("s3").list_buckets()["Buckets"] if bucket["Name"] != STATE_BUCKET
            ],
            "networks": [vpc["VpcId"] for vpc in api_of("ec2").describe_vpcs()["Vpcs"] if not vpc["IsDefault"]],
            "roles": [role["RoleName"] for role in api_of("iam").list_roles()["Roles"]],
        }
        return {kind: names for kind, names in left.items() if names}

    def play(self, playbook: str, *options: str) -> None:
        """Run a playbook.

        Raises:
            FleetError: it failed; its output is above.
        """
        if self.run("ansible-playbook", *INVENTORIES, playbook, *options).returncode != 0:
            raise FleetError(f"{playbook} failed (above)")


def known() -> list[instances.Instance]:
    """Every instance that EC2 has heard of."""
    return instances.parse(ec2.client("ec2", api.port()).describe_instances()["Reservations"])


def arguments(variables: dict[str, object]) -> list[str]:
    """Terraform's arguments: a file of the scenario's variables, with some changed."""
    here = {
        "aws_endpoint_url": f"http://127.0.0.1:{api.port()}",
        "ssh_public_key": KEY.with_suffix(".pub").read_text().strip(),
    }
    VARIABLES.write_text(json.dumps(SETTINGS | here | variables))
    return [f"-var-file={VARIABLES}"]
