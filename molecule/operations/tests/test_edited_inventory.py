"""An operator edits the inventory: the list of hosts without playbooks/remove.yml, or the site's domain."""

import json
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509

from tests.support.drills.catalogue import NO_FAILURES
from tests.support.drills.changes import operation
from tests.support.drills.playbooks import Run, play
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import ROOT

Groups = dict[str, Any]


def converge(
    fleet: LiveFleet,
    folder: Path,
    edit: Callable[[Groups], None] = lambda _: None,
    *options: str,
    variables: Mapping[str, Any] | None = None,
) -> Run:
    """Run site.yml with an inventory like that of the fleet, but with other groups or variables."""
    original = ROOT / "inventories" / fleet.fleet.inventory
    output = subprocess.run(
        [original / "terraform.sh"], env=fleet.fleet.environment, capture_output=True, text=True, check=True
    ).stdout
    groups: Groups = json.loads(output)
    edit(groups)
    (folder / "groups.json").write_text(json.dumps(groups))
    (folder / "hosts.sh").write_text('#!/bin/sh\nexec cat "$(dirname "$0")/groups.json"\n')
    (folder / "hosts.sh").chmod(0o755)
    settings = folder / "group_vars/all"
    settings.mkdir(parents=True)
    for file in (original / "group_vars/all").iterdir():
        (settings / file.name).symlink_to(file)
    # Ansible reads the files in the order of their names.
    (settings / "zz_edited.yml").write_text(yaml.safe_dump(dict(variables or {})))
    # The application's variables derive its folder from that of the inventory.
    return play(fleet, "site.yml", f"--extra-vars=app_source={ROOT}", *options, inventory=folder / "hosts.sh")


def without(name: str) -> Callable[[Groups], None]:
    """Return an edit that removes a host."""

    def edit(groups: Groups) -> None:
        for group in groups.values():
            if name in group.get("hosts", []):
                group["hosts"].remove(name)
        del groups["_meta"]["hostvars"][name]

    return edit


def test_an_application_host_that_left_the_inventory_is_drained_first(runner: DrillRunner, tmp_path: Path) -> None:
    leaving = runner.group("app")[-1].name

    @contextmanager
    def run(runner: DrillRunner) -> Iterator[None]:
        try:
            converge(runner.fleet, tmp_path, without(leaving)).succeeded()
            yield
        finally:
            play(runner.fleet, "site.yml").succeeded()

    drill = operation("app-host-left-the-inventory", run, write_gap=1, failed=NO_FAILURES)
    assert drill.breaches(runner.run(drill, 1)) == []


def test_a_load_balancer_that_left_the_inventory_and_still_serves_is_refused(
    runner: DrillRunner, tmp_path: Path
) -> None:
    leaving = next(host.name for host in runner.group("loadbalancers") if host.name not in runner.leaders("vip"))
    refused = converge(runner.fleet, tmp_path, without(leaving), "--tags=base")
    assert refused.code != 0
    assert f"{leaving} left the group loadbalancers, but still serves." in refused.output
    assert refused.hosts_with("changed") == set()


def test_a_database_does_not_begin_empty_on_other_hosts(runner: DrillRunner, tmp_path: Path) -> None:
    def edit(groups: Groups) -> None:
        groups["postgres"]["hosts"] = ["worker1"]

    refused = converge(runner.fleet, tmp_path, edit)
    assert refused.code != 0
    assert "No host of group postgres (worker1) has its data" in refused.output


def names_of_certificate(fleet: LiveFleet) -> list[str]:
    """Return the DNS names of the certificate that the site shows."""
    shown = x509.load_pem_x509_certificate(ssl.get_server_certificate((fleet.vip, 443)).encode())
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)


def test_another_domain_reaches_all_that_depends_on_it_and_fails_no_request(
    runner: DrillRunner, tmp_path: Path
) -> None:
    fleet = runner.fleet
    old = names_of_certificate(fleet)
    assert "other.test" not in old

    def site_is_up() -> bool:
        results = fleet.prometheus("query", query="probe_success{job=~'site|ready'}")["result"]
        return bool(results) and all(result["value"][1] == "1" for result in results)

    @contextmanager
    def run(runner: DrillRunner) -> Iterator[None]:
        try:
            converge(fleet, tmp_path, variables={"fleet_domain": "other.test"}).succeeded()
            assert "other.test" in names_of_certificate(fleet)
            settings = fleet.run(runner.group("app")[0], f"cat /etc/{fleet.app_name}/env").stdout
            assert "no-reply@other.test" in settings
            assert eventually(site_is_up, within=60, every=2)
            yield
        finally:
            play(fleet, "site.yml").succeeded()

    drill = operation("another-domain", run, write_gap=1, failed=NO_FAILURES)
    assert drill.breaches(runner.run(drill, 1)) == []
    # A certificate that covers the names stays; it keeps the additional name.
    assert set(old) <= set(names_of_certificate(fleet))
