"""Prometheus scrapes every target, its rules are loaded, and every panel of every dashboard has data."""

import time
from pathlib import Path

import httpx
import pytest

from tests.support.live.clients import visitor
from tests.support.live.fleet import LiveFleet, eventually
from tools.docs.dashboards import BUILT, extract_queries


def test_every_target_is_up(fleet: LiveFleet) -> None:
    def all_up() -> bool:
        return len(fleet.targets()) > len(fleet.hosts) and not fleet.targets_down()

    assert eventually(all_up, within=60), fleet.targets_down()


def test_every_host_is_scraped(fleet: LiveFleet) -> None:
    assert {target["labels"]["instance"] for target in fleet.targets()} >= set(fleet.hosts)


def test_rules_are_loaded_and_healthy(fleet: LiveFleet) -> None:
    assert len([rule for rule in fleet.rules() if rule["type"] == "alerting"]) > 20


@pytest.mark.parametrize(
    "metric", ['node_systemd_service_restart_total{name="prometheus-node-exporter.service"}', "node_vmstat_oom_kill"]
)
def test_restarts_and_out_of_memory_kills_are_counted_on_every_host(fleet: LiveFleet, metric: str) -> None:
    """The alerts ServiceRestarting and HostOutOfMemory need them. The exporter has the first one only by an option."""
    found = fleet.prometheus("query", query=metric)["result"]
    assert {series["metric"]["instance"] for series in found} == set(fleet.hosts)


def test_prometheus_reaches_alertmanager(fleet: LiveFleet) -> None:
    assert fleet.prometheus("alertmanagers")["activeAlertmanagers"]
    assert httpx.get(f"{fleet.outputs['urls']['alertmanager']}-/ready", trust_env=False).status_code == 200


def test_grafana_answers_if_its_package_was_available(fleet: LiveFleet) -> None:
    monitoring = fleet.group("monitoring")[0]
    if fleet.run(monitoring, "systemctl cat grafana-server.service", check=False).returncode != 0:
        pytest.skip(
            "Grafana's repository cannot be reached from the monitoring host, so site.yml did not install Grafana"
        )
    health = httpx.get(f"{fleet.outputs['urls']['grafana']}api/health", trust_env=False)
    assert health.json()["database"] == "ok"


@pytest.fixture(scope="module")
def traffic(fleet: LiveFleet, api_key: str) -> None:
    """Generate typical traffic: readers, an author, the login page and a page that does not exist."""
    with visitor(fleet) as reader, visitor(fleet, Authorization=f"Bearer {api_key}") as author:
        for _ in range(5):
            author.post(
                "/api/v1/articles", json={"title": "Traffic", "content": "Dashboards need something to show. " * 5}
            )
            article = author.get("/api/v1/articles").json()["articles"][0]["id"]
            for path in ("/", "/popular", f"/api/v1/articles/{article}", "/auth/login", "/no-such-page"):
                reader.get(path)
            time.sleep(2)


@pytest.mark.parametrize("dashboard", sorted(BUILT.glob("*.json")), ids=lambda path: path.stem)
@pytest.mark.usefixtures("traffic")
def test_every_panels_query_returns_data(fleet: LiveFleet, dashboard: Path) -> None:
    # The first rehearsal and the first verify are on another day.
    later = ("flaskfleet_backup_rehearsal_", "flaskfleet_backup_verify_")
    queries = [(t, query) for t, query in extract_queries(dashboard) if not any(name in query for name in later)]

    def without_data() -> list[str]:
        return [f"{title}: {query}" for title, query in queries if not fleet.prometheus("query", query=query)["result"]]

    assert queries
    assert eventually(lambda: not without_data(), within=90, every=5), without_data()
