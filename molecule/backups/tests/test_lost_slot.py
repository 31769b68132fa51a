"""With an archive, a standby whose replication slot was lost comes back by itself, without a copy of the data."""

from collections.abc import Iterator

import pytest

from tests.support.live.fleet import LiveFleet, eventually

STREAMING = "select state from pg_stat_replication where application_name = '{}'"
REASON = "select invalidation_reason from pg_replication_slots where slot_name = '{}'"
STATUS = "select wal_status from pg_replication_slots where slot_name = '{}'"


@pytest.fixture
def small_slots(fleet: LiveFleet) -> Iterator[None]:
    """Let a slot keep 64 MB. Afterwards it may keep as much as before."""
    primary = fleet.primary
    fleet.sql(primary, "alter system set max_slot_wal_keep_size = '64MB'")
    fleet.sql(primary, "select pg_reload_conf()")
    try:
        yield
    finally:
        fleet.sql(primary, "alter system reset max_slot_wal_keep_size")
        fleet.sql(primary, "select pg_reload_conf()")


@pytest.mark.usefixtures("small_slots")
def test_a_standby_whose_slot_is_lost_reads_the_archive(fleet: LiveFleet) -> None:
    primary, (standby,) = fleet.primary, fleet.standbys
    begin = fleet.run(standby, "date +%s").stdout.strip()
    fleet.run(primary, "systemctl stop lost-slot.timer")
    fleet.run(standby, "systemctl stop patroni")
    # More than wal_keep_size (256 MB), which keeps WAL without a slot.
    for _ in range(30):
        fleet.sql(primary, "select pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()")
    fleet.sql(primary, "checkpoint")
    assert fleet.sql(primary, STATUS.format(standby.name)) == "lost"
    fleet.run(standby, "systemctl start patroni")

    def streams() -> bool:
        return fleet.sql(primary, STREAMING.format(standby.name)) == "streaming"

    # It uses the lost slot again, which keeps no WAL and would stay lost for ever.
    assert eventually(streams, within=300, every=1)
    assert fleet.sql(primary, REASON.format(standby.name)) == "wal_removed"
    fleet.run(primary, "systemctl start lost-slot.timer")
    assert eventually(lambda: fleet.sql(primary, REASON.format(standby.name)) == "", within=60, every=1)
    assert eventually(streams, within=60, every=1)
    assert eventually(lambda: fleet.sql(primary, STATUS.format(standby.name)) == "reserved", within=60, every=1)
    log = fleet.run(standby, f"journalctl -q -u lost-slot -u patroni --since=@{begin}").stdout
    assert "copied again" not in log
    assert "replica has been created" not in log
