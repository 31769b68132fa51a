"""A fleet: its name, where its state is stored, and how to run tools for it."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
# The same pattern as in terraform/sandbox, which sees a workspace's name only if the workspace exists.
NAME = re.compile("[a-z][a-z0-9-]{0,19}")


class FleetError(Exception):
    """A failure whose message names the cause, the value and the fix."""


@dataclass(frozen=True)
class Host:
    """A host of the inventory."""

    name: str
    address: str
    groups: frozenset[str]


@dataclass(frozen=True)
class Fleet:
    """A fleet, usually of the local sandbox.

    Its name is the prefix of its containers, and the name of its network and state. `inventory` is the folder under
    inventories/ that has its variables.
    """

    name: str
    inventory: str
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_environment(cls, *, sandbox: bool = True) -> Self:
        """Return the fleet that the variables FLEET, INVENTORY and SUBNET describe.

        Only a fleet of the sandbox can be created and removed. Without `sandbox`, every inventory is accepted.
        """
        inventory = os.environ.get("INVENTORY") or "sandbox"
        if "/" in inventory:  # a path, from the folder in which the command was typed
            path = Path(inventory).resolve()
            known = ROOT / "inventories" / inventory.rstrip("/")
            path = path if path.is_dir() or not known.is_dir() else known  # `single/`
            inventory = path.name if path.parent == ROOT / "inventories" else str(path)
        folder = ROOT / "inventories" / inventory
        if not folder.is_dir():
            names = ", ".join(sorted(path.parent.name for path in ROOT.glob("inventories/*/group_vars")))
            raise FleetError(
                f"INVENTORY={inventory} is not a folder in inventories/; use one of {names}, or the path of one."
            )
        # As in bin/inventory: an inventory with a Terraform root of its own is another place, such as AWS.
        other_place = folder.name != "sandbox" and (ROOT / "terraform" / folder.name).exists()
        other_place |= (folder / "terraform.sh").resolve() != ROOT / "bin" / "inventory"
        if sandbox and other_place:
            raise FleetError(
                f"INVENTORY={inventory} is not a sandbox inventory, and this command works only for containers on this "
                f"machine; use INVENTORY=sandbox, or 'ansible-playbook -i {folder} site.yml'."
            )
        name = os.environ.get("FLEET") or folder.name
        if not other_place and not NAME.fullmatch(name):
            allowed = "1 to 20 lower-case letters, digits and dashes, starting with a letter"
            raise FleetError(f"FLEET={name} is not valid as a name of containers and a network; use {allowed}.")
        environment = os.environ | {"FLEET": name, "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}
        if subnet := os.environ.get("SUBNET"):  # otherwise Terraform derives one from the name
            environment["TF_VAR_subnet"] = subnet
        return cls(name, inventory, environment)

    @property
    def folder(self) -> Path:
        """The folder of the inventory."""
        return ROOT / "inventories" / self.inventory

    def command(self, words: str) -> str:
        """Return a command of bin/fleet for this fleet, as a person would type it."""
        chosen = "" if self.inventory == "sandbox" else f" --inventory {self.inventory}"
        chosen += "" if self.name == self.folder.name else f" --fleet {self.name}"
        return f"bin/fleet{chosen} {words}"

    def site(self) -> str:
        """Return the command that runs site.yml for this fleet, as a person would type it."""
        chosen = "" if self.inventory == "sandbox" else f" -i {shown(self.folder)}"
        return f"{'' if self.name == self.folder.name else f'FLEET={self.name} '}ansible-playbook{chosen} site.yml"

    @property
    def directory(self) -> Path:
        """The folder of the fleet's SSH key, known hosts and logs."""
        return ROOT / ".fleets" / self.name

    @property
    def state_files(self) -> list[Path]:
        """Terraform's state and its backup."""
        root = ROOT / "terraform" / "sandbox"
        root = root if self.name == "sandbox" else root / "terraform.tfstate.d" / self.name
        return [root / "terraform.tfstate", root / "terraform.tfstate.backup"]

    @property
    def var_files(self) -> list[str]:
        """Terraform's `-var-file` arguments for the inventory's topology, if it has one."""
        # Up to 0.1, the file was in terraform/sandbox.
        places = (self.folder / "sandbox.tfvars", ROOT / "terraform" / "sandbox" / f"{self.inventory}.tfvars")
        return [f"-var-file={path}" for path in places if path.exists()][:1]

    def check_topology(self) -> None:
        """Refuse an inventory that does not say how many hosts it has: Terraform's defaults would create ten."""
        if not self.var_files:
            raise FleetError(
                f"INVENTORY={self.inventory} does not say how many hosts to create: {self.folder / 'sandbox.tfvars'} "
                "is missing; write `single_host = true` into it for one host, or `single_host = false` for ten."
            )

    def run(self, *command: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command in the repository's root; capture its output if `quiet`, otherwise print it."""
        return subprocess.run(command, cwd=ROOT, env=self.environment, text=True, capture_output=quiet, check=False)

    def terraform(self, *arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
        """Run Terraform in terraform/sandbox with this fleet's state."""
        return self.run("bin/terraform", "-chdir=terraform/sandbox", *arguments, quiet=quiet)

    def engine(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the container engine and capture its output."""
        return self.run("bin/engine", *arguments, quiet=True)

    def outputs(self) -> dict[str, Any]:
        """Return Terraform's outputs. They are empty if the fleet was never applied."""
        result = self.terraform("output", "-no-color", "-json", quiet=True)
        if result.returncode != 0:
            raise FleetError(
                f"FLEET={self.name}: Terraform cannot read the state; fix the cause and retry. {result.stderr.strip()}"
            )
        return {name: output["value"] for name, output in json.loads(result.stdout).items()}

    def hosts(self, outputs: dict[str, Any]) -> list[Host]:
        """Return the hosts of the inventory in `outputs`, in the inventory's order."""
        if "inventory" not in outputs:
            which = "" if self.inventory == "sandbox" else f" INVENTORY={self.inventory}"
            which += "" if self.folder.name == self.name else f" FLEET={self.name}"
            raise FleetError(f"FLEET={self.name} has no hosts; run 'make up{which}' first.")
        inventory = outputs["inventory"]
        return [
            Host(name, own["ansible_host"], frozenset(g for g in inventory if name in inventory[g].get("hosts", [])))
            for name, own in inventory["_meta"]["hostvars"].items()
        ]

    def ssh_command(self, host: Host) -> list[str]:
        """Return the `ssh` command that logs in to `host` as admin."""
        options = {
            "UserKnownHostsFile": str(self.directory / "known_hosts"),
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "ConnectTimeout": "3",
            "LogLevel": "ERROR",
            "KexAlgorithms": "-sntrup*",  # as in terraform/sandbox/outputs.tf
        }
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return ["ssh", "-i", str(self.directory / "id_ed25519"), *words, f"admin@{host.address}"]


def shown(path: Path) -> str:
    """Return a path as a person would type it."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def echo(message: str) -> None:
    """Print a line without buffering, so that it appears in order with the output of child processes."""
    print(message, file=sys.stdout, flush=True)
