"""Measures the fleet's figures in docs/benchmarks.md on a new fleet: `FLEET=bench python -m tools.bench.fleet`.

The floor is the minimum for any configuration management: apt-get installs the same Debian packages on all hosts at the
same time, and uv installs the same release bundle on the hosts that run it. The other figures are ratios to the floor
or to each other.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools.fleet.context import ROOT, Fleet, FleetError, Host, echo
from tools.fleet.down import down
from tools.fleet.up import create_hosts, wait_for_hosts

INSTALL_WHEELS = """
cd /opt/floor && uv=$(find . -name uv -type f | head -1) && chmod +x "$uv" &&
"$uv" venv -q --python /usr/bin/python3 venv &&
"$uv" pip install -q --python venv/bin/python --offline --no-index --compile-bytecode --no-deps $(find . -name "*.whl")
"""
PACKAGES = "dpkg-query --show --showformat '${Package}\\n'"


def timed(name: str, figures: dict[str, float], action: Callable[[], Any]) -> None:
    """Run `action`. Record and print its duration."""
    start = time.monotonic()
    action()
    figures[name] = time.monotonic() - start
    echo(f"{figures[name]:8.1f} s  {name}")


def on(fleet: Fleet, host: Host, command: str, stdin: bytes | None = None) -> str:
    """Run a command on `host` as root and return its output."""
    result = subprocess.run(
        [*fleet.ssh_command(host), f"sudo {command}"], input=stdin, capture_output=True, check=False
    )
    if result.returncode != 0:
        raise FleetError(f"{host.name}: {command} failed: {result.stderr.decode()[-500:]}")
    return result.stdout.decode()


def everywhere(fleet: Fleet, hosts: list[Host], command: str) -> list[str]:
    """Run a command on every host at the same time. Return the outputs in the hosts' order."""
    with ThreadPoolExecutor(len(hosts)) as pool:
        return list(pool.map(lambda host: on(fleet, host, command), hosts))


def site(fleet: Fleet, *arguments: str, strategy: str = "mitogen_linear") -> None:
    """Run site.yml with a log in the fleet's folder."""
    log = fleet.directory / "site.log"
    command = ["ansible-playbook", "-i", f"inventories/{fleet.inventory}", "site.yml", *arguments]
    with log.open("a") as output:
        environment = fleet.environment | {"ANSIBLE_STRATEGY": strategy}
        code = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    if code != 0:
        raise FleetError(f"site.yml {' '.join(arguments)} failed; read {log}")


def build(*arguments: str) -> list[Path]:
    """Build the bundles of a release, by default of the application. Return their paths."""
    command = [sys.executable, "-m", "tools.release", "build", *arguments]
    built = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    return [Path(built["path"]), Path(built["dependencies"]["path"])]


def install_floor(fleet: Fleet, hosts: list[Host], packages: dict[str, list[str]], bundles: list[Path]) -> None:
    """Install the same packages and wheels without Ansible, on all hosts at the same time."""

    def install(host: Host) -> None:
        names = " ".join(packages[host.name])
        # Do not start services: starting unconfigured servers is not part of the floor.
        on(fleet, host, "sh -c 'printf \"exit 101\" > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d'")
        on(fleet, host, "env DEBIAN_FRONTEND=noninteractive apt-get update -q")
        on(fleet, host, f"env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends {names}")
        if host.groups & {"app", "workers"}:
            for bundle in bundles:
                on(fleet, host, "sh -c 'mkdir -p /opt/floor && tar -xz -C /opt/floor'", bundle.read_bytes())
            on(fleet, host, f"sh -c '{INSTALL_WHEELS}'")

    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(install, hosts))


def memory(fleet: Fleet, hosts: list[Host]) -> float:
    """Return the memory of all processes of all hosts in MiB, as PSS, which counts a shared page once."""
    script = "sh -c 'cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk \"/^Pss:/ {sum += \\$2} END {print sum}\"'"
    return sum(float(value or 0) for value in everywhere(fleet, hosts, script)) / 1024


def store(name: str, figures: dict[str, float]) -> None:
    """Print figures and store them as JSON."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    (ROOT / ".cache" / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
    for figure, value in figures.items():
        echo(f"{value:12.3f}  {figure}")


def main() -> int:
    """Measure, print and store the figures."""
    fleet = Fleet.from_environment()
    if fleet.name == "sandbox":
        raise FleetError(
            "FLEET is not set. The benchmark creates and removes a fleet, so it needs its own name: use FLEET=bench."
        )
    figures: dict[str, float] = {}

    down(fleet)
    timed("hosts: terraform apply, until all answer", figures, lambda: create_hosts(fleet))
    hosts = wait_for_hosts(fleet)
    before = [set(output.split()) for output in everywhere(fleet, hosts, PACKAGES)]
    timed("site.yml, cold, Mitogen", figures, lambda: site(fleet))
    after = [set(output.split()) for output in everywhere(fleet, hosts, PACKAGES)]
    packages = {host.name: sorted(new - old) for host, old, new in zip(hosts, before, after, strict=True)}
    timed("site.yml, unchanged, Mitogen", figures, lambda: site(fleet))
    timed("site.yml --tags nginx, Mitogen", figures, lambda: site(fleet, "--tags", "nginx"))
    timed("site.yml, unchanged, linear", figures, lambda: site(fleet, strategy="linear"))
    figures["memory of the idle hosts, MiB"] = memory(fleet, hosts)

    bundles = build("--requirements=requirements/app.txt", "--path=app", "--path=pyproject.toml")
    down(fleet)
    hosts = create_hosts(fleet)
    timed("floor: apt-get and uv on all hosts at once", figures, lambda: install_floor(fleet, hosts, packages, bundles))
    down(fleet)

    cold, warm = figures["site.yml, cold, Mitogen"], figures["site.yml, unchanged, Mitogen"]
    figures["ratio: cold / floor"] = cold / figures["floor: apt-get and uv on all hosts at once"]
    figures["ratio: unchanged / cold"] = warm / cold
    figures["ratio: unchanged linear / unchanged Mitogen"] = figures["site.yml, unchanged, linear"] / warm
    store("benchmark", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
