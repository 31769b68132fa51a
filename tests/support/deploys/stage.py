"""Where releases are deployed: a whole fleet, a load on its front door for the whole length, and what both looked like."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.deploys.variants import GOOD, UNDO, Variant, write
from tests.support.drills.background import running
from tests.support.drills.load import Plan
from tests.support.drills.playbooks import command, kill
from tests.support.drills.runner import log_in
from tests.support.drills.verdict import Record
from tests.support.live.clients import visitor
from tests.support.live.fleet import LiveFleet
from tools.fleet.context import ROOT, Host

RATES = {"read": 20.0, "write": 4.0, "session": 2.0, "slow": 0.5, "door": 10.0}
# A load ends by itself after so many seconds, whatever becomes of the test.
LONGEST_LOAD = 600.0
PATIENCE = 400.0
# Seconds of load in which nothing is done, with which others are compared.
STEADY = 30.0
# Seconds of load after what was done under it.
AFTER = 2.0
# Seconds from the last host's return to the end of the command: the log, and what is removed.
TAIL = 2.0
# What runs on a host: the release that a start would use, and those that its services were started in.
RUNNING = """
readlink /opt/{name}/current
for unit in app celery-worker celery-beat; do
    pid=$(systemctl show --property=MainPID --value $unit)
    [ "$pid" = 0 ] || readlink /proc/$pid/cwd
done
"""


@dataclass(frozen=True)
class Run:
    """A playbook that has ended: its code, its words, and when it began and ended."""

    code: int
    text: str
    began: float
    ended: float

    @property
    def said(self) -> str:
        """Its words on one line, as a person reads them."""
        return " ".join(self.text.split())

    @property
    def seconds(self) -> float:
        """How long the command took."""
        return self.ended - self.began

    @property
    def phases(self) -> dict[str, float]:
        """The seconds that a deploy says its phases took, from the moment at which it has the lock."""
        told = re.search(r"Seconds: ([^']+?)'?(?: TASK| PLAY|$)", self.said)
        return {name: float(seconds) for name, seconds in re.findall(r"([a-z]+) ([0-9.]+)", told[1])} if told else {}

    @property
    def rolls(self) -> float:
        """When it began to switch hosts: what was before is the control node's work, which elsewhere has processors of its own."""
        return self.ended - TAIL - sum(self.phases.get(name, 0) for name in ("canary", "watch", "others"))


@dataclass
class Traffic:
    """What was sent while a load ran."""

    records: list[Record] = field(default_factory=list)

    @property
    def failed(self) -> list[Record]:
        """Requests that did not get what they asked for."""
        return [record for record in self.records if not 200 <= record["status"] < 300]

    def p99(self, begin: float = 0, end: float = inf, kind: str = "read") -> float:
        """The seconds that one request in a hundred exceeded, of those that were due within the times."""
        seconds = sorted(r["end"] - r["due"] for r in self.records if r["kind"] == kind and begin <= r["due"] < end)
        return float(seconds[int(len(seconds) * 0.99)])

    def slowest(self, begin: float = 0, end: float = inf) -> str:
        """The ten slowest reads: when each was due, how long it took, and where."""
        reads = (r for r in self.records if r["kind"] == "read" and begin <= r["due"] < end)
        late = sorted(reads, key=lambda r: float(r["due"] - r["end"]))[:10]
        return ", ".join(
            f"{datetime.fromtimestamp(r['due'], UTC):%H:%M:%S.%f} {r['end'] - r['due']:.2f} s {r['by']}"
            for r in sorted(late, key=lambda r: float(r["due"]))
        )

    def releases(self, after: float) -> set[str]:
        """Which releases have answered requests that were due after a moment, of those that no cache answers."""
        return {
            record["release"]
            for record in self.records
            if record["due"] >= after and record["kind"] in ("session", "write")
        }


class Stage:
    """A running fleet, the trees of its releases, and an author whose requests never stop."""

    def __init__(self, fleet: LiveFleet, api_key: str, folder: Path) -> None:
        self.fleet, self.api_key, self.folder = fleet, api_key, folder
        # The last one that was deployed to the end.
        self.serving = GOOD
        with visitor(fleet) as client:
            self.articles = [
                article["id"] for article in client.get("/api/v1/articles", params={"limit": 50}).json()["articles"]
            ]
            self.cookie = log_in(client, fleet.secrets["app_admin_password"])

    def command(self, playbook: str, variant: Variant | None = None, **extra: Any) -> list[str]:
        """The command line of a playbook of this fleet, with a variant's tree as the application's source."""
        if variant:
            root = self.folder / variant.name
            extra["app_source_dir"] = str(root if root.exists() else write(variant, self.folder))
        return command(self.fleet, f"playbooks/{playbook}.yml", "--extra-vars", json.dumps(extra))

    def run(self, playbook: str, variant: Variant | None = None, **extra: Any) -> Run:
        """Run a playbook to its end."""
        began = time.time()
        done = subprocess.run(
            self.command(playbook, variant, **extra),
            cwd=ROOT, env=self.fleet.fleet.environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        return Run(done.returncode, done.stdout + done.stderr, began, time.time())

    def deploy(self, variant: Variant, **extra: Any) -> Run:
        """Deploy a variant, with a short watch."""
        run = self.run("deploy", variant, **({"deploy_canary_seconds": 10} | extra))
        self.serving = self.serving if run.code else variant
        return run

    def reset(self) -> None:
        """Take the schema back to what the project's own source knows."""
        self.fleet.sql(self.fleet.primary, UNDO)

    def kill(self, at: str, host: str, variant: Variant) -> None:
        """Begin to deploy a variant, and kill the control node's side of it within a task, or as soon as a host has done it."""
        kill(self.fleet, self.command("deploy", variant, deploy_canary_seconds=10), at, host)

    @contextmanager
    def load(self) -> Iterator[Traffic]:
        """Send requests while entered; the traffic has their records afterwards."""
        plan = Plan(
            f"https://{self.fleet.vip}",
            f"deploy-{uuid4().hex[:8]}",
            self.api_key,
            self.cookie,
            self.articles,
            RATES,
            LONGEST_LOAD,
        )
        traffic = Traffic()
        with running(plan, self.folder / f"{plan.run}.jsonl") as records:
            yield traffic
            time.sleep(AFTER)
        traffic.records += records

    @cached_property
    def steady(self) -> float:
        """The p99 of reads while nothing is done, in seconds."""
        with self.load() as traffic:
            time.sleep(STEADY)
        return traffic.p99()

    @property
    def hosts(self) -> list[Host]:
        """Those that releases are brought to."""
        return list({host.name: host for group in ("app", "workers") for host in self.fleet.group(group)}.values())

    def running(self, *hosts: Host) -> set[str]:
        """The releases that hosts, all by default, would start and that their services were started with; one where all is well."""
        command = RUNNING.format(name=self.fleet.app_name)
        return {
            Path(line).name for host in hosts or self.hosts for line in self.fleet.run(host, command).stdout.split()
        }

    def settings(self) -> dict[str, str]:
        """By host, the checksums of the settings that its services would start with."""
        command = f"cd / && sha1sum etc/{self.fleet.app_name}/* $(ls etc/systemd/system/app.s*)"
        return {host.name: self.fleet.run(host, command).stdout for host in self.hosts}

    def schema(self) -> str:
        """The revision of the schema, and the columns that migrations of the tests add or take."""
        columns = "select array_agg(column_name order by column_name) from information_schema.columns where table_name = 'article'"
        return self.fleet.sql(self.fleet.primary, f"select version_num, ({columns}) from alembic_version")

    def drained(self) -> set[str]:
        """What is drained on any load balancer."""
        notes = [
            self.fleet.run(host, "ls /var/lib/flaskfleet/drain 2>/dev/null || true").stdout
            for host in self.fleet.group("loadbalancers")
        ]
        return set(" ".join(notes).split())

    def processed(self, since: float) -> list[int]:
        """The article of each task that a worker has done since a moment, as often as it was done."""
        command = f"journalctl --quiet --output=cat --unit=celery-worker --since=@{int(since)} --grep='article processed' || true"
        lines = [
            line for host in self.fleet.group("workers") for line in self.fleet.run(host, command).stdout.splitlines()
        ]
        return [json.loads(line)["article"] for line in lines if line.startswith("{")]

    def open_tasks(self) -> str:
        """How many articles of this load's kind wait for their task, as text."""
        query = "select count(*) from article where title like 'deploy-%' and processed_at is null"
        return self.fleet.sql(self.fleet.primary, query)
