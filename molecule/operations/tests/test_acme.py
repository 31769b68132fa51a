"""Certificates of a CA at two load balancers: the first one, renewals, a dead peer, an address that moves, a CA that is
away."""

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from plugins.certificates import names
from tests.support.drills import faults
from tests.support.drills.playbooks import Run, play
from tests.support.live.fleet import LiveFleet, eventually
from tests.support.pebble import NAMES, Pebble
from tools.fleet.context import Host

DOMAIN = "news.test"
NOTE = "/var/lib/flaskfleet/site-certificate.json"
LONG = 90 * 24 * 3600
# Renewed when half of it is left.
SHORT = 30
# Sets a record of the CA's name server.
HOOK = """#!/bin/sh
case $1 in add) what=set-txt ;; *) what=clear-txt ;; esac
printf '{{"host":"_acme-challenge.%s.","value":"%s"}}' "$CERTBOT_DOMAIN" "$CERTBOT_VALIDATION" |
    curl -fsS --noproxy '*' -d @- "http://{address}:{port}/$what"
"""


class Issuer:
    """The CA, and the fleet as it sees it."""

    def __init__(self, fleet: LiveFleet, pebble: Pebble, folder: Path) -> None:
        self.fleet, self.pebble, self.folder = fleet, pebble, folder
        self.first, self.second = fleet.group("loadbalancers")

    def run_site(self, *tags: str, **variables: Any) -> Run:
        """Run site.yml with certificates of the CA."""
        given = {"nginx_acme_email": "ops@news.test", "nginx_acme_directory": self.pebble.directory}
        given |= {"nginx_acme_ca": self.pebble.server_ca + self.pebble.root}
        file = self.folder / "variables.json"
        file.write_text(json.dumps(given | variables))
        return play(self.fleet, "site.yml", "--tags", ",".join(tags or ("nginx",)), "-e", f"@{file}").succeeded()

    def restart(self, validity: int) -> None:
        """Restart the CA, with certificates that are valid for so many seconds, for the site at its virtual address."""
        self.pebble.stop()
        self.pebble.start(validity)
        self.pebble.point(self.fleet.vip)

    def forget(self, *hosts: Host) -> None:
        """Let load balancers forget their certificates, but not their account at the CA."""
        for host in hosts:
            self.fleet.run(host, "for folder in live archive renewal; do rm -rf /var/lib/flaskfleet/acme/$folder; done")

    def renew(self, host: Host) -> str:
        """Let a load balancer ask the CA, as its timer does. Return why it got nothing."""
        self.fleet.run(host, "systemctl start site-certificate")
        note = self.fleet.run(host, f"cat {NOTE}", check=False).stdout
        return str(json.loads(note)["error"]) if note else ""

    def served(self, host: Host) -> x509.Certificate:
        """The certificate that a load balancer serves."""
        return x509.load_pem_x509_certificate(ssl.get_server_certificate((host.address, 443)).encode())

    def is_trusted(self, host: Host) -> bool:
        """Whether a browser that trusts the CA trusts this load balancer, for the site's name."""
        context = ssl.create_default_context(cadata=self.pebble.root)
        headers = {"Host": DOMAIN}
        try:
            with httpx.Client(verify=context, trust_env=False) as client:
                client.get(f"https://{host.address}/lb-health", headers=headers, extensions={"sni_hostname": DOMAIN})
        except httpx.ConnectError:
            return False
        return True

    def insists(self, host: Host) -> bool:
        """Whether a load balancer sends Strict-Transport-Security."""
        answer = httpx.get(f"https://{host.address}/", headers={"Host": DOMAIN}, verify=False, trust_env=False)
        return "strict-transport-security" in answer.headers

    @property
    def holder(self) -> Host:
        """The load balancer that has the virtual address."""
        holder: Host | None = eventually(self.fleet.vip_holder, within=20)
        assert holder
        return holder

    @property
    def other(self) -> Host:
        """The load balancer that does not have it."""
        return self.second if self.holder == self.first else self.first


@pytest.fixture(scope="module")
def issuer(fleet: LiveFleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """A CA that cannot reach the site yet. At the end, the fleet has its self-signed certificate again."""
    folder = tmp_path_factory.mktemp("pebble")
    gateway = fleet.outputs["inventory"]["all"]["vars"]["fleet_admin_networks"][0].split("/")[0]
    pebble = Pebble(folder, gateway)
    if not pebble.program:
        pytest.skip("this machine has no pebble, and its package cannot be downloaded")
    with pebble.names():
        pebble.start(LONG)
        found = Issuer(fleet, pebble, folder)
        found.forget(*fleet.group("loadbalancers"))
        try:
            yield found
        finally:
            play(fleet, "site.yml", "--tags", "nginx,monitoring").succeeded()


def unchanged(run: Run) -> bool:
    """Whether a run of site.yml changed nothing."""
    return not run.hosts_with("changed")


def vault_certificate(fleet: LiveFleet) -> x509.Certificate:
    """The self-signed certificate of the vault."""
    return x509.load_pem_x509_certificate(fleet.secrets["nginx_tls_certificate"].encode())


def probe_succeeds(fleet: LiveFleet, since: float) -> bool:
    """Whether Prometheus, which does not trust every certificate, has reached the site since a moment."""
    query = f'probe_success{{job="site"}} == 1 and timestamp(probe_success{{job="site"}}) > {since:.0f}'
    return bool(fleet.prometheus("query", query=query)["result"])


def test_the_site_starts_with_its_own_certificate_while_the_name_points_elsewhere(issuer: Issuer) -> None:
    fleet = issuer.fleet
    issuer.run_site("nginx", "monitoring")
    for host in fleet.group("loadbalancers"):
        assert "Connection refused" in issuer.renew(host) or "connection refused" in issuer.renew(host)
        assert issuer.served(host) == vault_certificate(fleet)
        assert not issuer.insists(host)
        assert fleet.is_healthy(host)
    assert unchanged(issuer.run_site("nginx", "monitoring"))
    now = time.time()
    assert eventually(lambda: probe_succeeds(fleet, now), within=60)
    status = fleet.fleet.run("bin/fleet", "status", quiet=True).stdout
    assert f"{issuer.first.name} gets no certificate from the CA ({DOMAIN}: " in status


def test_each_load_balancer_gets_a_certificate_wherever_the_address_is(issuer: Issuer) -> None:
    fleet = issuer.fleet
    issuer.pebble.point(fleet.vip)
    for host in (issuer.other, issuer.holder):
        assert issuer.renew(host) == ""
        assert issuer.is_trusted(host)
        assert issuer.insists(host)
    assert issuer.served(issuer.first) != issuer.served(issuer.second)
    before = {host.name: issuer.served(host) for host in fleet.group("loadbalancers")}
    assert unchanged(issuer.run_site("nginx", "monitoring"))
    assert {host.name: issuer.served(host) for host in fleet.group("loadbalancers")} == before
    now = time.time()
    assert eventually(lambda: probe_succeeds(fleet, now), within=60)
    fleet.run(issuer.first, "systemctl start certificate-metrics")
    end = issuer.served(issuer.first).not_valid_after_utc.timestamp()
    metric = fleet.run(issuer.first, "cat /var/lib/prometheus/node-exporter/certificates.prom").stdout
    assert f'flaskfleet_certificate_end_seconds{{file="/etc/nginx/tls.pem",number="1"}} {end:.0f}\n' in metric
    assert issuer.renew(issuer.first) == ""
    assert issuer.served(issuer.first) == before[issuer.first.name], "it is not time to renew"


@pytest.mark.parametrize("which", ["other", "holder"])
def test_a_load_balancer_renews_while_its_peer_is_dead(issuer: Issuer, which: str) -> None:
    issuer.restart(SHORT)
    dead = getattr(issuer, which)
    alive = issuer.second if dead == issuer.first else issuer.first
    with faults.powered_off(issuer.fleet, dead):
        assert eventually(lambda: httpx.get(f"http://{issuer.fleet.vip}/lb-health", trust_env=False), within=30)
        issuer.forget(alive)
        assert issuer.renew(alive) == ""
        first = issuer.served(alive)
        time.sleep(SHORT / 2)
        assert issuer.renew(alive) == ""
        assert issuer.served(alive) != first
        assert issuer.is_trusted(alive)
    assert eventually(lambda: issuer.fleet.is_healthy(dead), within=90)


def test_both_renew_while_the_address_moves(issuer: Issuer) -> None:
    issuer.restart(SHORT)
    for host in issuer.fleet.group("loadbalancers"):
        issuer.forget(host)
        assert issuer.renew(host) == ""
    failures, rounds = [], 0
    for _ in range(4):
        giving = issuer.holder
        before = {host.name: issuer.served(host) for host in issuer.fleet.group("loadbalancers")}
        time.sleep(SHORT / 2 + 1)
        # It moves while certbot waits for the CA.
        issuer.fleet.run(giving, "systemd-run --quiet --on-active=1 systemctl restart keepalived")
        for host in (giving, issuer.second if giving == issuer.first else issuer.first):
            failures += [f"{host.name}: {failure}" for failure in [issuer.renew(host)] if failure]
            rounds += issuer.served(host) != before[host.name]
    assert failures == []
    assert rounds == 8


def test_a_ca_that_is_away_costs_nothing_and_its_return_renews(issuer: Issuer) -> None:
    """A life of two minutes stands for one of six days. The CA is away for a sixth of it, which is a day."""
    life = 120
    issuer.restart(life)
    host = issuer.holder
    issuer.forget(host)
    assert issuer.renew(host) == ""
    root, first = issuer.pebble.root, issuer.served(host)
    began = time.monotonic()
    time.sleep(life / 2 + 2)
    issuer.pebble.stop()
    assert "Connection refused" in issuer.renew(host)
    assert issuer.served(host) == first
    assert issuer.insists(host)
    time.sleep(life / 6)
    assert issuer.renew(host) != ""
    issuer.pebble.start(life)
    assert issuer.pebble.root != root
    assert issuer.renew(host) == "", "the CA has lost its accounts, too"
    assert time.monotonic() - began < life, "the first certificate has not expired meanwhile"
    assert issuer.served(host) != first
    assert issuer.is_trusted(host)


def test_a_wildcard_needs_a_program_that_sets_dns_records(issuer: Issuer) -> None:
    issuer.restart(LONG)
    hook = issuer.folder / "hook"
    hook.write_text(HOOK.format(address=issuer.pebble.address, port=NAMES))
    issuer.pebble.point("127.0.0.1")
    issuer.run_site(nginx_acme_names=[DOMAIN, f"*.{DOMAIN}"], nginx_acme_dns_hook=str(hook))
    for host in issuer.fleet.group("loadbalancers"):
        assert issuer.renew(host) == ""
        assert sorted(names(ssl.get_server_certificate((host.address, 443)))) == [f"*.{DOMAIN}", DOMAIN]
        assert issuer.is_trusted(host)


def test_without_the_variable_the_given_certificate_serves_again(issuer: Issuer) -> None:
    play(issuer.fleet, "site.yml", "--tags", "nginx,monitoring").succeeded()
    for host in issuer.fleet.group("loadbalancers"):
        assert issuer.served(host) == vault_certificate(issuer.fleet)
        left = issuer.fleet.run(host, "systemctl list-unit-files 'site-certificate*'", check=False).stdout
        assert "site-certificate" not in left
        assert issuer.fleet.is_healthy(host)
