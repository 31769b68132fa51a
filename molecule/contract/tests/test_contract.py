"""Another application in place of app/: the same site.yml, and an inventory with another file for the application."""

import json
import re
import shutil
import sys
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.drills.playbooks import play
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import ROOT, Host


@pytest.fixture
def guest(site: httpx.Client) -> str:
    """Write an entry through the front door. Return the guest's name."""
    name = f"guest-{uuid4().hex[:8]}"
    answer = site.post("/entries", json={"guest": name, "message": "I was here."})
    assert answer.status_code == 201, answer.text
    return name


def test_every_unit_runs(fleet: LiveFleet, node: Host) -> None:
    assert fleet.is_healthy(node)
    units = "app celery-worker app-listener@1 app-timer-digest.timer"
    assert fleet.run(node, f"systemctl is-active {units}").stdout.split() == ["active"] * 4


def test_its_page_is_served_through_the_virtual_address(site: httpx.Client) -> None:
    answer = site.get("/")
    assert answer.status_code == 200
    assert "<h1>Leave a line</h1>" in answer.text, "app_environment did not reach the application"


def test_the_worker_processes_a_stored_entry(fleet: LiveFleet, site: httpx.Client, node: Host, guest: str) -> None:
    assert fleet.sql(node, f"select message from entry where guest = '{guest}'") == "I was here."
    assert eventually(lambda: f"Thank you, {guest}!" in site.get("/").text, within=20)


def test_its_process_beside_the_web_service_works(fleet: LiveFleet, node: Host, guest: str) -> None:
    number = fleet.sql(node, f"select id from entry where guest = '{guest}'")
    journal = "journalctl --unit 'app-listener@*' --since -2min --output cat"
    assert eventually(lambda: f"entries up to {number}" in fleet.run(node, journal).stdout, within=10)


def test_its_timer_runs_and_a_failure_is_reported(fleet: LiveFleet, node: Host, guest: str) -> None:
    assert guest
    fleet.run(node, "systemctl start app-timer-digest")
    journal = "journalctl --unit app-timer-digest --since -1min --output cat"
    assert re.search(r"^[1-9]\d* entries$", fleet.run(node, journal).stdout, re.MULTILINE)
    override = "/run/systemd/system/app-timer-digest.service.d/test.conf"
    fleet.run(
        node, f"mkdir -p $(dirname {override}); printf '[Service]\nExecStart=\nExecStart=/bin/false\n' >{override}"
    )
    try:
        fleet.run(node, "systemctl daemon-reload; systemctl start app-timer-digest", check=False)
        printed = fleet.fleet.run(sys.executable, "-m", "tools.fleet", "status", quiet=True).stdout
        assert f"the last run of the timer digest failed on {node.name}" in printed
    finally:
        fleet.run(node, f"rm {override}; systemctl daemon-reload; systemctl start app-timer-digest")


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"guest": "x"}', b'{"guest": "x", "message": 1}', b'{"guest": "\\u0000", "message": "x"}']
)
def test_an_invalid_entry_is_refused(site: httpx.Client, body: bytes) -> None:
    assert site.post("/entries", content=body, headers={"Content-Type": "application/json"}).status_code == 400


def test_its_migration_has_run_as_the_schemas_owner(fleet: LiveFleet, node: Host) -> None:
    assert fleet.sql(node, "select tableowner from pg_tables where tablename = 'entry'") == "guestbook_owner"
    assert fleet.sql(node, "select version_num from alembic_version") == "0001"


def test_nginx_serves_its_static_file(fleet: LiveFleet, site: httpx.Client, node: Host) -> None:
    path = f"/static/guestbook.css?{uuid4().hex}"
    answer = site.get(path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "max-age=60"
    line = eventually(lambda: fleet.run(node, f"grep -F '{path}' /var/log/nginx/access.log", check=False).stdout)
    assert '"upstream_addr":""' in line


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/metrics", 404)])
def test_only_the_fleets_own_path_is_hidden(
    fleet: LiveFleet, site: httpx.Client, node: Host, path: str, status: int
) -> None:
    assert site.get(path).status_code == status
    assert fleet.run(node, f"curl --silent --fail http://127.0.0.1:5000{path}").stdout


def test_prometheus_scrapes_its_processes_and_probes_its_health(fleet: LiveFleet, guest: str) -> None:
    def all_up() -> bool:
        pools = {target["scrapePool"] for target in fleet.targets()}
        return {"app", "celery", "ready", "site"} <= pools and not fleet.targets_down()

    assert eventually(all_up, within=60), fleet.targets_down()
    (ready,) = fleet.prometheus("query", query='probe_success{job="ready"}')["result"]
    assert ready["value"][1] == "1"
    assert eventually(
        lambda: fleet.prometheus("query", query="sum(guestbook_entries_total) > 0")["result"], within=30
    ), guest


def test_rules_work_without_the_news_applications_metrics(fleet: LiveFleet) -> None:
    def active() -> list[str]:
        alerts = [rule for rule in fleet.rules() if rule["type"] == "alerting" and rule["labels"]["tier"] in tiers]
        assert len(alerts) > 10
        return [alert["name"] for alert in alerts if alert["state"] != "inactive"]

    tiers = {"app", "celery", "loadbalancer"}
    # A new Prometheus has not scraped everything yet, so alerts about absent metrics are pending for a moment.
    assert eventually(lambda: not active(), within=60, every=1), active()


def test_the_host_has_nothing_of_the_news_application(fleet: LiveFleet, node: Host) -> None:
    assert fleet.sql(node, "select tablename from pg_tables where schemaname = 'public' order by 1").split() == [
        "alembic_version",
        "entry",
    ]
    assert fleet.run(node, "ls -d /opt/news /etc/news /usr/local/sbin/news /var/www/news", check=False).stdout == ""
    names = set(re.findall(r"^(\w+)=", fleet.run(node, "cat /etc/guestbook/env").stdout, re.MULTILINE))
    assert {name for name in names if name.startswith(("APP_", "GUESTBOOK_", "NEWS_", "SITE_"))} == {
        "APP_DOMAIN",
        "GUESTBOOK_HEADING",
    }
    assert fleet.run(node, "systemctl is-enabled celery-beat", check=False).stdout == "disabled\n"


def test_it_is_deployed_and_rolled_back_by_the_same_playbooks(
    fleet: LiveFleet, site: httpx.Client, node: Host, tmp_path: Path
) -> None:
    before = fleet.run(node, "readlink /opt/guestbook/current").stdout
    source = shutil.copytree(ROOT / "tests/applications/guestbook", tmp_path / "app")
    page = source / "src/guestbook/templates/page.html"
    page.write_text(page.read_text().replace("</html>", "<p>The next release</p>\n</html>"))
    listener = source / "src/guestbook/listener.py"
    listener.write_text(listener.read_text().replace('"listening"', '"listening to the next release"'))
    variables = json.dumps({"app_source": str(source), "deploy_canary_seconds": 0})
    play(fleet, "playbooks/deploy.yml", "--extra-vars", variables).succeeded()
    assert fleet.run(node, "readlink /opt/guestbook/current").stdout != before
    assert eventually(lambda: "The next release" in site.get(f"/?{uuid4().hex}").text)
    journal = "journalctl _SYSTEMD_UNIT=app-listener@1.service --output cat --lines 1"
    assert "listening to the next release" in fleet.run(node, journal).stdout
    play(fleet, "playbooks/rollback.yml").succeeded()
    assert fleet.run(node, "readlink /opt/guestbook/current").stdout == before
    assert fleet.run(node, journal).stdout.splitlines()[-1] == "listening"
    assert eventually(lambda: "The next release" not in site.get(f"/?{uuid4().hex}").text)
