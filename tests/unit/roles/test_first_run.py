"""The first run of a fleet, or of a new host, is for every tier; runs for a part of the fleet come later."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from plugins import first_run
from plugins.action import fleet_check_hosts as check
from tests.unit.playbooks import of_the_project, plays
from tools.fleet.context import ROOT

HOSTS = ("lb1", "app1")
# Answers the probe like a host of another Debian, which stops each run. A host with a file of its name is set up, and
# the file has more lines of its answer.
SSH = """#!/bin/sh
for host in "$(dirname "$0")"/*.example; do
    case $* in *"${host##*/} "*) echo SET_UP=yes; cat "$host" ;; esac
done
echo ID=debian
echo VERSION_ID=12
"""


def test_the_first_run_needs_every_host_and_later_runs_do_not() -> None:
    down = ["db1 does not answer"]
    (sentence,) = first_run.without(down, [False])
    assert sentence.startswith("db1 does not answer. No host is set up yet, so the first run needs all of them")
    assert first_run.without(down, [False, True]) == []
    # Hosts that are all dead are reported by another check.
    assert first_run.without(down, []) == []


@pytest.mark.parametrize(
    ("playbook", "set_up", "elsewhere", "begins"),
    [
        ("install", {"app1": False, "db1": False}, {}, True),
        ("install", {"app1": False}, {"db1": False}, False),
        ("install", {"app1": False}, {"db1": True}, True),  # site.yml --limit, for a new host or one that was replaced
        ("refuse", {"app1": False, "db1": False}, {}, False),  # site.yml --tags
        ("refuse", {"app1": False, "db1": True}, {}, False),
        ("refuse", {"app1": True, "db1": True}, {}, True),
        ("refuse", {"app1": True}, {}, True),
        ("ignore", {"app1": False}, {"db1": False}, False),  # other playbooks
        ("ignore", {"app1": False}, {"db1": True}, True),
        ("ignore", {}, {}, True),
    ],
)
def test_a_partial_run_begins_only_with_hosts_that_are_set_up(
    playbook: str, set_up: dict[str, bool], elsewhere: dict[str, bool], begins: bool
) -> None:
    sentences = first_run.refused(playbook, set_up, elsewhere, list(elsewhere))
    assert len(sentences) == (0 if begins else 1)


def test_a_refused_first_run_names_the_reason_and_the_command() -> None:
    (sentence,) = first_run.refused("install", {"app1": False}, {"db1": False}, ["lb1", "db1"])
    assert sentence.startswith("No host that answers is set up yet, and this run leaves out db1, lb1. ")
    assert sentence.endswith("Run 'ansible-playbook site.yml' for the whole fleet first, without --limit and --tags.")
    (sentence,) = first_run.refused("refuse", {"lb3": False, "lb1": True}, {}, [])
    assert sentence.startswith("Not set up yet: lb3. First run 'ansible-playbook site.yml --limit lb3' without --tags")


EMPTY, DATABASE = {"TIERS": ""}, {"TIERS": "patroni.service.d "}
SERVING = {"TIERS": "", "SERVES": "/opt/shop/current/release.env "}


@pytest.mark.parametrize(
    ("group", "others", "refused"),
    [
        ({"db3": EMPTY, "db4": EMPTY}, {"app1": SERVING}, True),  # db1 and db2 were replaced in one edit
        ({"db3": EMPTY, "db4": EMPTY}, {"app1": SERVING, "db1": DATABASE}, True),  # db1 left the group only
        ({"db1": DATABASE, "db3": EMPTY}, {"app1": SERVING}, False),  # one after the other
        ({"db1": EMPTY, "db2": DATABASE}, {}, False),  # replace.yml, whose run has only the empty host
        ({"db1": EMPTY, "db2": EMPTY}, {"app1": EMPTY}, False),  # a first run, or one that stopped halfway
        ({"db1": EMPTY}, {}, False),  # a fleet of one host that was lost
        ({"db3": EMPTY, "db2": None}, {"app1": SERVING}, False),  # db2 is down, and may have the data
        ({"db3": None, "db4": None}, {"app1": SERVING}, False),  # another check refuses this
        ({"db3": {**SERVING, "TIERS": "etcd.service.d redis@.service "}}, {}, True),
    ],
)
def test_a_group_does_not_begin_empty_beside_its_old_data(
    group: dict[str, dict[str, str] | None], others: dict[str, dict[str, str]], refused: bool
) -> None:
    records = {host: fields for host, fields in (group | others).items() if fields is not None}
    groups = {"postgres": list(group)}
    run = {host: fields for host, fields in records.items() if host in group}
    new = first_run.new_groups(groups, run)
    assert len(first_run.emptied(new, groups, records)) == refused


def test_a_group_that_would_begin_empty_is_named_with_the_ways_on() -> None:
    groups = {"postgres": ["db3", "db4"]}
    (sentence,) = first_run.emptied(["postgres"], groups, {"db3": EMPTY, "db4": EMPTY, "app1": SERVING})
    assert sentence.startswith("No host of group postgres (db3, db4) has its data, but app1 has a release already")
    assert "remove.yml" in sentence
    assert "-e preflight_allow_empty_groups=true" in sentence


def test_a_host_answers_with_its_tiers_its_release_and_an_unfinished_restore(tmp_path: Path) -> None:
    for name in ("opt/shop/current/release.env", "etc/redis@.service", "etc/patroni.service.d/fleet.conf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "etc/patroni.service").symlink_to("/dev/null")
    (tmp_path / "restore.json").write_text('{"phase": "stopped"}\n')
    script = check.probe_script({}, ["true"]).replace("/etc/systemd/system", f"{tmp_path}/etc")
    script = script.replace("/var/lib/flaskfleet", str(tmp_path))
    found = check.probe("db1", "10.0.0.11", ["sh", "-c", script.replace("/opt", f"{tmp_path}/opt")], "", timeout=3)
    assert found.fields["TIERS"].split() == ["patroni.service.d", "redis@.service"]
    assert found.fields["SERVES"].strip() == f"{tmp_path}/opt/shop/current/release.env"
    assert (found.fields["RESTORE"], found.fields["MASKED"]) == ('{"phase": "stopped"}', "yes")
    (tmp_path / "etc/patroni.service").unlink()
    found = check.probe("db1", "10.0.0.11", ["sh", "-c", script], "", timeout=3)
    assert "MASKED" not in found.fields


@pytest.mark.parametrize("group", first_run.DATA)
def test_the_role_of_a_group_with_data_writes_the_file_that_shows_it(group: str) -> None:
    tasks = " ".join(path.read_text() for path in (ROOT / "roles" / group / "tasks").glob("*.yml"))
    assert first_run.DATA[group] in tasks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An inventory of two hosts in every group, with an `ssh` that answers for them."""
    (tmp_path / "password").write_text("a password\n")  # none is generated in a clone whose fleets have vaults
    (tmp_path / "ssh").write_text(SSH)
    (tmp_path / "ssh").chmod(0o755)
    groups = ("loadbalancers", "app", "workers", "postgres", "etcd", "redis", "sentinel", "monitoring")
    hosts = ", ".join(
        f"{name}: {{ansible_host: {name}.example, fleet_address: 192.0.2.{number}}}"
        for number, name in enumerate(HOSTS, 1)
    )
    children = ", ".join(f"{group}: {{hosts: {{{hosts}}}}}" for group in groups)
    (tmp_path / "inventory/group_vars/all").mkdir(parents=True)
    (tmp_path / "inventory/hosts.yml").write_text(f"all: {{children: {{{children}}}}}\n")
    (tmp_path / "inventory/group_vars/all/00_shared").symlink_to(ROOT / "inventories/shared")
    return tmp_path


@pytest.mark.parametrize(
    ("playbook", "options", "set_up", "refused"),
    [
        ("site.yml", ["--tags=nginx"], [], "this run leaves out some tiers"),
        ("site.yml", ["--limit=app1"], [], "this run leaves out lb1"),
        ("playbooks/deploy.yml", [], [], "this run leaves out some tiers"),
        ("site.yml", ["--skip-tags=nginx"], [], "this run leaves out some tiers"),
        ("site.yml", ["--skip-tags=notest,molecule-notest"], [], ""),
        ("site.yml", [], [], ""),
        ("site.yml", ["--limit=app1"], ["lb1"], ""),  # a new host
        ("site.yml", ["--limit=lb1", "--tags=nginx"], ["lb1"], ""),
    ],
)
def test_a_playbook_tells_preflight_what_it_installs(
    folder: Path, playbook: str, options: list[str], set_up: list[str], refused: str
) -> None:
    for host in set_up:
        (folder / f"{host}.example").touch()
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    environment["FLASKFLEET_VAULT_PASSWORD_FILE"] = str(folder / "password")
    result = of_the_project().run(f"--inventory={folder}/inventory", playbook, *options, environment=environment)
    assert result.returncode != 0
    assert "instead of preflight_debian_version" in result.stdout + result.stderr, "preflight has not checked the hosts"
    found = [line for line in (result.stdout + result.stderr).splitlines() if "et up yet" in line]
    assert bool(found) == bool(refused)
    assert all(refused in line for line in found)


@pytest.mark.parametrize(
    ("lb1", "options", "refused"),
    [
        ("", [], ["etcd", "postgres", "redis"]),
        ("TIERS=patroni.service.d redis@.service", [], ["etcd"]),
        ("", ["-e", "preflight_allow_empty_groups=true"], []),
        ("", ["--limit=lb1"], ["etcd", "postgres", "redis"]),  # app1 is queried as well
        (None, [], ["etcd", "postgres", "redis"]),  # lb1 is new
    ],
)
def test_preflight_refuses_to_found_a_second_cluster(
    folder: Path, lb1: str | None, options: list[str], refused: list[str]
) -> None:
    if lb1 is not None:
        (folder / "lb1.example").write_text(f"{lb1}\n")
    (folder / "app1.example").write_text("SERVES=/opt/shop/current/release.env\n")
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    environment["FLASKFLEET_VAULT_PASSWORD_FILE"] = str(folder / "password")
    result = of_the_project().run(f"--inventory={folder}/inventory", "site.yml", *options, environment=environment)
    output = result.stdout + result.stderr
    assert "instead of preflight_debian_version" in output, "preflight has not checked the hosts"
    found = re.findall(r"No host of group (\w+) \(lb1, app1\) has its data", output)
    assert list(dict.fromkeys(found)) == refused


RESTORE_FROM = ["-e", 'restore_from="2026-11-29 03:00:00+00"']


@pytest.mark.parametrize(
    ("playbook", "options", "begun", "refused"),
    [
        ("site.yml", [], False, True),
        ("site.yml", ["--tags=postgres"], False, True),
        ("site.yml", ["--tags=backup"], False, False),  # it may be what the restore needs
        ("playbooks/deploy.yml", [], False, True),
        ("playbooks/rollback.yml", [], False, False),  # it does not need the database
        ("site.yml", RESTORE_FROM, False, True),
        ("site.yml", RESTORE_FROM, True, False),
    ],
)
def test_nobody_uses_a_database_whose_restore_was_interrupted(
    folder: Path, playbook: str, options: list[str], begun: bool, refused: bool
) -> None:
    note = {"phase": "proven", "to": "2026-11-29 03:00:00+00", "from": begun}
    (folder / "lb1.example").write_text(f"MASKED=yes\nRESTORE={json.dumps(note)}\n")
    (folder / "app1.example").write_text("MASKED=yes\n")
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    environment["FLASKFLEET_VAULT_PASSWORD_FILE"] = str(folder / "password")
    result = of_the_project().run(f"--inventory={folder}/inventory", playbook, *options, environment=environment)
    output = " ".join((result.stdout + result.stderr).split())
    assert "instead of preflight_debian_version" in output, "preflight has not checked the hosts"
    assert ("A restore in place to 2026-11-29 03:00:00+00 was interrupted on lb1. Complete it" in output) == refused
    assert "Patroni is masked" not in output


def test_the_playbook_knows_the_tags_of_its_tiers() -> None:
    found = plays(ROOT / "playbooks/site.yml")
    tags = {tag for play in found for tag in play.get("tags", [])}
    (tiers,) = (play["vars"]["site_tiers"] for play in found if "site_tiers" in play["vars"])
    assert {*tiers} == tags - {"always"}


@pytest.mark.parametrize(("playbook", "refused"), [("playbooks/deploy.yml", True), ("playbooks/rollback.yml", False)])
def test_preflight_refuses_a_shared_folder_that_is_not_mounted(folder: Path, playbook: str, refused: bool) -> None:
    (folder / "lb1.example").write_text("MOUNT=nfs4 \n")
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    environment["FLASKFLEET_VAULT_PASSWORD_FILE"] = str(folder / "password")
    options = ["-e", "app_shared_mount=/mnt/x"]
    result = of_the_project().run(f"--inventory={folder}/inventory", playbook, *options, environment=environment)
    found = "app_shared_mount = /mnt/x is not mounted on app1, " in result.stdout + result.stderr
    assert found == refused
