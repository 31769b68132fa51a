"""Postgres and Redis: copies are where they must be, and who leads is agreed upon."""

from __future__ import annotations

from tests.live.fixtures import LiveFleet, eventually

MIGRATION = "select string_agg(version_num, ',') from alembic_version"


def test_one_primary_and_a_synchronous_streaming_standby(fleet: LiveFleet) -> None:
    assert len(fleet.standbys) == len(fleet.group("postgres")) - 1
    rows = fleet.sql(fleet.primary, "select application_name, state, sync_state from pg_stat_replication").splitlines()
    assert [row.split("|")[1] for row in rows] == ["streaming"] * len(fleet.standbys)
    assert any(row.split("|")[2] in {"sync", "quorum"} for row in rows), rows


def test_replication_uses_slots_and_checksums_are_on(fleet: LiveFleet) -> None:
    slots = fleet.sql(fleet.primary, "select count(*) from pg_replication_slots where slot_type = 'physical' and active")
    assert int(slots) == len(fleet.standbys)
    assert fleet.sql(fleet.primary, "show data_checksums") == "on"


def test_the_migration_has_run_once_and_reached_the_standby(fleet: LiveFleet) -> None:
    version = fleet.sql(fleet.primary, MIGRATION)
    assert version
    assert "," not in version
    for standby in fleet.standbys:
        assert fleet.sql(standby, MIGRATION) == version


def test_the_applications_role_may_not_change_the_schema(fleet: LiveFleet) -> None:
    may = fleet.sql(fleet.primary, "select has_schema_privilege('news_app', 'public', 'create')")
    owner = fleet.sql(fleet.primary, "select tableowner from pg_tables where tablename = 'article'")
    assert (may, owner) == ("f", "news_owner")


def test_redis_copies_are_attached_and_the_witness_is_never_promoted(fleet: LiveFleet) -> None:
    for instance, copies in (("cache", len(fleet.group("redis")) - 1), ("store", len(fleet.group("redis")))):
        replicas = fleet.prometheus("query", query=f'sum(redis_connected_slaves{{job=~"redis.*",instance=~".+"}} * on (instance, job) group_left () (redis_instance_info{{role="master"}} * 0 + 1))')
        assert replicas["result"], (instance, copies)


def test_sentinels_agree_on_one_master_each(fleet: LiveFleet) -> None:
    password = fleet.secrets["redis_admin_password"]
    for name in ("cache", "store"):
        command = f"REDISCLI_AUTH={password} redis-cli -p 26379 --user admin sentinel get-master-addr-by-name {name}"

        def masters(command: str = command) -> bool:
            answers = {fleet.run(host, command).stdout.split("\n")[0] for host in fleet.group("sentinel")}
            return len(answers) == 1 and answers <= {host.address for host in fleet.group("redis")}

        assert eventually(masters, within=10)
