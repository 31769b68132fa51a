"""What holds for every application that `bin/fleet init` prepared. Each of their scenarios runs these tests."""

import httpx

from tests.support.live.fleet import LiveFleet, eventually
from tests.support.live.ordinary import bin_fleet
from tools.fleet.context import Host

# The other tiers' alerts are about redundancy, which one host does not have.
TIERS = {"app", "celery", "loadbalancer"}


def test_every_unit_runs(fleet: LiveFleet, node: Host) -> None:
    assert fleet.is_healthy(node)


def test_the_front_page_is_served_through_the_virtual_address(site: httpx.Client) -> None:
    answer = site.get("/", follow_redirects=True)
    assert answer.status_code == 200
    assert "text/html" in answer.headers["Content-Type"]


def test_no_alert_is_active_and_every_target_is_up(fleet: LiveFleet) -> None:
    def active() -> list[str]:
        alerts = [rule for rule in fleet.rules() if rule["type"] == "alerting" and rule["labels"]["tier"] in TIERS]
        assert len(alerts) > 10
        return [alert["name"] for alert in alerts if alert["state"] != "inactive"]

    assert eventually(lambda: not fleet.targets_down(), within=60), fleet.targets_down()
    # A new Prometheus has not scraped everything yet, so alerts about absent metrics are pending for a moment.
    assert eventually(lambda: not active(), within=90, every=1), active()


def test_status_finds_nothing_wrong_with_the_application(fleet: LiveFleet) -> None:
    assert bin_fleet(fleet, "status").returncode == 0


def test_the_application_runs_with_only_the_rights_that_it_needs(fleet: LiveFleet, node: Host) -> None:
    current = f"/opt/{fleet.app_name}/current/source"
    assert fleet.run(node, f"stat --format=%U {current}").stdout == "root\n"
    assert fleet.run(node, "systemctl show app --property=User --value").stdout == f"{fleet.app_name}-app\n"
    pid = fleet.run(node, "systemctl show app --property=MainPID --value").stdout.strip()
    assert fleet.run(node, f"readlink /proc/{pid}/cwd").stdout == fleet.run(node, f"readlink -f {current}").stdout
