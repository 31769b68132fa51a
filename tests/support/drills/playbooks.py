"""Runs playbooks on a fleet under load, and reports what they did to each host."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.live.fleet import LiveFleet
from tools.fleet.context import ROOT, Host

RECAP = re.compile(r"^(?P<host>\S+)\s+: (?P<counts>ok=.*)$", re.MULTILINE)
TASK = re.compile(r"^TASK \[.*", re.MULTILINE)
# An error up to the next task. A parser error stands before all tasks.
ERROR = re.compile(r"^(?:fatal|failed|ERROR|\[ERROR\]).*(?:\n(?!TASK|PLAY|ok|changed|\n).*){0,15}", re.MULTILINE)
# Seconds from the last host's return into rotation to the end of a deploy, for the log and the cleanup.
TAIL = 2.0
# The services that a run must not restart without a reason. A host has those of its tiers.
UNITS = "patroni etcd redis@cache redis@store redis-sentinel nginx keepalived app celery-worker celery-beat"


@dataclass(frozen=True)
class Run:
    """A finished run of a playbook: its exit code, its output, and its times."""

    code: int
    text: str
    began: float
    ended: float

    @property
    def output(self) -> str:
        """The output on one line, because Ansible wraps lines."""
        return " ".join(self.text.split())

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """The counts of the recap by host."""
        return {
            match["host"]: {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", match["counts"])}
            for match in RECAP.finditer(self.text)
        }

    @property
    def seconds(self) -> float:
        """The duration of the command."""
        return self.ended - self.began

    @property
    def phases(self) -> dict[str, float]:
        """The durations of a deploy's phases from the moment at which it got the lock, as the deploy reports them."""
        match = re.search(r"Seconds: ([^']+?)'?(?: TASK| PLAY|$)", self.output)
        return {name: float(seconds) for name, seconds in re.findall(r"([a-z]+) ([0-9.]+)", match[1])} if match else {}

    @property
    def switching_began(self) -> float:
        """The time at which it began to switch hosts. The steps before that load only the control node."""
        return self.ended - TAIL - sum(self.phases.get(name, 0) for name in ("canary", "watch", "others"))

    def hosts_with(self, outcome: str) -> set[str]:
        """Return the hosts that were `changed`, `failed` or `unreachable` at least once."""
        return {host for host, counts in self.counts.items() if counts[outcome]}

    @property
    def failure(self) -> str:
        """Its errors, each after its task, then the end of its output. Reports show only the first lines of it."""
        tasks = [(match.start(), match[0].rstrip(" *")) for match in TASK.finditer(self.text)]
        errors = []
        for error in ERROR.finditer(self.text):
            task = next((name for start, name in reversed(tasks) if start < error.start()), "")
            errors.append(f"{task}\n{error[0]}".strip())
        return "\n".join([*errors, "The end of the output:", self.text[-10_000:]])

    def succeeded(self) -> Self:
        """Fail the test if the run failed. Return the run."""
        assert self.code == 0, self.failure
        return self


def command(fleet: LiveFleet, *playbook: str, inventory: Path | None = None) -> list[str]:
    """Return the command line that runs a playbook on this fleet, or with another inventory."""
    return ["ansible-playbook", f"--inventory={inventory or f'inventories/{fleet.fleet.inventory}'}", *playbook]


def play(fleet: LiveFleet, *playbook: str, timeout: float | None = None, inventory: Path | None = None) -> Run:
    """Run a playbook and return the result, also if it fails."""
    began = time.time()
    result = subprocess.run(
        command(fleet, *playbook, inventory=inventory),
        cwd=ROOT,
        env=fleet.fleet.environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Run(result.returncode, result.stdout + result.stderr, began, time.time())


def reaches(output: Iterable[str], task: str, host: str) -> bool:
    """Read a playbook's output until a task begins, or until `host` has finished the task."""
    current = ""
    for line in output:
        current = line if line.startswith("TASK") else current
        if task in current and (not host or line.startswith((f"changed: [{host}", f"ok: [{host}"))):
            return True
    return False


def family(pid: int) -> list[int]:
    """Return a process and all of its descendants. Ansible's workers have sessions of their own."""
    table = subprocess.run(["ps", "-eo", "ppid=,pid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in table.splitlines()]
    found = [pid]
    for member in found:
        found += [child for parent, child in pairs if parent == member]
    return found


def kill(fleet: LiveFleet, playbook: Sequence[str], at: str, host: str = "", after: float = 0.5) -> None:
    """Start a playbook, and kill it `after` seconds into a task, or as soon as `host` has finished the task."""
    with subprocess.Popen(
        command(fleet, *playbook),
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
        for member in family(process.pid):
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
    assert reached, f"the run never reached the task {at} {host}"


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


def touched(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Return the hosts whose main processes, or whether they answer, changed."""
    return {host for host in before.keys() | after.keys() if before.get(host) != after.get(host)}


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
