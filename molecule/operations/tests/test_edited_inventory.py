"""An operator edits the list of hosts without playbooks/remove.yml, while the hosts still run."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.drills.catalogue import NO_FAILURES
from tests.support.drills.changes import operation
from tests.support.drills.playbooks import Run, play
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import LiveFleet
from tools.fleet.context import ROOT

Groups = dict[str, Any]


def converge(fleet: LiveFleet, folder: Path, edit: Callable[[Groups], None], *options: str) -> Run:
    """Run site.yml with an inventory like that of the fleet, but with other groups."""
    original = ROOT / "inventories" / fleet.fleet.inventory
    output = subprocess.run(
        [original / "terraform.sh"], env=fleet.fleet.environment, capture_output=True, text=True, check=True
    ).stdout
    groups: Groups = json.loads(output)
    edit(groups)
    (folder / "groups.json").write_text(json.dumps(groups))
    (folder / "hosts.sh").write_text('#!/bin/sh\nexec cat "$(dirname "$0")/groups.json"\n')
    (folder / "hosts.sh").chmod(0o755)
    (folder / "group_vars").symlink_to(original / "group_vars")
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
