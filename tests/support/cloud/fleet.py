"""The fleet of terraform/aws at the local API, with its state in a bucket as in docs/aws.md."""

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
# Enough for the slowest step, and for a dozen hosts that boot two at a time on a busy machine.
TIMEOUT, BOOT_TIMEOUT = 1800, 600
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
    # This machine's address in the VPC's network.
    "admin_networks": [f"{VPC[1]}/32"],
    "connect_by": "private",
    "uploads_bucket": True,
}
# Override files that allow the deletion of data, as docs/aws.md describes.
UNPROTECTED_BODY = "{\n  lifecycle {\n    prevent_destroy = false\n  }\n}\n"
UNPROTECTED = {
    "hosts/destroy_override.tf": f'resource "aws_ebs_volume" "data" {UNPROTECTED_BODY}',
    "bucket/destroy_override.tf": f'resource "aws_s3_bucket" "this" {UNPROTECTED_BODY}',
}


@dataclass(frozen=True)
class CloudFleet(Fleet):
    """The scenario's fleet."""

    def run(self, *command: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command in the repository's root, within TIMEOUT."""
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, text=True, capture_output=quiet, timeout=TIMEOUT, check=False
        )

    def terraform(self, *arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        """Run Terraform in terraform/aws."""
        return self.run("bin/terraform", "-chdir=terraform/aws", *arguments, quiet=quiet)

    def init(self) -> subprocess.CompletedProcess[str]:
        """Create the state bucket and configure it as Terraform's backend."""
        location = {"LocationConstraint": ec2.REGION}
        ec2.client("s3", api.port()).create_bucket(Bucket=STATE_BUCKET, CreateBucketConfiguration=location)
        BACKEND.write_text(
            STATE.format(bucket=STATE_BUCKET, endpoint=f"http://127.0.0.1:{api.port()}", region=ec2.REGION)
        )
        return self.terraform(
            "init", "-reconfigure", "-input=false", "-no-color", f"-backend-config={BACKEND}", quiet=True
        )

    def apply(self, **variables: object) -> None:
        """Apply Terraform with some variables changed, and wait until every host answers."""
        result = self.terraform(
            "apply", "-auto-approve", "-input=false", "-no-color", *arguments(variables), quiet=True
        )
        if result.returncode != 0:
            raise FleetError(f"terraform apply failed: {' '.join((result.stderr or result.stdout)[-2000:].split())}")
        running = {instance.id for instance in known() if instance.state == instances.RUNNING}
        if not eventually(lambda: running <= set(hosts.present()), within=BOOT_TIMEOUT, every=2):
            log = " | ".join(api.LOG.read_text().splitlines()[-3:])
            raise FleetError(f"instances without a host after {BOOT_TIMEOUT} s; read {api.LOG}: {log[-1000:]}")
        wait_for_hosts(self)

    def plan(self, **variables: object) -> dict[str, list[str]]:
        """Return the planned actions by the address of their resource."""
        file = DIRECTORY / "plan"
        result = self.terraform("plan", "-input=false", "-no-color", f"-out={file}", *arguments(variables), quiet=True)
        if result.returncode != 0:
            raise FleetError(f"terraform plan failed: {result.stderr.strip()}")
        plan: dict[str, Any] = json.loads(self.terraform("show", "-json", str(file), quiet=True).stdout)
        changes = {change["address"]: change["change"]["actions"] for change in plan.get("resource_changes", [])}
        return {address: actions for address, actions in changes.items() if actions not in (["no-op"], ["read"])}

    def destroy(self, unprotected: bool = False) -> subprocess.CompletedProcess[str]:
        """Remove everything, but data only with `unprotected`, which uses a copy of the modules without protection."""
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

    def terminate_hosts(self) -> subprocess.CompletedProcess[str]:
        """Terminate the instances alone, which else write into the buckets while these are emptied."""
        command = ["destroy", "-target=module.hosts.aws_instance.host", "-auto-approve", "-input=false", "-no-color"]
        return self.terraform(*command, *arguments({}), quiet=True)

    def empty_buckets(self) -> None:
        """Delete all versions of all objects. Terraform deletes only an empty bucket."""
        s3 = ec2.client("s3", api.port())
        for name in buckets():
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
                for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    s3.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])

    def bucket(self, purpose: str) -> str:
        """Return the name of the bucket for backups or uploads."""
        return self.terraform("output", "-raw", purpose, quiet=True).stdout

    def leftovers(self) -> dict[str, list[str]]:
        """Return the remaining resources that cost money or hold data, by kind."""
        api_of = partial(ec2.client, port=api.port())
        remaining = {
            "volumes": [volume["VolumeId"] for volume in api_of("ec2").describe_volumes()["Volumes"]],
            "balancers": [
                balancer["LoadBalancerName"] for balancer in api_of("elbv2").describe_load_balancers()["LoadBalancers"]
            ],
            "buckets": buckets(),
            "networks": [vpc["VpcId"] for vpc in api_of("ec2").describe_vpcs()["Vpcs"] if not vpc["IsDefault"]],
            "roles": [role["RoleName"] for role in api_of("iam").list_roles()["Roles"]],
        }
        return {kind: names for kind, names in remaining.items() if names}

    def play(self, playbook: str, *options: str) -> None:
        """Run a playbook."""
        if self.run("ansible-playbook", *INVENTORIES, playbook, *options).returncode != 0:
            raise FleetError(f"{playbook} failed (above)")


def buckets() -> list[str]:
    """Return the names of all buckets but that of Terraform's state."""
    found = ec2.client("s3", api.port()).list_buckets()["Buckets"]
    return [bucket["Name"] for bucket in found if bucket["Name"] != STATE_BUCKET]


def known() -> list[instances.Instance]:
    """Return every instance that EC2 knows."""
    return instances.parse(ec2.client("ec2", api.port()).describe_instances()["Reservations"])


def arguments(variables: dict[str, object]) -> list[str]:
    """Write the scenario's variables, with some changed, and return Terraform's argument for the file."""
    here = {
        "aws_endpoint_url": f"http://127.0.0.1:{api.port()}",
        "ssh_public_key": KEY.with_suffix(".pub").read_text().strip(),
    }
    VARIABLES.write_text(json.dumps(SETTINGS | here | variables))
    return [f"-var-file={VARIABLES}"]
