"""`make up`: hosts, then every tier, then a summary. Every phase is safe to repeat, so a rerun carries on where a run was cut off."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import yaml

from tools.fleet.context import ROOT, Fleet, FleetError, Host, say

BOOT_SECONDS = 180


@contextmanager
def phase(name: str, durations: dict[str, float]) -> Iterator[None]:
    """Print a heading and note how long the block took."""
    say(f"\n== {name}")
    start = time.monotonic()
    yield
    durations[name] = time.monotonic() - start


def revive(fleet: Fleet) -> list[str]:
    """Start hosts that a reboot of this machine stopped; return Terraform arguments that make lost ones anew."""
    outputs = fleet.outputs()
    if "inventory" not in outputs:
        return []
    replace = []
    for host in fleet.hosts(outputs):
        container = f"{fleet.name}-{host.name}"
        state = fleet.engine("container", "inspect", "--format", "{{.State.Status}} {{.State.Pid}}", container)
        if state.returncode != 0:
            say(f"{host.name}: its container is gone; it is made anew")
            replace.append(f"-replace=module.host[{host.name!r}].terraform_data.host".replace("'", '"'))
            continue
        status, pid = state.stdout.split()
        if status == "running" and Path(f"/proc/{pid}/comm").exists():
            continue
        say(f"{host.name}: it was {status if status != 'running' else 'killed'}; starting it")
        if status == "running":  # in the engine's books only: its processes went with a power cut
            fleet.engine("stop", "--time", "0", container)
        if fleet.engine("start", container).returncode != 0:
            raise FleetError(
                f"{host.name}: container {container} does not start again; 'make down FLEET={fleet.name}' and 'make up' "
                f"make the fleet anew, 'bin/engine start {container}' shows why."
            )
    return replace


def apply(fleet: Fleet) -> None:
    """Bring hosts to what Terraform's variables say."""
    fleet.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace = revive(fleet)
    for command in (
        ["init", "-input=false", "-no-color"],
        ["apply", "-input=false", "-auto-approve", "-no-color", *fleet.var_files, *replace],
    ):
        result = fleet.terraform(*command, quiet=True)
        (fleet.directory / f"terraform-{command[0]}.log").write_text(result.stdout + result.stderr)
        if result.returncode != 0:
            say(result.stderr.strip() or result.stdout[-2000:])
            raise FleetError(f"terraform {command[0]} failed (above); mend what it names and run 'make up' again.")
    summary = [line for line in result.stdout.splitlines() if line.startswith(("Apply complete", "No changes"))]
    say(summary[-1] if summary else "applied")


def answers(fleet: Fleet, host: Host) -> bool:
    """Whether `host` lets us in within BOOT_SECONDS."""
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        if subprocess.run([*fleet.ssh_command(host), "true"], capture_output=True, check=False).returncode == 0:
            return True
        time.sleep(0.5)
    return False


def wait_for_hosts(fleet: Fleet) -> list[Host]:
    """Return the hosts once all of them answer over SSH."""
    hosts = fleet.hosts(fleet.outputs())
    with ThreadPoolExecutor(len(hosts)) as pool:
        silent = [
            host.name for host, up in zip(hosts, pool.map(lambda h: answers(fleet, h), hosts), strict=True) if not up
        ]
    if silent:
        raise FleetError(
            f"{', '.join(silent)}: no answer over SSH in {BOOT_SECONDS} s; 'bin/engine logs {fleet.name}-{silent[0]}' shows the console."
        )
    say(f"{len(hosts)} hosts answer: {', '.join(host.name for host in hosts)}")
    return hosts


def converge(fleet: Fleet) -> None:
    """Run site.yml on the fleet."""
    result = fleet.run("ansible-playbook", "-i", f"inventories/{fleet.inventory}", "site.yml")
    if result.returncode != 0:
        raise FleetError(
            "site.yml failed (above); mend what it names and run 'make up' again: it carries on from there."
        )


def up(fleet: Fleet) -> None:
    """Raise the fleet and print what works now."""
    durations: dict[str, float] = {}
    with phase("Hosts (terraform apply)", durations):
        apply(fleet)
    with phase("Waiting for SSH", durations):
        wait_for_hosts(fleet)
    with phase("Every tier (ansible-playbook site.yml)", durations):
        converge(fleet)
    summary(fleet, durations)


def summary(fleet: Fleet, durations: dict[str, float]) -> None:
    """Print durations, URLs, how to log in and what to try."""
    urls = fleet.outputs()["urls"]
    suffix = "" if fleet.name == "sandbox" else f" FLEET={fleet.name}"
    suffix += "" if fleet.inventory == "sandbox" else f" INVENTORY={fleet.inventory}"
    say(f"\n== The fleet {fleet.name} is up")
    for name, seconds in durations.items():
        say(f"  {seconds:6.1f} s  {name}")
    say("")
    for name, url in urls.items():
        silent = "left out: its package could not be had, site.yml says why" if name == "grafana" else "does not answer"
        say(f"  {name:<13} {url if works(url) else f'{url} ({silent})'}")
    own = yaml.safe_load((ROOT / f"inventories/{fleet.inventory}/group_vars/all/main.yml").read_text())
    if "app_admin_email" in own:
        say(
            f"\n  The site    log in as {own['app_admin_email']}, password: make secret NAME=app_admin_password{suffix}"
        )
    if "app_mail_url" in own:
        say(f"              make mail{suffix}             its letters: leave it open, sign up, follow the link")
    say(f"""
  Log in      Grafana: admin, password: make secret NAME=grafana_admin_password{suffix}
              hosts: make ssh HOST=db1{suffix}
  Try next    curl --insecure {urls["site"]}
              make status{suffix}           who is primary, and is everything well?
              make down{suffix}             remove it all""")


def works(url: str) -> bool:
    """Whether `url` answers. The sandbox's certificate is its own, so it is not verified here."""
    code = subprocess.run(
        [
            "curl",
            "--silent",
            "--insecure",
            "--max-time",
            "5",
            "--noproxy",
            "*",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            url,
        ],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return code[:1] in {"2", "3"}
