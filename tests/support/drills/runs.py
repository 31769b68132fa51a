"""Playbooks run on a fleet that serves, and what they did to each host."""

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
# What a run must not restart without a reason; a host has those of its tiers.
UNITS = (
    "patroni",
    "etcd",
    "redis@cache",
    "redis@store",
    "redis-sentinel",
    "nginx",
    "keepalived",
    "app",
    "celery-worker",
    "celery-beat",
)


@dataclass(frozen=True)
class Run:
    """One run: how it ended, what it printed (as one line, since Ansible breaks lines), and its counts by host."""

    code: int
    output: str
    counts: dict[str, dict[str, int]]

    def hosts_with(self, what: str) -> set[str]:
        """The hosts that were changed, failed or unreachable at least once."""
        return {host for host, counts in self.counts.items() if counts[what]}


def command(fleet: LiveFleet, playbook: str, *arguments: str) -> list[str]:
    """The command line of a playbook of this fleet."""
    return ["ansible-playbook", f"--inventory=inventories/{fleet.fleet.inventory}", playbook, *arguments]


def play(fleet: LiveFleet, playbook: str, *arguments: str) -> Run:
    """Run a playbook, and return what came of it, whatever that is."""
    result = fleet.fleet.run(*command(fleet, playbook, *arguments), quiet=True)
    found = {
        match["host"]: dict(re.findall(r"(\w+)=(\d+)", match["counts"])) for match in RECAP.finditer(result.stdout)
    }
    counts = {host: {name: int(number) for name, number in counted.items()} for host, counted in found.items()}
    return Run(result.returncode, " ".join((result.stdout + result.stderr).split()), counts)


def comes_to(output: Iterable[str], task: str, host: str) -> bool:
    """Read what a playbook prints until a task begins, or, where a host is named, until that host has done it."""
    now = ""
    for line in output:
        now = line if line.startswith("TASK") else now
        if task in now and (not host or line.startswith((f"changed: [{host}", f"ok: [{host}"))):
            return True
    return False


def kill(fleet: LiveFleet, command: Sequence[str], at: str, host: str = "", after: float = 0.5) -> None:
    """Begin a run, and kill the control node's side of it a moment after it has come to a task, or as soon as a host has done it."""
    with subprocess.Popen(
        command, cwd=ROOT, env=fleet.fleet.environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout
        seen = comes_to(process.stdout, at, host)
        time.sleep(0 if host else after)
        os.killpg(process.pid, signal.SIGKILL)
    assert seen, f"the run never came to {at} {host}"


def site(fleet: LiveFleet, *arguments: str) -> Run:
    """Run site.yml."""
    return play(fleet, "site.yml", *arguments)


def replace(fleet: LiveFleet, host: Host) -> Run:
    """Ask for a host to be replaced."""
    return play(fleet, "playbooks/replace.yml", "--extra-vars", f"replace_host={host.name}")


def make_anew(fleet: LiveFleet, host: Host) -> None:
    """Put an empty host of the same name and address in the place of one."""
    resource = f'module.host["{host.name}"].terraform_data.host'
    made = fleet.fleet.terraform(
        "apply", "-auto-approve", "-input=false", *fleet.fleet.var_files, f"-replace={resource}", quiet=True
    )
    assert made.returncode == 0, made.stderr


def processes(fleet: LiveFleet) -> dict[str, str]:
    """What runs on each host that answers: the main processes of its units, and the postmaster, which is Patroni's child."""
    shown = f"systemctl show --property=Id,MainPID {' '.join(UNITS)}; head -1 /var/lib/postgresql/*/main/postmaster.pid 2>/dev/null"
    answers = {name: fleet.run(host, f"{shown}; true", check=False) for name, host in fleet.hosts.items()}
    return {name: answer.stdout for name, answer in answers.items() if answer.returncode == 0}


def restarted(before: dict[str, str], after: dict[str, str]) -> set[tuple[str, str]]:
    """Host and unit of what runs by other processes than before."""
    return {
        (host, unit)
        for host in before
        for unit, pid in _pids(before[host]).items()
        if _pids(after.get(host, "")).get(unit) != pid
    }


def _pids(shown: str) -> dict[str, str]:
    blocks = (dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in shown.split("\n\n"))
    return {block["Id"].removesuffix(".service"): block["MainPID"] for block in blocks if "Id" in block}
