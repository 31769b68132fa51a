"""A standby that was away for too long is copied again, with a slot that keeps its WAL."""

from collections.abc import Iterator

import pytest

from tests.support.drills.playbooks import play
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import eventually

PATRONICTL = "patronictl -c /etc/patroni/config.yml"
STATUS = "select wal_status from pg_replication_slots where slot_name = '{}'"


@pytest.fixture
def small_slots(runner: DrillRunner) -> Iterator[None]:
    """Let a slot keep 64 MB. Afterwards it may keep as much as before."""
    primary = runner.leader("postgres")
    setting = "postgresql.parameters.max_slot_wal_keep_size"
    before = runner.fleet.sql(primary, "show max_slot_wal_keep_size")
    runner.fleet.run(primary, f"{PATRONICTL} edit-config --force --set {setting}=64MB")
    assert eventually(lambda: runner.fleet.sql(primary, "show max_slot_wal_keep_size") == "64MB", within=60)
    try:
        yield
    finally:
        runner.fleet.run(primary, f"{PATRONICTL} edit-config --force --set {setting}={before}")


@pytest.mark.usefixtures("small_slots")
def test_a_standby_whose_slot_is_lost_gets_a_new_slot(runner: DrillRunner) -> None:
    runner.wait_until_redundant(120)
    primary, standby = runner.leader("postgres"), runner.standby
    runner.fleet.run(standby, "systemctl stop patroni")
    # More than wal_keep_size (256 MB), which keeps WAL without a slot.
    for _ in range(30):
        runner.fleet.sql(primary, "select pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()")
    runner.fleet.sql(primary, "checkpoint")
    assert runner.fleet.sql(primary, STATUS.format(standby.name)) == "lost"
    runner.fleet.run(standby, "systemctl start patroni")
    play(runner.fleet, "playbooks/reinit.yml", "-e", f"reinit_host={standby.name}").succeeded()
    assert eventually(lambda: runner.fleet.sql(primary, STATUS.format(standby.name)) == "reserved", within=60)
    runner.wait_until_redundant(120)
