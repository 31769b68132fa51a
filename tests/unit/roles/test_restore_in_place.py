"""A restore in place: what is refused, what is kept, and what an interrupted one left."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins import restores
from plugins.filter import restore, restore_schema
from tests.unit.playbooks import plain
from tests.unit.roles.modules import ROLES
from tests.unit.roles.restore_samples import ALL, GB, HERE, OPTIONS, evaluate


@pytest.mark.parametrize(("free", "keep"), [(5, True), (3, False)])
def test_the_old_data_are_kept_if_both_have_room(free: int, keep: bool) -> None:
    assert restore.plan(ALL, HERE | {"in_place": True, "free": free * GB})["keep"] is keep


def entry(release: str, result: str, hour: int) -> dict[str, Any]:
    return {"release": release, "result": result, "when": f"2026-11-29T{hour:02}:00:00Z"}


SERVED = [entry("r1", "migrated", 1), entry("r1", "done", 2)]


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        ([], ""),
        (SERVED, ""),
        ([*SERVED, entry("r2", "done", 5)], ""),
        (
            [*SERVED, entry("r2", "migrated", 4), entry("r2", "done", 5)],
            "release r2 migrated it on 2026-11-29T04:00:00Z",
        ),
        (
            [*SERVED, entry("r2", "migrated", 4)],
            "Release r1 fits it. Go back to it first (bin/fleet rollback r1, or playbooks/rollback.yml -e ",
        ),
        (
            [entry("r2", "migrated", 4)],
            "The log names no release that fits it. Choose a time after the migration, or restore with",
        ),
        ([*SERVED, entry("r1", "migrated", 4)], "and it migrated again since. Restore with -e restore_older_schema"),
    ],
)
def test_a_schema_older_than_the_release_is_refused(log: list[dict[str, Any]], sentence: str) -> None:
    found = restore_schema.schema_refusal(log, OPTIONS["to"])
    assert sentence in found
    assert bool(found) == bool(sentence)


def test_an_interrupted_restore_is_found_on_its_host() -> None:
    note = {"phase": "proven", "to": OPTIONS["to"], "kept": ""}
    content = b64encode(json.dumps(note).encode()).decode()
    hosts: list[dict[str, Any]] = [
        {"inventory_hostname": "db1", "restore_note": {"msg": "file not found", "failed": False}},
        {"inventory_hostname": "db2", "restore_note": {"content": content}},
    ]
    assert restore.begun(hosts, []) == {"host": "db2", "note": note}
    none = {"host": "", "note": {"phase": ""}}
    assert restore.begun(hosts[:1], []) == none
    # Somebody has given it up. After the promotion that would lose data.
    assert restore.begun(hosts, ["db1"]) == none
    hosts[1]["restore_note"] = {"content": b64encode(json.dumps(note | {"phase": "promoted"}).encode()).decode()}
    assert restore.begun(hosts, ["db1"])["host"] == "db2"


PLACE = {"phase": "proven", "to": OPTIONS["to"], "from": False}
LOST = PLACE | {"from": True}
COMPLETE = f"with `bin/fleet restore '{OPTIONS['to']}' --in-place --confirm shop`."
AGAIN = f'with `ansible-playbook site.yml -e restore_from="{OPTIONS["to"]}"`.'


@pytest.mark.parametrize(
    ("note", "masked", "restore_from", "sentence"),
    [
        ({}, False, "", ""),
        ({}, True, "", "Patroni is masked on db1, db2"),
        ({}, True, "latest", ""),
        (PLACE, True, "", f"{COMPLETE} To give it up, see docs/backups.md"),
        (PLACE, False, "", ""),  # given up
        (PLACE | {"phase": "forgotten"}, False, "", COMPLETE),
        (PLACE, True, "latest", COMPLETE),
        (LOST, True, "", AGAIN),
        (LOST, True, OPTIONS["to"], ""),
        (LOST, True, "latest", AGAIN),
        (LOST | {"phase": "stopped"}, True, "latest", ""),
        ({"phase": "promoted", "to": "latest"}, True, "", 'site.yml -e restore_from="latest"`.'),  # of an older version
    ],
)
def test_site_names_an_interrupted_restore_and_what_completes_it(
    note: dict[str, Any], masked: bool, restore_from: str, sentence: str
) -> None:
    records = {name: {"MASKED": "yes"} if masked else {} for name in ("db1", "db2")}
    records["db2"] |= {"RESTORE": json.dumps(note)} if note else {}
    found = restores.unfinished(records, restore_from, "shop")
    assert len(found) == bool(sentence)
    assert all(sentence in each for each in found)


def test_only_a_restore_in_place_touches_the_data_of_the_cluster_and_its_archive() -> None:
    beside, in_place = (evaluate("__restore_settings", whole) for whole in (False, True))
    assert (beside["archive_mode"], beside["archive_command"]) == ("off", "")
    assert "archive_mode" not in in_place
    assert (beside["listen_addresses"], in_place["listen_addresses"]) == ("127.0.0.1", "")
    assert all(one["synchronous_standby_names"] == one["primary_conninfo"] == "" for one in (beside, in_place))
    folders = [evaluate("__restore_folder", whole) for whole in (False, True)]
    assert folders == ["/var/lib/postgresql/17/beside", "/var/lib/postgresql/17/main"]
    assert evaluate("__restore_beside_folder", True) == folders[0]
    removed = (ROLES / "restore/tasks/remove.yml").read_text()
    assert "__restore_folder" not in removed
    assert "__restore_unit" not in removed


STOP = "systemctl stop"


@pytest.mark.parametrize(
    ("phase", "stopped"), [("", ["n2", "n1"]), ("proven", ["n2", "n1"]), ("promoted", ["n2", "n1"]), ("forgotten", [])]
)
def test_patroni_stops_on_all_hosts_the_primary_last(phase: str, stopped: list[str], tmp_path: Path) -> None:
    """Each host once had a state of its own, so the other hosts went on, and one of them became the primary."""

    def replaced(task: dict[str, Any]) -> dict[str, Any]:
        if "block" in task:
            return task | {"block": [replaced(each) for each in task["block"]]}
        if task.get("ansible.builtin.systemd_service", {}).get("state") != "stopped":
            return {"name": "Nothing", "ansible.builtin.meta": "noop"}
        return {
            "name": "Stop",
            "ansible.builtin.debug": {"msg": STOP + " {{ inventory_hostname }}"},
            "when": task["when"],
        }

    decided = {"restore_state": {"phase": phase}, "restore_primary": "n1"}
    tasks = [
        {"name": "Decide", "ansible.builtin.set_fact": decided, "run_once": True},
        *[replaced(task) for task in yaml.safe_load((ROLES / "restore/tasks/stop.yml").read_text())],
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    result = plain().run("-i", "n1,n2,", "-c", "local", "play.yml", folder=tmp_path)
    assert result.returncode == 0, result.stdout
    assert re.findall(f'"msg": "{STOP} (.*)"', result.stdout) == stopped
