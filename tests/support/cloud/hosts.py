"""Sandbox hosts that stand for instances: containers of one fleet, made by the script that Terraform's sandbox makes its own with."""

from __future__ import annotations

import os
import subprocess

from tests.support.cloud.instances import Instance
from tools.fleet.context import ROOT

FLEET = "cloud"
DIRECTORY = ROOT / ".fleets" / FLEET
NETWORK = str(ROOT / "terraform/modules/sandbox_network/network.sh")
HOST = str(ROOT / "terraform/modules/sandbox_host/host.sh")
# A host boots within 30 s or never.
SECONDS = 90


class HostError(Exception):
    """What the engine or a script said when it failed."""


def make_network(subnet: str) -> None:
    """Make the hosts' network, one for the VPC; whatever an earlier run left of it goes first."""
    _run([NETWORK, "create"], SUBNET=subnet)


def remove_network(subnet: str) -> None:
    """Remove the network, and every host that is left on it."""
    _run([NETWORK, "destroy"], SUBNET=subnet)


def present() -> list[str]:
    """The ids of the instances that have a host."""
    names = _run(
        [
            str(ROOT / "bin/engine"),
            "ps",
            "--all",
            "--filter",
            f"label=flaskfleet.fleet={FLEET}",
            "--format",
            "{{.Names}}",
        ]
    ).split()
    return [name.removeprefix(f"{FLEET}-") for name in names]


def boot(instance: Instance, public_key: str) -> None:
    """Make the host of an instance, at its address, open to its key pair."""
    # A file for each: hosts that boot at the same time would read one that is being written.
    key = DIRECTORY / f"{instance.id}.pub"
    key.write_text(f"{public_key.strip()}\n")
    try:
        _host("create", instance.id, instance.address, PUBLIC_KEY_FILE=str(key))
        # Debian's images for EC2 come without apt's lists.
        clean = "rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb"
        _run([str(ROOT / "bin/engine"), "exec", f"{FLEET}-{instance.id}", "sh", "-c", clean])
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
    try:
        done = subprocess.run(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{' '.join(command)} took longer than {SECONDS} s") from error
    if done.returncode != 0:
        raise HostError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
