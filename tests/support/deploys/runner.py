"""Deploys releases to a fleet under load, and reports the state of the fleet and the outcome of the requests."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.deploys.variants import GOOD, UNDO, Variant, write
from tests.support.drills.background import plan_load, running
from tests.support.drills.playbooks import Run, kill, play
from tests.support.drills.verdict import Record
from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host

RATES = {"read": 20.0, "write": 4.0, "session": 2.0, "slow": 0.5, "door": 10.0}
# Seconds after which a load ends by itself, so that it cannot outlive a failed test.
MAX_LOAD_SECONDS = 600.0
PLAYBOOK_TIMEOUT = 400.0
# Seconds of load without a deploy, as the baseline.
STEADY = 30.0
# Seconds of load after the deploy.
AFTER = 2.0
# Prints the release that the next start would use, and the releases in which the services run.
RUNNING = """
readlink /opt/{name}/current
for unit in app celery-worker celery-beat; do
    pid=$(systemctl show --property=MainPID --value $unit)
    [ "$pid" = 0 ] || readlink /proc/$pid/cwd | sed 's,/source$,,'
done
"""


@dataclass
class Traffic:
    """The requests of a load."""

    records: list[Record]

    @property
    def failed(self) -> list[Record]:
        """The failed requests."""
        return [record for record in self.records if not 200 <= record["status"] < 300]

    def p99(self, begin: float = 0, end: float = inf, kind: str = "read") -> float:
        """Return the 99th percentile of the latency, in seconds, of the requests that were due in this period."""
        seconds = sorted(r["end"] - r["due"] for r in self.records if r["kind"] == kind and begin <= r["due"] < end)
        return float(seconds[int(len(seconds) * 0.99)])

    def slowest(self, begin: float = 0, end: float = inf) -> str:
        """Format the ten slowest reads: when each was due, its latency and its host."""
        reads = (r for r in self.records if r["kind"] == "read" and begin <= r["due"] < end)
        slowest = sorted(reads, key=lambda r: float(r["due"] - r["end"]))[:10]
        return ", ".join(
            f"{datetime.fromtimestamp(r['due'], UTC):%H:%M:%S.%f} {r['end'] - r['due']:.2f} s {r['by']}"
            for r in sorted(slowest, key=lambda r: float(r["due"]))
        )

    def releases(self, after: float) -> set[str]:
        """Return the releases that answered requests after a time. Only requests that are never cached count."""
        uncached = [record for record in self.records if record["kind"] in ("session", "write")]
        return {record["release"] for record in uncached if record["due"] >= after}


class DeployRunner:
    """A running fleet with the source trees of test releases and a load."""

    def __init__(self, fleet: LiveFleet, api_key: str, folder: Path) -> None:
        self.fleet, self.folder = fleet, folder
        # The variant that was last deployed successfully.
        self.serving = GOOD
        self.plan = plan_load(fleet, api_key, RATES, MAX_LOAD_SECONDS)

    def arguments(self, playbook: str, variant: Variant | None = None, **extra: Any) -> list[str]:
        """Return the arguments of a playbook, with a variant's tree as the application's source."""
        if variant:
            root = self.folder / variant.name
            extra["app_source"] = str(root if root.exists() else write(variant, self.folder))
        return [f"playbooks/{playbook}.yml", "--extra-vars", json.dumps(extra)]

    def run(self, playbook: str, variant: Variant | None = None, **extra: Any) -> Run:
        """Run a playbook. If it succeeds, it has left no host drained."""
        run = play(self.fleet, *self.arguments(playbook, variant, **extra), timeout=PLAYBOOK_TIMEOUT)
        assert run.code != 0 or self.drained() == set(), run.text[-3000:]
        return run

    def deploy(self, variant: Variant, **extra: Any) -> Run:
        """Deploy a variant with a short canary phase."""
        run = self.run("deploy", variant, **({"deploy_canary_seconds": 10} | extra))
        self.serving = self.serving if run.code else variant
        return run

    def reset(self) -> None:
        """Reset the schema to the last revision of the project's own source."""
        self.fleet.sql(self.fleet.primary, UNDO)

    def kill(self, at: str, host: str, variant: Variant) -> None:
        """Start to deploy a variant, and kill ansible-playbook during a task, or as soon as a host has finished it."""
        kill(self.fleet, self.arguments("deploy", variant, deploy_canary_seconds=10), at, host)

    @contextmanager
    def load(self) -> Iterator[Traffic]:
        """Send requests inside the context. Afterwards the traffic has their records."""
        with running(replace(self.plan, run=f"deploy-{uuid4().hex[:8]}"), self.folder) as records:
            yield Traffic(records)
            time.sleep(AFTER)

    @cached_property
    def steady(self) -> float:
        """The p99 of reads without a deploy, in seconds."""
        with self.load() as traffic:
            time.sleep(STEADY)
        return traffic.p99()

    @property
    def hosts(self) -> list[Host]:
        """The hosts that get releases."""
        return list({host.name: host for group in ("app", "workers") for host in self.fleet.group(group)}.values())

    def running(self, *hosts: Host) -> set[str]:
        """Return the releases that hosts run or would start, by default all hosts. Normally it is one."""
        command = RUNNING.format(name=self.fleet.app_name)
        return {
            Path(line).name for host in hosts or self.hosts for line in self.fleet.run(host, command).stdout.split()
        }

    def settings(self) -> dict[str, str]:
        """Return the checksums of each host's settings."""
        command = f"cd / && sha1sum etc/{self.fleet.app_name}/* $(ls etc/systemd/system/app.s*)"
        return {host.name: self.fleet.run(host, command).stdout for host in self.hosts}

    def schema(self) -> str:
        """Return the revision of the schema and the columns of table `article`, which test migrations change."""
        columns = "array_agg(column_name order by column_name) from information_schema.columns"
        query = f"select version_num, (select {columns} where table_name = 'article') from alembic_version"
        return self.fleet.sql(self.fleet.primary, query)

    def drained(self) -> set[str]:
        """Return the hosts that are drained on any load balancer."""
        balancers = self.fleet.group("loadbalancers")
        notes = [self.fleet.run(host, "ls /var/lib/flaskfleet/drain || true").stdout for host in balancers]
        return set(" ".join(notes).split())

    def processed(self, since: float) -> list[int]:
        """Return the article of each task that a worker has done since a time.

        An article appears once for each task.
        """
        unit = f"--unit=celery-worker --since=@{int(since)} --grep='article processed'"
        command = f"journalctl --quiet --output=cat {unit} || true"
        output = [self.fleet.run(host, command).stdout for host in self.fleet.group("workers")]
        return [json.loads(line)["article"] for line in "".join(output).splitlines() if line.startswith("{")]

    def open_tasks(self) -> str:
        """Return the number of the load's articles whose task is pending, as text."""
        query = "select count(*) from article where title like 'deploy-%' and processed_at is null"
        return self.fleet.sql(self.fleet.primary, query)
