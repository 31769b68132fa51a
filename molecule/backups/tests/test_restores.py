"""The database goes back to a point in time. What counts is which rows are there afterwards, and their text."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from uuid import uuid4

import pytest

from tests.support.drills.background import plan_load, running
from tests.support.drills.playbooks import Run, kill, play, recreate_host
from tests.support.drills.story import ROWS, Story, beside
from tests.support.drills.verdict import RESULTS, Record, succeeded
from tests.support.live.clients import ARTICLES, visitor
from tests.support.live.commands import Command
from tests.support.live.fleet import LiveFleet

RATES = {"read": 4.0, "write": 2.0}
MAX_LOAD_SECONDS = 900.0
PLAYBOOK = "playbooks/restore.yml"
# Without those that Postgres computes.
WRITABLE = (
    "select string_agg(quote_ident(column_name), ',' order by ordinal_position) from information_schema.columns"
    " where table_name = 'article' and is_generated = 'NEVER'"
)


@pytest.fixture(autouse=True)
def served(fleet: LiveFleet) -> Iterator[None]:
    """After each test, users see the site, and nothing is left of the restore but old data."""
    yield
    with visitor(fleet) as client:
        assert client.get(ARTICLES).status_code == 200
    for host in fleet.group("postgres"):
        assert fleet.run(host, "ls /var/lib/flaskfleet/restore.json", check=False).returncode != 0
        assert fleet.run(host, "systemctl is-enabled patroni").stdout.strip() == "enabled"
        fleet.run(host, "rm -rf /var/lib/postgresql/*/main.before-*")


def in_place(fleet: LiveFleet, target: str, **options: object) -> list[str]:
    """Return the arguments of a restore in place."""
    name = fleet.fleet.name
    given = {"restore_to": target, "restore_in_place": True, "restore_confirm": name, **options}
    return [PLAYBOOK, "--extra-vars", json.dumps(given)]


def seconds_without(records: list[Record], kind: str) -> float:
    """Return the longest time between two requests of a kind that succeeded."""
    ends = sorted(float(record["end"]) for record in records if record["kind"] == kind and succeeded(record))
    return max(later - earlier for earlier, later in pairwise(ends))


def under_load(fleet: LiveFleet, api_key: str, story: Story) -> tuple[Run, list[Record]]:
    """Restore in place while people read and write. Check which of their writes are there afterwards."""
    plan = replace(plan_load(fleet, api_key, RATES, MAX_LOAD_SECONDS), run=f"load-{uuid4().hex[:8]}")
    with running(plan, RESULTS) as records:
        time.sleep(5)
        run = play(fleet, *in_place(fleet, story.target))
        time.sleep(5)
    run.succeeded()
    titles = fleet.sql(fleet.primary, f"select title from article where title like '{plan.run}-%'").splitlines()
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


def test_the_whole_cluster_goes_back_under_load(fleet: LiveFleet, api_key: str, story: Story) -> None:
    run, records = under_load(fleet, api_key, story)
    story.went_back()
    print(
        f"\nin place: {run.seconds:.0f} s, without writes {seconds_without(records, 'write'):.1f} s, "
        f"without reads {seconds_without(records, 'read'):.1f} s"
    )
    assert "The database is that of" in run.output
    assert "The data of before are in" in run.output
    kept = "ls -d /var/lib/postgresql/*/main.before-*"
    assert any(fleet.run(host, kept, check=False).returncode == 0 for host in fleet.group("postgres"))


# Nothing is promoted, promoted, Patroni starts, the others follow.
STEPS = [
    "Stop it on the primary",
    "Restore the files",
    "Write a checkpoint",
    "Delete Patroni's keys",
    "Wait until it streams",
]


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupted_restore_is_completed_by_the_same_command(fleet: LiveFleet, story: Story, step: str) -> None:
    restore = in_place(fleet, story.target)
    kill(fleet, restore, at=step)
    if step != STEPS[0]:
        other = play(fleet, *in_place(fleet, "2026-01-01 00:00:00+00"))
        assert other.code != 0
        assert "Nothing was changed." in other.output
        site = play(fleet, "site.yml", "--tags", "postgres")
        assert site.code != 0
        assert "was interrupted on" in site.output
    play(fleet, *restore).succeeded()
    story.went_back()


def test_both_database_hosts_lose_their_data_and_come_back(fleet: LiveFleet, story: Story) -> None:
    story.archive()
    for host in [*fleet.standbys, fleet.primary]:
        fleet.run(host, "systemctl stop patroni; rm -rf /var/lib/postgresql/*/main")
    for host in fleet.group("postgres"):
        fleet.run(host, "systemctl start patroni")
    play(fleet, *in_place(fleet, story.target)).succeeded()
    story.went_back()


def test_a_table_is_copied_back_while_the_site_serves(fleet: LiveFleet, story: Story, command: Command) -> None:
    story.write("mistake")
    fleet.sql(fleet.primary, f"delete from article where title like '{story.before}-%'")
    assert story.digest(story.before) == "0|"
    with beside(command, story.target) as shown:
        query = "select {} from article where title like '{}-%'"
        counts = [shown(query.format("count(*)", title)) for title in (story.before, story.after, "mistake")]
        assert counts == [str(ROWS), "0", "0"]
        columns = fleet.sql(fleet.primary, WRITABLE)
        rows = f"\\copy ({query.format(columns, story.before)}) to stdout"
        given = command("psql", "--beside", "--", "-c", rows).stdout
        copied = command("psql", "--", "-c", f"\\copy article ({columns}) from stdin", given=given)
        assert copied.returncode == 0, copied.stderr
        assert story.digest(story.before) == story.expected
        assert story.digest(story.after).startswith(f"{ROWS}|")
    fleet.sql(fleet.primary, "delete from article where title like 'mistake-%'")


REFUSALS = [
    ({"restore_confirm": ""}, "loses everything that was written after"),
    ({"restore_to": "2100-01-01 00:00:00+00"}, "is in the future"),
    ({"restore_to": "2026-01-01 00:00:00+00"}, "is before the end of the oldest backup"),
    ({"restore_to": "2026-11-29 03:00:00"}, "has no time zone"),
    ({"restore_wal_mb": 100_000_000}, "Free space there"),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSALS, ids=[sentence for _, sentence in REFUSALS])
def test_a_refusal_comes_before_anything_is_stopped(
    fleet: LiveFleet, story: Story, options: dict[str, object], sentence: str
) -> None:
    primary = fleet.primary
    refused = play(fleet, *in_place(fleet, story.target, **options))
    assert refused.code != 0
    assert sentence in refused.output
    assert "Nothing was changed." in refused.output
    assert (fleet.primary, story.digest(story.after)[:3]) == (primary, f"{ROWS}|")


def test_a_fleet_with_data_is_not_built_from_the_repository(fleet: LiveFleet, story: Story) -> None:
    refused = play(fleet, "site.yml", "--tags", "postgres", "-e", "restore_from=latest")
    assert refused.code != 0
    assert "has a database in" in refused.output
    assert story.digest(story.before) == story.expected


def test_empty_database_hosts_are_built_from_the_repository(fleet: LiveFleet, story: Story) -> None:
    story.archive()
    (monitoring,) = fleet.group("monitoring")
    for host in fleet.group("postgres"):
        recreate_host(fleet, host)
    # The last member of etcd has no majority, and what it knows is about the lost hosts.
    fleet.run(monitoring, "systemctl stop etcd; mv /var/lib/etcd/fleet /var/lib/etcd.lost-$(date +%s)")
    play(fleet, "site.yml", "-e", "restore_from=latest").succeeded()
    assert story.digest(story.before) == story.expected
    assert story.digest(story.after).startswith(f"{ROWS}|")
    story.write("built")
    play(fleet, *in_place(fleet, story.target)).succeeded()
    story.went_back()
