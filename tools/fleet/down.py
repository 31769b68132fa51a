"""`make down`: removes a fleet and, with the last fleet, the host image and the engine's namespace."""

import fcntl
import os
import shutil
from pathlib import Path

from tools.fleet.context import ROOT, Fleet, FleetError, echo, shown

# Shared by runs that create a network or a host. What they need must not vanish between two of their steps.
LOCK = Path("/tmp/flaskfleet-prune.lock")


def alive(pid: str) -> bool:
    """Whether a host runs. After a power cut, the engine names a process that no longer exists or is another one."""
    try:
        return "systemd" in Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return False


def refuse_other_clone(fleet: Fleet, containers: list[str]) -> None:
    """Refuse to remove hosts that run and belong to another clone. Dead hosts, and those of a deleted clone, may go."""
    labels = '{{.State.Pid}} {{index .Config.Labels "flaskfleet.owner"}}'
    for container in containers:
        pid, _, owner = fleet.engine("inspect", "--format", labels, container).stdout.strip().partition(" ")
        if owner not in ("", str(ROOT)) and Path(owner).is_dir() and alive(pid):
            raise FleetError(
                f"FLEET={fleet.name} runs from the clone {owner}, so nothing was removed. "
                f"Run 'make down FLEET={fleet.name}' there, or choose another name (FLEET=other)."
            )


def down(fleet: Fleet) -> None:
    """Remove the fleet's hosts, network, keys and state. Works for incomplete fleets and without Terraform's state."""
    label = f"label=flaskfleet.fleet={fleet.name}"
    refuse_other_clone(fleet, fleet.engine("ps", "--all", "--quiet", "--filter", label).stdout.split())
    if any(path.exists() for path in fleet.state_files):
        fleet.terraform("init", "-input=false", quiet=True)
        fleet.terraform("destroy", "-auto-approve", "-input=false", *fleet.var_files, quiet=True)
    # Hosts that are not in the state: leftovers of interrupted runs and of deleted clones.
    for container in fleet.engine("ps", "--all", "--quiet", "--filter", label).stdout.split():
        fleet.engine("rm", "--force", "--volumes", container)
    network = f"flaskfleet-{fleet.name}"
    if fleet.engine("network", "inspect", network).returncode == 0:
        fleet.engine("network", "rm", "--force", network)
    for path in fleet.state_files:
        path.unlink(missing_ok=True)
    if fleet.name != "sandbox":
        shutil.rmtree(fleet.state_files[0].parent, ignore_errors=True)
    shutil.rmtree(fleet.directory, ignore_errors=True)
    echo(f"The fleet {fleet.name} was removed.")

    if not os.environ.get("FLASKFLEET_KEEP_IMAGE"):
        prune(fleet)
    secrets = fleet.folder / "group_vars" / "all" / "vault.yml"
    if secrets.exists():
        echo(f"Its secrets stay in {shown(secrets)} for the next fleet with this inventory.")


def prune(fleet: Fleet) -> None:
    """Remove the host image and the engine's namespace, unless this machine has another fleet."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # A fleet that is being created has a network before it has hosts.
        for entries in (("ps", "--all"), ("network", "ls")):
            if fleet.engine(*entries, "--quiet", "--filter", "label=flaskfleet.fleet").stdout.split():
                echo("This machine has other fleets, so the host image and the engine's namespace stay.")
                return
        images = ("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=localhost/flaskfleet-*")
        for image in fleet.engine(*images).stdout.split():
            fleet.engine("rmi", image)  # not by force, which would also remove containers
        fleet.engine("--unpin")
    echo("It was the last fleet, so the host image and the engine's namespace were removed too.")
