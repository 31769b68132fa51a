"""No value of the vault is where others than its service can read it: SECURITY.md has the places."""

from concurrent.futures import ThreadPoolExecutor

from tests.support.live.fleet import LiveFleet
from tests.support.live.secrets import search

# What each user can read: files, and the environment of its own processes. Others can read nothing.
READERS: dict[str, set[str]] = {
    "grafana": {"grafana_admin_password"},
    "news-app": {"app_secret_key", "postgres_app_password", "redis_app_password"},
    "postgres": {
        "pgbackrest_cipher_pass",
        *(f"postgres_{name}_password" for name in ("superuser", "replication", "rewind", "restapi")),
    },
    "prometheus": {"postgres_monitoring_password", "redis_monitoring_password"},
    "redis": {"redis_replication_password", "redis_sentinel_password"},
}


def test_no_secret_is_in_a_log_a_statistic_a_process_list_or_a_file_of_others(fleet: LiveFleet) -> None:
    with ThreadPoolExecutor() as pool:
        results = dict(zip(fleet.hosts, pool.map(lambda host: search(fleet, host), fleet.hosts.values()), strict=True))
    for name, found in results.items():
        assert found.hits == set(), name
        assert {hit for hit in found.readable if hit[1] not in READERS.get(hit[0], set())} == set(), name
