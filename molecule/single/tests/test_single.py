"""One host in every group: the same site.yml makes a complete fleet without redundancy."""

import json
import shlex

import httpx

from tests.support.drills.playbooks import play
from tests.support.live import ports
from tests.support.live.clients import ARTICLES, publish
from tests.support.live.fleet import LiveFleet, eventually

NOWHERE = "postgresql+psycopg2://nobody:nothing@127.0.0.1:1/nothing"
# Highest exposure of a unit, by `systemd-analyze security` of Debian 13, from 0 (safe) to 10.
EXPOSURES = {
    "app": 1.5,
    "celery-beat": 1.5,
    "celery-worker": 1.5,
    "etcd": 2.0,
    "haproxy": 3.0,
    "keepalived": 3.0,
    "nginx": 3.0,
    "nginx-errors": 2.0,
    "patroni": 2.0,
    "prometheus": 2.0,
    "prometheus-alertmanager": 2.0,
    "prometheus-blackbox-exporter": 2.0,
    "prometheus-nginx-exporter": 2.0,
    "prometheus-node-exporter": 2.0,
    "prometheus-postgres-exporter": 2.0,
    "prometheus-redis-exporter": 2.0,
    "redis-sentinel": 1.5,
    "redis@cache": 1.5,
    "redis@store": 1.5,
}
# Writes Patroni's configuration in etcd, with the value that it has. May have a certificate and its key.
WRITE = """
import base64, json, ssl, sys, urllib.request
address, *pair = sys.argv[1:]
context = ssl.create_default_context(cafile="/etc/fleet-tls/ca.pem")
if pair:
    context.load_cert_chain(*pair)
secure = urllib.request.HTTPSHandler(context=context)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), secure)
def call(method, **fields):
    url = f"https://{address}:2379/v3/kv/{method}"
    return json.load(opener.open(url, json.dumps(fields).encode(), timeout=5))
key = base64.b64encode(b"/service/main/config").decode()
call("put", key=key, value=call("range", key=key)["kvs"][0]["value"])
"""


def test_one_host_has_every_tier_and_no_failed_units(fleet: LiveFleet) -> None:
    (node,) = fleet.hosts.values()
    assert fleet.is_healthy(node)
    assert fleet.vip_holder() == node
    assert fleet.is_primary(node)


def test_an_article_is_written_and_read_through_the_front_door(author: httpx.Client, site: httpx.Client) -> None:
    article = publish(author)
    url = f"{ARTICLES}/{article['id']}"
    read = site.get(url).json()
    assert read["title"] == article["title"]
    assert eventually(lambda: site.get(url).json()["views"] > read["views"], within=30), "no worker counted the views"


def test_a_bad_setting_is_rolled_back_on_a_lone_host_which_is_never_drained(fleet: LiveFleet) -> None:
    bad = {"app_database_url": NOWHERE, "app_database_replica_url": NOWHERE, "app_ready_timeout": 3}
    run = play(fleet, "playbooks/deploy.yml", "-e", json.dumps(bad))
    assert run.code != 0
    assert "which serves everywhere. The previous settings were restored on" in run.output, run.text[-3000:]
    assert "; left drained" not in run.output


def test_only_the_ports_of_the_port_matrix_are_open_from_outside(fleet: LiveFleet) -> None:
    wanted = {flow for flow, allowed in ports.expected(fleet).items() if allowed and flow[0] == "admin"}
    found = {flow for flow in ports.observed(fleet) if flow[0] == "admin"}
    assert found - wanted == set()
    assert wanted - found - ports.may_be_unused(fleet) == set()


def test_values_that_the_fleet_cannot_follow_are_refused_before_any_host_is_changed(fleet: LiveFleet) -> None:
    run = play(fleet, "site.yml", "-e", "fleet_domain=other.test", "-e", "postgres_database=other")
    assert run.code != 0
    assert "fleet_domain = other.test is given with -e" in run.output
    assert "postgres_database = other, but" in run.output
    assert run.hosts_with("changed") == set()


def test_a_port_of_the_inventorys_own_is_opened_and_closed(fleet: LiveFleet) -> None:
    (node,) = fleet.hosts.values()
    port = {"name": "relay", "port": 2525, "protocol": "tcp", "to": ["monitoring"], "from": ["any"]}
    play(fleet, "site.yml", "--tags=base", "-e", json.dumps({"fleet_extra_ports": [port]})).succeeded()
    assert "tcp dport 2525 accept" in fleet.run(node, "nft list table inet fleet").stdout
    play(fleet, "site.yml", "--tags=base").succeeded()
    assert "2525" not in fleet.run(node, "nft list table inet fleet").stdout


def test_the_applications_user_cannot_control_the_fleet(fleet: LiveFleet) -> None:
    """It wrote a restore_command into Patroni's configuration in etcd, and Postgres would have run it."""
    (node,) = fleet.hosts.values()
    for address in ("127.0.0.1", node.address):
        write = f"python3 -c {shlex.quote(WRITE)} {address}"
        assert "Connection refused" in fleet.run(node, f"/usr/local/sbin/{fleet.app_name} {write}", check=False).stderr
        fleet.run(node, f"{write} /etc/fleet-tls/cert.pem /etc/fleet-tls/key.pem")

    unused = {port for _, _, port in ports.may_be_unused(fleet)}
    control = {port for _, _, port in ports.expected(fleet)} - {80, 443, 5432, 6379, 6380, 8000, 9808, 26379}
    targets = shlex.quote(json.dumps([(node.address, port) for port in control]))
    probe = f"python3 -c {shlex.quote(ports.PROBE)} {targets}"
    assert json.loads(fleet.app_command(probe)) == []
    assert {port for _, port in fleet.json_of(node, probe)} >= control - unused


def test_no_unit_has_more_rights_than_it_needs(fleet: LiveFleet) -> None:
    (node,) = fleet.hosts.values()
    table = fleet.json_of(node, "systemd-analyze security --no-pager --json=short")
    found = {row["unit"].removesuffix(".service"): float(row["exposure"]) for row in table}
    assert {unit: found[unit] for unit, limit in EXPOSURES.items() if found[unit] > limit} == {}
