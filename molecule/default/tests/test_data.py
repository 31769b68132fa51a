"""Postgres and Redis: replication is complete, and all members agree on the leaders."""

from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import Host

MIGRATION = "select string_agg(version_num, ',') from alembic_version"
# etcd's answer to the renewal of a lease when it stops.
READ_ERROR = """
import runpy
from patroni.dcs import etcd3
runpy.run_path("/usr/local/sbin/patroni-etcd-errors")["understand_errors"](etcd3)
error = etcd3._raise_for_data({"error": {"code": 14, "message": "error reading from server: EOF"}})
print(type(error).__name__)
"""


def test_there_is_one_primary_and_a_synchronous_standby(fleet: LiveFleet) -> None:
    assert len(fleet.standbys) == len(fleet.group("postgres")) - 1
    rows = fleet.sql(fleet.primary, "select application_name, state, sync_state from pg_stat_replication").splitlines()
    assert [row.split("|")[1] for row in rows] == ["streaming"] * len(fleet.standbys)
    assert any(row.split("|")[2] in {"sync", "quorum"} for row in rows), rows


def test_replication_uses_slots_and_checksums_are_on(fleet: LiveFleet) -> None:
    slots = fleet.sql(
        fleet.primary, "select count(*) from pg_replication_slots where slot_type = 'physical' and active"
    )
    assert int(slots) == len(fleet.standbys)
    assert fleet.sql(fleet.primary, "show data_checksums") == "on"


def test_patroni_understands_an_error_of_etcd_in_the_renewal_of_its_lease(fleet: LiveFleet) -> None:
    for host in fleet.group("postgres"):
        assert fleet.run(host, f"python3 -c '{READ_ERROR}'").stdout.strip() == "Unavailable"
        running = fleet.run(host, "tr '\\0' ' ' < /proc/$(systemctl show -P MainPID patroni)/cmdline").stdout
        assert "/usr/local/sbin/patroni-etcd-errors" in running


def test_the_migration_has_run_once_and_reached_the_standbys(fleet: LiveFleet) -> None:
    version = fleet.sql(fleet.primary, MIGRATION)
    assert version
    assert "," not in version
    for standby in fleet.standbys:
        assert fleet.sql(standby, MIGRATION) == version


def test_the_applications_role_cannot_change_the_schema(fleet: LiveFleet) -> None:
    can_create = fleet.sql(fleet.primary, "select has_schema_privilege('news_app', 'public', 'create')")
    owner = fleet.sql(fleet.primary, "select tableowner from pg_tables where tablename = 'article'")
    assert (can_create, owner) == ("f", "news_owner")


def test_no_recorded_statement_contains_a_password(fleet: LiveFleet) -> None:
    for host in fleet.group("postgres"):
        assert fleet.sql(host, "select count(*) from pg_stat_statements") != "0"
        found = "select query from pg_stat_statements where query ~* '^\\s*(create|alter)\\s+(user|role).*password'"
        assert fleet.sql(host, found) == "", host.name
    fleet.sql(fleet.primary, "create role planted password 'planted'; drop role planted")
    assert fleet.sql(fleet.primary, "select query from pg_stat_statements where query ~ 'planted'") == ""
    stored = fleet.sql(fleet.primary, "select count(*) from pg_authid where rolpassword like 'SCRAM-SHA-256$%'")
    assert int(stored) == 6


def redis(fleet: LiveFleet, host: Host, port: int, command: str) -> str:
    """Run a redis-cli command on `host`."""
    log_in = "read -r REDISCLI_AUTH; export REDISCLI_AUTH"
    query = f"{log_in}; redis-cli -h {host.address} -p {port} --user admin {command}"
    return fleet.run(host, query, given=f"{fleet.secrets['redis_admin_password']}\n").stdout


def replication(fleet: LiveFleet, host: Host, port: int) -> dict[str, str]:
    """Return `INFO replication` of an instance."""
    lines = redis(fleet, host, port, "info replication").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def test_redis_replicas_are_linked_and_the_witness_is_never_promoted(fleet: LiveFleet) -> None:
    redis_hosts = fleet.group("redis")
    witnesses = [host for host in fleet.group("sentinel") if host not in redis_hosts]
    for port, hosts in ((6379, redis_hosts), (6380, [*redis_hosts, *witnesses])):
        masters = [host for host in hosts if replication(fleet, host, port)["role"] == "master"]
        assert len(masters) == 1
        assert masters[0] in redis_hosts
        assert int(replication(fleet, masters[0], port)["connected_slaves"]) == len(hosts) - 1
    for witness in witnesses:
        assert redis(fleet, witness, 6380, "config get replica-priority").split() == ["replica-priority", "0"]


def test_the_cache_evicts_and_the_store_never_does(fleet: LiveFleet) -> None:
    host = fleet.group("redis")[0]
    assert redis(fleet, host, 6379, "config get maxmemory-policy").split()[1].endswith("-lru")
    assert redis(fleet, host, 6380, "config get maxmemory-policy").split()[1] == "noeviction"
    assert redis(fleet, host, 6380, "config get appendonly").split()[1] == "yes"


def test_sentinels_agree_on_one_master_each(fleet: LiveFleet) -> None:
    for name in ("cache", "store"):
        command = f"sentinel get-master-addr-by-name {name}"

        def masters(command: str = command) -> bool:
            answers = {redis(fleet, host, 26379, command).split("\n")[0] for host in fleet.group("sentinel")}
            return len(answers) == 1 and answers <= {host.address for host in fleet.group("redis")}

        assert eventually(masters, within=10)
