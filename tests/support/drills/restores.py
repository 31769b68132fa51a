"""Restores of the database in place, and which rows they leave."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from uuid import uuid4

from tests.support.drills.background import plan_load, running
from tests.support.drills.load import Plan
from tests.support.drills.playbooks import Run, play
from tests.support.drills.story import Story
from tests.support.drills.verdict import RESULTS, Record, succeeded
from tests.support.live.clients import ARTICLES, visitor
from tests.support.live.commands import Command
from tests.support.live.fleet import LiveFleet

RATES = {"read": 4.0, "write": 2.0}
MAX_LOAD_SECONDS = 900.0
PLAYBOOK = "playbooks/restore.yml"


@contextmanager
def leaves_nothing(fleet: LiveFleet) -> Iterator[None]:
    """On exit, check that users see the site, and that nothing is left of a restore. Remove the old data."""
    yield
    with visitor(fleet) as client:
        assert client.get(ARTICLES).status_code == 200
    for host in fleet.group("postgres"):
        assert fleet.run(host, "ls /var/lib/flaskfleet/restore.json", check=False).returncode != 0
        assert fleet.run(host, "systemctl is-enabled patroni").stdout.strip() == "enabled"
        fleet.run(host, "rm -rf /var/lib/postgresql/*/main.before-*")


def newest(command: Command) -> dict[str, str]:
    """Return the newest backup."""
    found: dict[str, str] = json.loads(command("backups", "--json").stdout)["backups"][0]
    return found


def in_place(fleet: LiveFleet, target: str, **options: object) -> list[str]:
    """Return the arguments of a restore in place."""
    name = fleet.fleet.name
    given = {"restore_to": target, "restore_in_place": True, "restore_confirm": name, **options}
    return [PLAYBOOK, "--extra-vars", json.dumps(given)]


def seconds_without(records: list[Record], kind: str) -> float:
    """Return the longest time between two requests of a kind that succeeded."""
    ends = sorted(float(record["end"]) for record in records if record["kind"] == kind and succeeded(record))
    return max(later - earlier for earlier, later in pairwise(ends))


def plan(fleet: LiveFleet, api_key: str) -> Plan:
    """Return the plan of a load that lasts as long as any restore."""
    return replace(plan_load(fleet, api_key, RATES, MAX_LOAD_SECONDS), run=f"load-{uuid4().hex[:8]}")


def under_load(fleet: LiveFleet, load: Plan, story: Story) -> tuple[Run, list[Record]]:
    """Restore in place while people read and write. Check which of their writes are there afterwards."""
    with running(load, RESULTS) as records:
        time.sleep(5)
        run = play(fleet, *in_place(fleet, story.target))
        time.sleep(5)
    run.succeeded()
    titles = fleet.sql(fleet.primary, f"select title from article where title like '{load.run}-%'").splitlines()
    stored = {int(title.rpartition("-")[2]) for title in titles}
    acknowledged = [r for r in records if r["kind"] in ("write", "settle") and r["status"] == 201]
    # The load began after the target, so what was acknowledged before the restore is gone, and the rest is there.
    lost = {r["number"] for r in acknowledged if r["end"] < run.began} - {
        r["number"] for r in acknowledged if r["end"] > run.began
    }
    assert lost
    assert not lost & stored
    assert {r["number"] for r in acknowledged if r["due"] > run.ended} <= stored
    return run, records
