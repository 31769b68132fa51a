"""Runs playbooks on a fleet under load, and reports what they did to each host."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.support.live.fleet import LiveFleet
from tools.fleet.context import ROOT, Host

RECAP = re.compile(r"^(?P<host>\S+)\s+: (?P<counts>ok=.*)$", re.MULTILINE)
# The services that a run must not restart without a reason. A host has those of its tiers.
UNITS = "patroni etcd redis@cache redis@store redis-sentinel nginx keepalived app celery-worker celery-beat"


@dataclass(frozen=True)
class Run:
    """One run: its exit code, its output and its counts by host.

    The output is one line, because Ansible wraps lines.
    """

    code: int
    output: str
    counts: dict[str, dict[str, int]]

    def hosts_with(self, outcome: str) -> set[str]:
        """Return the hosts that were `changed`, `failed` or `unreachable` at least once."""
        return {host for host, counts in self.counts.items() if counts[outcome]}


def command(fleet: LiveFleet, playbook: str, *arguments: str) -> list[str]:
    """Return the command line that runs a playbook on this fleet."""
    return ["ansible-playbook", f"--inventory=inventories/{fleet.fleet.inventory}", playbook, *arguments]


def play(fleet: LiveFleet, playbook: str, *arguments: str) -> Run:
    """Run a playbook and return the result, also if it fails."""
    result = fleet.fleet.run(*command(fleet, playbook, *arguments), quiet=True)
    found = {
        match["host"]: dict(re.findall(r"(\w+)=(\d+)", match["counts"])) for match in RECAP.finditer(result.stdout)
    }
    counts = {host: {name: int(number) for name, number in counted.items()} for host, counted in found.items()}
    return Run(result.returncode, " ".join((result.stdout + result.stderr).split()), counts)


def play_successfully(fleet: LiveFleet, playbook: str, *arguments: str) -> Run:
    """Run a playbook that must not fail."""
    run = play(fleet, playbook, *arguments)
    assert run.code == 0, run.output[-3000:]
    return run


def reaches(output: Iterable[str], task: str, host: str) -> bool:
    """Read a playbook's output until a task begins, or until `host` has finished the task."""
    current = ""
    for line in output:
        current = line if line.startswith("TASK") else current
        if task in current and (not host or line.startswith((f"changed: [{host}", f"ok: [{host}"))):
            return True
    return False


def kill(fleet: LiveFleet, command: Sequence[str], at: str, host: str = "", after: float = 0.5) -> None:
    """Start a run, and kill it `after` seconds into a task, or as soon as `host` has finished the task."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=fleet.fleet.environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        reached = reaches(process.stdout, at, host)
        time.sleep(0 if host else after)
        os.killpg(process.pid, signal.SIGKILL)
    assert reached, f"the run never reached the task {at} {host}"


def site(fleet: LiveFleet, *arguments: str) -> Run:
    """Run site.yml."""
    return play(fleet, "site.yml", *arguments)


def replace(fleet: LiveFleet, host: Host) -> Run:
    """Run the playbook that replaces a host."""
    return play(fleet, "playbooks/replace.yml", "--extra-vars", f"replace_host={host.name}")


def recreate_host(fleet: LiveFleet, host: Host) -> None:
    """Recreate a host: empty, with the same name and address."""
    resource = f'module.host["{host.name}"].terraform_data.host'
    result = fleet.fleet.terraform(
        "apply", "-auto-approve", "-input=false", *fleet.fleet.var_files, f"-replace={resource}", quiet=True
    )
    assert result.returncode == 0, result.stderr


def processes(fleet: LiveFleet) -> dict[str, str]:
    """Return the main processes of each host that answers, and its postmaster, which is Patroni's child."""
    postmaster = "head -1 /var/lib/postgresql/*/main/postmaster.pid 2>/dev/null"
    show = f"systemctl show --property=Id,MainPID {UNITS}; {postmaster}; true"
    answers = {name: fleet.run(host, show, check=False) for name, host in fleet.hosts.items()}
    return {name: answer.stdout for name, answer in answers.items() if answer.returncode == 0}


def restarted(before: dict[str, str], after: dict[str, str]) -> set[tuple[str, str]]:
    """Return the host and unit of each service that has another process than before."""
    return {
        (host, unit)
        for host in before
        for unit, pid in _pids(before[host]).items()
        if _pids(after.get(host, "")).get(unit) != pid
    }


def _pids(output: str) -> dict[str, str]:
    blocks = (dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in output.split("\n\n"))
    return {block["Id"].removesuffix(".service"): block["MainPID"] for block in blocks if "Id" in block}
