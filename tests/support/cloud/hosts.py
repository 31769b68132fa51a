"""Sandbox hosts as EC2 instances: containers of one fleet, created by the script of Terraform's sandbox."""

import os
import subprocess

from tests.support.cloud.instances import Instance
from tools.fleet.context import ROOT, FleetError

FLEET = "cloud"
DIRECTORY = ROOT / ".fleets" / FLEET
ENGINE = str(ROOT / "bin/engine")
NETWORK = str(ROOT / "terraform/modules/sandbox_network/network.sh")
HOST = str(ROOT / "terraform/modules/sandbox_host/host.sh")
# Certificate of the local S3, and where hosts have it. Real hosts know Amazon's CAs.
CERTIFICATE, TRUSTED = DIRECTORY / "s3.crt", "/etc/ssl/s3.crt"
# A host boots within 30 s or never.
TIMEOUT = 90


def make_network(subnet: str) -> None:
    """Create the hosts' network for the VPC. Leftovers of an earlier run are removed first."""
    _run([NETWORK, "create"], SUBNET=subnet)


def remove_network(subnet: str) -> None:
    """Remove the network and all of its hosts."""
    _run([NETWORK, "destroy"], SUBNET=subnet)


def present() -> list[str]:
    """Return the ids of the instances that have a host."""
    command = [ENGINE, "ps", "--all", "--filter", f"label=flaskfleet.fleet={FLEET}", "--format", "{{.Names}}"]
    names = _run(command).split()
    return [name.removeprefix(f"{FLEET}-") for name in names]


def boot(instance: Instance, public_key: str) -> None:
    """Create the host of an instance, with its address and its public key."""
    # One file for each host, because hosts boot at the same time.
    key = DIRECTORY / f"{instance.id}.pub"
    key.write_text(f"{public_key.strip()}\n")
    try:
        _host("create", instance.id, instance.address, PUBLIC_KEY_FILE=str(key))
        # Debian's images for EC2 have no package lists.
        clean = "rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb"
        _run([ENGINE, "exec", f"{FLEET}-{instance.id}", "sh", "-c", clean])
        _run([ENGINE, "cp", str(CERTIFICATE), f"{FLEET}-{instance.id}:{TRUSTED}"])
    finally:
        key.unlink()


def remove(id_: str) -> None:
    """Remove the host of an instance."""
    _host("destroy", id_, "none")


def _host(action: str, id_: str, address: str, **environment: str) -> None:
    network = f"flaskfleet-{FLEET}"
    _run([HOST, action], HOST=id_, ADDRESS=address, NETWORK=network, STATE_DIRECTORY=str(DIRECTORY), **environment)


def _run(command: list[str], **environment: str) -> str:
    variables = os.environ | {"FLEET": FLEET, "OWNER": str(ROOT)} | environment
    result = subprocess.run(
        command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    if result.returncode != 0:
        raise FleetError(f"{' '.join(command)} ended with {result.returncode}: {result.stderr.strip()}")
    return result.stdout
