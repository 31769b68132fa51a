"""A standby that was away for too long comes back by itself, with a slot that keeps its WAL."""

from collections.abc import Iterator

import pytest

from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import eventually

STATUS = "select wal_status from pg_replication_slots where slot_name = '{}'"
SIZE = "show max_slot_wal_keep_size"


@pytest.fixture
def small_slots(runner: DrillRunner) -> Iterator[None]:
    """Let a slot keep 64 MB. Afterwards it may keep as much as before."""
    runner.wait_until_redundant(120)
    primary = runner.leader("postgres")
    before = runner.fleet.sql(primary, SIZE)
    runner.fleet.sql(primary, "alter system set max_slot_wal_keep_size = '64MB'")
    runner.fleet.sql(primary, "select pg_reload_conf()")
    assert eventually(lambda: runner.fleet.sql(primary, SIZE) == "64MB", within=60)
    try:
        yield
    finally:
        runner.fleet.sql(primary, "alter system reset max_slot_wal_keep_size")
        runner.fleet.sql(primary, "select pg_reload_conf()")
        assert eventually(lambda: runner.fleet.sql(primary, SIZE) == before, within=60)


@pytest.mark.usefixtures("small_slots")
def test_a_standby_whose_slot_is_lost_comes_back_by_itself(runner: DrillRunner) -> None:
    primary, standby = runner.leader("postgres"), runner.standby
    runner.fleet.run(standby, "systemctl stop patroni")
    # Otherwise Patroni's new slot would be there before the standby needs it.
    runner.fleet.run(primary, "systemctl stop lost-slot.timer")
    # More than wal_keep_size (256 MB), which keeps WAL without a slot.
    for _ in range(30):
        runner.fleet.sql(primary, "select pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()")
    runner.fleet.sql(primary, "checkpoint")
    assert runner.fleet.sql(primary, STATUS.format(standby.name)) == "lost"
    runner.fleet.run(standby, "systemctl start patroni")
    runner.fleet.run(primary, "systemctl start lost-slot.timer")
    assert eventually(lambda: runner.fleet.sql(primary, STATUS.format(standby.name)) == "reserved", within=300)
    runner.wait_until_redundant(120)
