"""What the roles consider as left over from hosts that are no longer in the inventory, or no longer in a group."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from werkzeug import Request

from tests.unit.playbooks import plain
from tests.unit.roles.json_server import answering
from tests.unit.roles.modules import read_yaml
from tools.fleet.context import ROOT


def evaluate(role: str, name: str, **given: Any) -> Any:
    """Return the value of a role's private variable."""
    private = read_yaml(f"roles/{role}/vars/main.yml")
    variables = {key: trust_as_template(value) for key, value in private.items() if isinstance(value, str)}
    constants = {key: value for key, value in private.items() if not isinstance(value, str)}
    return Templar(DataLoader(), variables=constants | variables | given).template(variables[name])


MEMBERS = [{"name": "db1", "address": "10.0.0.1"}, {"name": "eu.db-2", "address": "10.0.0.2"}]
CACHES = [{"name": "cache1", "address": "10.0.0.1"}]


@pytest.mark.parametrize(
    ("unused", "config", "former"),
    [
        pytest.param(["db3"], {}, ["db3"], id="a former member"),
        pytest.param(["eu_db_2"], {}, [], id="a member that is down"),
        pytest.param(["etl"], {"slots": {"etl": {"type": "physical"}}}, [], id="configured by an operator"),
        pytest.param([], {}, [], id="none"),
    ],
)
def test_slots_of_former_members(unused: list[str], config: dict[str, Any], former: list[str]) -> None:
    slots = {"query_result": [{"slot_name": name} for name in unused]}
    found = evaluate(
        "postgres",
        "__postgres_former_slots",
        postgres_members=MEMBERS,
        __postgres_unused_slots=slots,
        __postgres_slot_config={"json": config},
    )
    assert found == former


def test_slots_of_former_members_before_they_are_listed() -> None:
    assert evaluate("postgres", "__postgres_former_slots", postgres_members=MEMBERS, __postgres_unused_slots={}) == []


@pytest.mark.parametrize(("leader", "former"), [("db1", []), ("db9", ["db9"])])
def test_a_primary_that_is_no_member(leader: str, former: list[str]) -> None:
    cluster = {"json": {"members": [{"name": leader, "role": "leader", "state": "running"}]}}
    found = evaluate("postgres", "__postgres_former_leaders", postgres_members=MEMBERS, __postgres_cluster=cluster)
    assert found == former


@pytest.mark.parametrize(
    ("primary", "former"),
    [({"primaries": {"cache": "10.0.0.1", "store": "10.0.0.9"}}, ["10.0.0.9"]), ({"skipped": True}, [])],
)
def test_a_master_that_is_no_member(primary: dict[str, Any], former: list[str]) -> None:
    assert evaluate("redis", "__redis_former_masters", redis_members=CACHES, __redis_primary=primary) == former


@pytest.mark.parametrize(
    ("members", "sentinels", "former"),
    [
        pytest.param(CACHES, CACHES, [], id="all groups"),
        pytest.param([], CACHES, ["redis@cache"], id="now a witness"),
        pytest.param(CACHES, [], ["redis-sentinel"], id="no Sentinel any more"),
    ],
)
def test_units_that_a_host_no_longer_runs(members: list[Any], sentinels: list[Any], former: list[str]) -> None:
    found = evaluate(
        "redis",
        "__redis_former_units",
        redis_address="10.0.0.1",
        redis_members=members,
        redis_witness_members=[host for host in sentinels if host not in members],
        redis_sentinel_members=sentinels,
        __redis_found={"files": [{"path": f"/etc/redis/{name}.conf"} for name in ("cache", "store", "fleet-sentinel")]},
    )
    assert found == former


def test_a_member_that_answers_over_ssh_removes_a_host_that_left_etcd() -> None:
    assert evaluate("etcd", "__etcd_reachable", etcd_members=MEMBERS, etcd_silent=["db1"]) == ["eu.db-2"]
    task = yaml.safe_load((ROOT / "roles/etcd/tasks/leave.yml").read_text())[1]["block"][0]
    assert task["delegate_to"] == "{{ __etcd_reachable | first }}"


PATRONI = {"members": [{"name": "db2", "role": "leader", "state": "running"}]}


@pytest.mark.parametrize("alive", ["1", "2", ""])
def test_the_first_patroni_that_answers_describes_the_cluster(alive: str, tmp_path: Path) -> None:
    def answer(request: Request) -> tuple[int, Any]:
        return (200, PATRONI) if request.host.partition(":")[0][-1] == alive else (503, {})

    with answering(answer, "0.0.0.0") as port:
        text = (ROOT / "roles/postgres/tasks/cluster.yml").read_text()
        (tmp_path / "cluster.yml").write_text(text.replace(":8008", f":{port}"))
        report = {"msg": "FOUND {{ __postgres_cluster.json.members[0].name }} {{ __postgres_api }}"}
        members = [{"name": f"db{number}", "address": f"127.0.1.{number}"} for number in (1, 2)]
        play = {
            "hosts": "db1",
            "gather_facts": False,
            "connection": "local",
            "vars": {"postgres_members": members, "ansible_python_interpreter": sys.executable},
            "tasks": [{"ansible.builtin.import_tasks": "cluster.yml"}, {"ansible.builtin.debug": report}],
        }
        (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
        result = plain().run("-i", "db1,", "play.yml", folder=tmp_path)
    found = re.findall('FOUND ([^"]*)', result.stdout)
    assert found == ([f"db2 http://127.0.1.{alive}:{port}"] if alive else []), result.stdout + result.stderr
    assert ("Patroni answers on none of db1, db2" in " ".join(result.stdout.split())) == (not alive)


def test_site_removes_former_members_before_their_ports_close() -> None:
    plays: list[dict[str, Any]] = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
    entries = {
        (role["name"], role.get("tasks_from", "main")): number
        for number, play in enumerate(plays)
        for task in play.get("tasks", [])
        if (role := task.get("ansible.builtin.include_role"))
    }
    firewall = next(number for number, play in enumerate(plays) if {"role": "base"} in play.get("roles", []))
    for entry in (
        ("postgres", "check_members"),
        ("redis", "check_members"),
        ("etcd", "former_members"),
        ("etcd", "leave"),
    ):
        assert entries[entry] < firewall
        assert "base" in plays[entries[entry]]["tags"]
        assert plays[entries[entry]]["any_errors_fatal"]
