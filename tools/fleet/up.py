"""`make up`: hosts, then every tier, then a summary.

Every phase can be repeated, so a rerun continues an interrupted run.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tools.fleet.context import Fleet, FleetError, Host, echo
from tools.fleet.scale_in import answers, hand_over
from tools.fleet.summary import summary

BOOT_SECONDS = 180


@contextmanager
def phase(name: str, durations: dict[str, float]) -> Iterator[None]:
    """Print a heading, and record how long the block takes."""
    echo(f"\n== {name}")
    start = time.monotonic()
    yield
    durations[name] = time.monotonic() - start


def restart_stopped_hosts(fleet: Fleet) -> list[str]:
    """Start the hosts that a reboot of this machine stopped. Return Terraform arguments that recreate lost hosts."""
    outputs = fleet.outputs()
    if "inventory" not in outputs:
        return []
    replace = []
    for host in fleet.hosts(outputs):
        container = f"{fleet.name}-{host.name}"
        state = fleet.engine("container", "inspect", "--format", "{{.State.Status}} {{.State.Pid}}", container)
        if state.returncode != 0:
            if "no such container" not in state.stderr.lower():
                raise FleetError(
                    f"{host.name}: the state of container {container} is unknown: {state.stderr.strip()} "
                    f"Repair ENGINE={os.environ.get('ENGINE', 'podman')} ('bin/engine ps') and run 'make up' again."
                )
            echo(f"{host.name}: its container no longer exists; recreating it")
            replace.append(f"-replace=module.host[{host.name!r}].terraform_data.host".replace("'", '"'))
            continue
        status, pid = state.stdout.split()
        if status == "running" and Path(f"/proc/{pid}/comm").exists():
            continue
        echo(f"{host.name}: it was {status if status != 'running' else 'killed'}; starting it")
        if status == "running":  # only in the engine's database: a power cut ended its processes
            fleet.engine("stop", "--time", "0", container)
        if fleet.engine("start", container).returncode != 0:
            raise FleetError(
                f"{host.name}: container {container} does not start; 'bin/engine start {container}' shows why. "
                f"To recreate the fleet, run 'make down FLEET={fleet.name}' and 'make up'."
            )
    return replace


def run_terraform(fleet: Fleet, action: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of Terraform's actions, log its output, and fail with its error."""
    result = fleet.terraform(action, *arguments, quiet=True)
    (fleet.directory / f"terraform-{action}.log").write_text(result.stdout + result.stderr)
    if result.returncode != 0:
        echo(result.stderr.strip() or result.stdout[-2000:])
        raise FleetError(f"terraform {action} failed (above); fix the cause and run 'make up' again.")
    return result


def apply(fleet: Fleet) -> None:
    """Create or change the hosts with Terraform."""
    fleet.check_topology()
    fleet.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace = restart_stopped_hosts(fleet)
    plan = str(fleet.directory.resolve() / "terraform.plan")
    options = ["-input=false", "-no-color"]
    run_terraform(fleet, "init", *options)
    run_terraform(fleet, "plan", *options, f"-out={plan}", *fleet.var_files, *replace)
    hand_over(fleet, plan)
    result = run_terraform(fleet, "apply", *options, plan)
    summary = [line for line in result.stdout.splitlines() if line.startswith(("Apply complete", "No changes"))]
    echo(summary[-1] if summary else "applied")


def wait_for_ssh(fleet: Fleet, host: Host) -> bool:
    """Return whether a login to `host` works within BOOT_SECONDS."""
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        if answers(fleet, host):
            return True
        time.sleep(0.5)
    return False


def wait_for_hosts(fleet: Fleet) -> list[Host]:
    """Wait until all hosts answer over SSH, and return them."""
    hosts = fleet.hosts(fleet.outputs())
    with ThreadPoolExecutor(len(hosts)) as pool:
        results = pool.map(lambda host: wait_for_ssh(fleet, host), hosts)
        down = [host.name for host, answers in zip(hosts, results, strict=True) if not answers]
    if down:
        raise FleetError(
            f"{', '.join(down)}: no answer over SSH in {BOOT_SECONDS} s; "
            f"'bin/engine logs {fleet.name}-{down[0]}' shows the console."
        )
    echo(f"{len(hosts)} hosts answer: {', '.join(host.name for host in hosts)}")
    return hosts


def create_hosts(fleet: Fleet) -> list[Host]:
    """Create the hosts, wait until they answer, and return them."""
    apply(fleet)
    return wait_for_hosts(fleet)


def up(fleet: Fleet) -> None:
    """Create the fleet and print a summary."""
    durations: dict[str, float] = {}
    with phase("Hosts (terraform apply)", durations):
        apply(fleet)
    with phase("Waiting for SSH", durations):
        wait_for_hosts(fleet)
    with phase("Every tier (ansible-playbook site.yml)", durations):
        if fleet.run("ansible-playbook", "-i", str(fleet.folder), "site.yml").returncode != 0:
            raise FleetError(
                "site.yml failed (the last lines above); fix that and run 'make up' again: it continues from there."
            )
    summary(fleet, durations)
