"""The table of variables that several parts of a fleet depend on: each entry is real, and none is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from plugins import settings
from plugins.action.fleet_check_hosts import PROBE, Answer
from plugins.templates import REQUIRED
from tests.unit.roles.fleet_variables import FLEET, rendered, trust
from tests.unit.roles.modules import read_yaml
from tools.fleet.context import ROOT

OTHER: dict[str, Any] = {
    "fleet_domain": "shop.example.org",
    "fleet_vip": "192.0.2.6",
    "fleet_admin_networks": ["198.51.100.8/32"],
    "fleet_extra_ports": [{"name": "x", "port": 1, "protocol": "tcp", "to": ["all"], "from": ["any"]}],
    "fleet_ports": [],
    "fleet_timezone": "Europe/Berlin",
    "app_health_path": "/up",
    "app_max_upload_mb": 50,
    "app_persistent_dirs": ["uploads", "/data/media"],
    "app_port": 5000,
    "app_shared_mount": "/mnt/shared",
    "app_writable_dirs": ["logs"],
    "app_metrics_path": "",
    "app_database_driver": "none",
    "app_database_via": "proxy",
    "app_database_owner": True,
    "app_mail_from": "shop@example.org",
    "app_mail_url": "smtp://mail.example.org",
    "haproxy_cache_port": 7001,
    "haproxy_store_port": 7002,
    "haproxy_postgres_primary_port": 7003,
    "haproxy_postgres_replica_port": 7004,
    "app_celery_app": "",
    "app_processes": {"listener": {"command": "rq worker", "group": "app"}},
    "app_queues": ["other"],
    "app_timers": {"report": {"command": "report", "schedule": "daily"}},
    "app_user": "other",
    "app_user_id": 998,
    "celery_metrics_port": 0,
    "fleet_name": "other",
    "nginx_acme_ca": "PEM",
    "nginx_acme_email": "ops@example.org",
    "nginx_static_source": "",
    "fleet_subnet": "198.51.100.0/24",
    "pgbackrest_repositories": [{"type": "host"}],
    "postgres_app_user": "other",
    "postgres_owner_user": "other",
    "postgres_database": "other",
}


@pytest.fixture(scope="module")
def before() -> dict[str, Any]:
    return rendered()


@pytest.mark.parametrize("name", OTHER)
def test_the_table_names_all_variables_that_follow_another_one(before: dict[str, Any], name: str) -> None:
    after = rendered(**{name: OTHER[name]})
    followers = {other for other in before if after.get(other) != before[other]} - {name}
    assert followers == set(settings.FOLLOWERS[name])


def test_the_addresses_of_the_application_need_no_default_of_a_role() -> None:
    """A process or a timer may have one in its environment, and its role knows no defaults of role app."""
    shared = sorted((ROOT / "inventories/shared").glob("*.yml"))
    files = [*shared, ROOT / "inventories/applications/news.yml"]
    given = {name: trust(value) for path in files for name, value in read_yaml(path).items()}
    secrets = {text[3:-3]: "x" for text in read_yaml("inventories/shared/secrets.yml").values()}
    templar = Templar(DataLoader(), given | secrets | FLEET)
    urls = [name for name in given if name.startswith("app_") and name.endswith("_url")]
    assert "app_database_url" in urls
    for name in urls:
        templar.template(given[name])


def test_every_setting_of_the_fleet_is_in_the_table() -> None:
    shared = [*read_yaml("inventories/shared/fleet.yml"), *REQUIRED, "fleet_ports"]
    assert set(shared) <= settings.FOLLOWERS.keys() == OTHER.keys()
    assert set(settings.ONLY_IN_INVENTORY) <= settings.FOLLOWERS.keys()


def test_every_port_of_a_role_is_the_one_that_the_firewall_opens() -> None:
    ports = settings.matrix(ROOT, 8000)
    defaults = settings.role_ports(ROOT)
    local = {name for name in defaults if name.startswith("haproxy_")} - {"haproxy_metrics_port"}
    assert defaults.keys() - settings.PORTS.keys() - local == {
        "app_port",  # moves them all
        "nginx_status_port",
        "restore_port",  # listens on 127.0.0.1 only, like the one before
    }
    assert settings.wrong_role_ports(defaults, ports) == []
    jobs = read_yaml("inventories/shared/topology.yml")["prometheus_scrape_jobs"]
    assert {job["port"] for job in jobs if job["job"] not in ("app", "celery")} <= set(ports.values())


@pytest.mark.parametrize("name", settings.PORTS)
def test_another_port_of_a_role_is_refused_with_the_reason(name: str) -> None:
    (sentence,) = settings.wrong_role_ports({name: 8001}, settings.matrix(ROOT, 8000))
    assert sentence.startswith(f"{name} = 8001 is not supported: ")
    assert sentence.endswith(f"; remove {name}.")


def test_ports_that_nothing_else_knows_may_differ() -> None:
    ports = settings.matrix(ROOT, 8000)
    assert settings.wrong_role_ports({"celery_metrics_port": "0", "nginx_upstream_port": "8000"}, ports) == []
    assert settings.wrong_matrix_ports([{"name": "ssh", "port": 2222}, {"name": "mine", "port": 1}], ports) == []
    (sentence,) = settings.wrong_matrix_ports([{"name": "postgres", "port": 5433}], ports)
    assert sentence.startswith("fleet_ports, entry postgres: port = 5433 is not supported, ")


@pytest.mark.parametrize(
    ("port", "by"),
    [
        (8000, ""),
        (5000, ""),
        (5432, "entry postgres of inventories/shared/ports.yml"),
        (8088, "nginx_status_port"),
    ],
)
def test_the_application_may_have_any_port_that_is_not_taken(port: int, by: str) -> None:
    ports = settings.matrix(ROOT, port)
    assert settings.wrong_role_ports({"nginx_upstream_port": port}, ports) == []
    expected = [f"app_port = {port} is taken by {by}; choose another port, such as 8000."] if by else []
    assert settings.taken_app_port(ports, settings.role_ports(ROOT)) == expected


def test_no_part_of_the_fleet_knows_the_applications_port_by_heart() -> None:
    after = rendered(app_port=5000)
    shared = set().union(*(read_yaml(path) for path in (ROOT / "inventories/shared").glob("*.yml")))
    assert {name for name in shared if "8000" in repr(after.get(name))} == set()


def test_variables_that_later_runs_need_are_refused_on_the_command_line() -> None:
    sentences = settings.given_for_one_run({"fleet_domain": "x.test", "app_health_path": "/up"}, Path("main.yml"))
    assert [sentence.split(" is given")[0] for sentence in sentences] == ["fleet_domain = x.test"]
    assert "; set it in main.yml, or where the inventory gets it from" in sentences[0]


def test_the_names_of_data_are_recorded_and_may_not_change() -> None:
    recorded = read_yaml("roles/postgres/vars/main.yml")["__postgres_identity"]
    assert recorded == {name: f"{{{{ {name} }}}}" for name in settings.KEPT}
    record = dict.fromkeys(settings.KEPT, "news") | {"postgres_version": 17}
    same = settings.kept_defaults(ROOT) | dict.fromkeys(settings.KEPT[:-1], "news") | {"postgres_version": "17"}
    assert settings.other_data("db1", record, same) == []
    for name in settings.KEPT:
        (sentence,) = settings.other_data("db1", record, same | {name: "shop"})
        assert sentence.startswith(f"{name} = shop, but db1 was set up with {record[name]}, and its data do not move; ")


@pytest.mark.parametrize(
    ("text", "failures"),
    [
        ("", 0),
        ("IDENTITY=\nADDRESS db1=10.0.0.41\nADDRESS db2=10.0.0.9\n", 0),
        ("ADDRESS db1=10.0.0.99\n", 1),
        ('IDENTITY={"postgres_database": "news"}\nADDRESS db1=10.0.0.41\n', 0),
        ('IDENTITY={"postgres_database": "shop"}\n', 1),
    ],
)
def test_a_host_reports_the_data_and_the_address_that_it_was_set_up_with(text: str, failures: int) -> None:
    fields = Answer("db1", "10.0.0.41", text=text).fields
    values = {"postgres_database": "news"}
    found = settings.moved_data({"db1": fields}, {"db1": "10.0.0.41"}, {"etcd": ["db1"]}, values)
    assert len(found) == failures


def test_a_host_without_data_may_get_another_address() -> None:
    records = {"lb1": {"ADDRESS lb1": "10.0.0.9"}}
    assert settings.moved_data(records, {"lb1": "10.0.0.11"}, {"etcd": ["db1"], "loadbalancers": ["lb1"]}, {}) == []


def test_the_probe_reads_the_block_of_the_fleet_in_etc_hosts(tmp_path: Path) -> None:
    marker = "# {} of the fleet, written by Flaskfleet's role base"
    lines = ["127.0.0.1 localhost", marker.format("BEGIN"), "10.0.0.41 db1", marker.format("END"), "10.0.0.9 other"]
    (tmp_path / "hosts").write_text("\n".join(lines))
    probe = PROBE.replace("/etc/hosts", str(tmp_path / "hosts"))
    probe = probe.replace("{become}", "true").replace("{python}", "true")
    output = subprocess.run(["sh", "-c", probe], capture_output=True, text=True, check=True).stdout
    fields = Answer("db1", "", text=output).fields
    assert {name: value for name, value in fields.items() if name.startswith("ADDRESS")} == {"ADDRESS db1": "10.0.0.41"}
    assert fields["IDENTITY"] == ""
