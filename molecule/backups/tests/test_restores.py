"""Restores that are interrupted, refused or begin with empty hosts. test_mistakes.py has those that people need."""

from datetime import datetime, timedelta

import pytest

from tests.support.drills.playbooks import kill, play, recreate_host
from tests.support.drills.restores import in_place, newest
from tests.support.drills.story import ROWS, Story, beside
from tests.support.live.commands import Command
from tests.support.live.fleet import LiveFleet

pytestmark = pytest.mark.usefixtures("served")

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


def test_a_restore_does_not_begin_with_a_backup_that_another_restore_has_undone(
    fleet: LiveFleet, story: Story, command: Command
) -> None:
    assert command("backup").returncode == 0
    undone = newest(command)["label"]
    play(fleet, *in_place(fleet, story.target)).succeeded()
    story.went_back()
    own = newest(command)
    assert own["label"] != undone
    # A time before that backup ended. By itself, pgBackRest begins with the undone one, and fails.
    moment = datetime.fromisoformat(own["stop"]) - timedelta(seconds=1)
    with beside(command, f"{moment:%Y-%m-%d %H:%M:%S}+00") as shown:
        assert shown(f"select count(*) from article where title like '{story.before}-%'") == str(ROWS)
        assert shown(f"select count(*) from article where title like '{story.after}-%'") == "0"


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
