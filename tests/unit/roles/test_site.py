"""The report at the end of site.yml, and the checks of replace.yml and remove.yml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.filter.site import emptied_groups, site_report, written_units
from tests.unit.roles.modules import ROLES, read_yaml
from tools.fleet.context import ROOT

PLAYBOOKS = sorted((ROOT / "playbooks").rglob("*.yml"))


def test_a_complete_run_reports_nothing() -> None:
    assert site_report([{"grafana_skipped_reason": ""}, {"inventory_hostname": "db1"}], [], {}) == []


def test_postponed_work_is_reported_once() -> None:
    hosts = [{"etcd_postponed": "etcd waits."}, {"etcd_postponed": "etcd waits.", "redis_postponed": "Redis waits."}]
    assert site_report(hosts, [], {}) == ["etcd waits.", "Redis waits."]


def test_missing_hosts_are_named_with_the_reason_and_the_command_that_finishes_them() -> None:
    (line,) = site_report([], ["db2", "app1"], {"db2": "db2 does not answer on port 22"})
    assert line.startswith("Not finished: app1 failed, see its error above; db2 does not answer on port 22. ")
    assert "`ansible-playbook site.yml --limit app1,db2`" in line


def test_units_are_found_by_their_files_their_drop_ins_and_as_instances_of_templates() -> None:
    folder = "/etc/systemd/system"
    paths = [f"{folder}/app.socket", f"{folder}/nginx.service.d/fleet.conf", f"{folder}/redis@.service"]
    services = ["nginx.service", "redis@store.service", "ssh.service", "user@1000.service"]
    assert written_units(paths, services) == ["app.socket", "nginx.service", "redis@store.service"]
    assert written_units([], services) == []


def test_the_last_hosts_of_a_tier_cannot_be_removed() -> None:
    groups = {"all": ["db1", "db2", "mon1"], "postgres": ["db1", "db2"], "etcd": ["db1", "db2", "mon1"], "eu": ["db2"]}
    assert emptied_groups(groups, ["db2"]) == []
    assert emptied_groups(groups, ["db2", "db1"]) == ["postgres"]
    assert emptied_groups(groups, ["db2", "db1", "mon1"]) == ["etcd", "postgres"]


def conditions(part: Any) -> Iterator[str]:
    """Yield the conditions of a play's tasks. Templates of other fields are rendered by the included role."""
    if isinstance(part, dict):
        yield from (str(part[name]) for name in ("when", "loop") if name in part)
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from conditions(item)


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_plays_condition_needs_no_default_of_a_role(path: Path) -> None:
    """A play evaluates it before the role's defaults exist, so a variable that is left out ends the run."""
    defaults = {name for file in ROLES.glob("*/defaults/main.yml") for name in read_yaml(file) or {}}
    shared = {name for file in (ROOT / "inventories/shared").glob("*.yml") for name in read_yaml(file)}
    used = set(re.findall(r"\w+", " ".join(conditions(yaml.safe_load(path.read_text())))))
    assert used & (defaults - shared) == set()
