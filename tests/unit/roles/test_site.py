"""The report at the end of site.yml, and the checks of replace.yml and remove.yml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.filter.site import TIER_UNITS, emptied_groups, former_units, site_report, tier_files, written_units
from tests.unit.playbooks import plays
from tests.unit.roles.modules import ROLES, read_yaml
from tools.fleet.context import ROOT

UNITS = "/etc/systemd/system/"
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


TIERS = {"loadbalancers", "app", "workers", "postgres", "monitoring"}


@pytest.mark.parametrize("left", ["loadbalancers", "app", "workers", "postgres", "monitoring", "app workers"])
def test_a_host_that_leaves_a_tier_stops_its_units_and_no_others(left: str) -> None:
    every = [f"{UNITS}{name}" for name in tier_files([])]
    groups = TIERS - {*left.split()} | {"etcd"}
    gone = [*left.split(), *([left] if " " in left else [])]
    assert former_units(every, TIERS) == []
    assert former_units(every, groups) == [unit for tier in gone for unit in TIER_UNITS[tier][1]]
    assert {*tier_files(groups)} == {name for tier in gone for name in [TIER_UNITS[tier][0], *TIER_UNITS[tier][1]]}
    # Somebody else's nginx stays.
    marks = [TIER_UNITS[tier][0] for tier in gone]
    assert former_units([path for path in every if path.rpartition("/")[2] not in marks], groups) == []


# The roles that write the units of a tier, or install the package that has them.
TIER_ROLES = {
    "loadbalancers": ["nginx", "keepalived"],
    "app": ["app"],
    "workers": ["celery"],
    "app workers": ["haproxy"],
    "postgres": ["postgres", "pgbackrest"],
    "monitoring": ["prometheus", "alertmanager", "grafana"],
}


@pytest.mark.parametrize("tier", TIER_UNITS)
def test_the_units_of_a_tier_are_those_that_its_roles_write_or_start(tier: str) -> None:
    files = [
        path for role in TIER_ROLES[tier] for path in (ROLES / role).rglob("*.*") if path.suffix in (".yml", ".j2")
    ]
    text = "".join(path.read_text() for path in files)
    mark, units = TIER_UNITS[tier]
    assert [name for name in [mark, *units] if name.removesuffix(".d").removesuffix(".service") not in text] == []
    written = {
        name
        for name in re.findall(rf"{UNITS}([-\w]+\.(?:service|socket|timer))\b", text)
        if name.removesuffix(".service") + ".timer" not in units
    }
    assert written <= {*units}


def test_site_stops_the_services_of_former_tiers_before_their_ports_close() -> None:
    found = plays(ROOT / "playbooks/site.yml")
    names = [play["name"] for play in found]
    stop = names.index("Stop the services of tiers that hosts have left")
    assert names.index("Refuse to cut off a leader that has left its group") < stop < names.index("Set up every host")
    assert {"base", "postgres", "haproxy", "app", "celery", "nginx", "monitoring"} == {*found[stop]["tags"]}


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
