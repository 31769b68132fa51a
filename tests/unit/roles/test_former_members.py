"""What the roles consider as left over from hosts that are no longer in the inventory, or no longer in a group."""

from __future__ import annotations

import re
import shutil
import socket
import sys
from base64 import b64encode
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from werkzeug import Request

from tests.support.sockets import free_port
from tests.unit.playbooks import plain, plays
from tests.unit.roles.json_server import answering
from tests.unit.roles.modules import read_yaml
from tests.unit.roles.nginx_server import render
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


APP1, APP2, APP3 = ({"name": f"app{number}", "address": f"10.0.0.1{number}"} for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("before", "now", "former"),
    [
        pytest.param([APP1, APP2], [APP2, APP3], ["10.0.0.11:8000"], id="one left, and a new one is not added yet"),
        pytest.param([APP1, APP2], [APP1, APP2, APP3], [], id="a new one"),
        pytest.param([APP2], [{**APP2, "address": "10.0.0.1"}], ["10.0.0.12:8000"], id="another address"),
        pytest.param([], [APP1], [], id="a fresh load balancer"),
    ],
)
def test_an_application_host_that_left_is_taken_out_of_the_upstream(
    before: list[dict[str, str]], now: list[dict[str, str]], former: list[str]
) -> None:
    def text(hosts: list[dict[str, str]]) -> str:
        return render(
            "upstream.conf.j2",
            nginx_upstream_hosts=hosts,
            nginx_upstream_port=8000,
            __nginx_drained={},
            __nginx_encrypts=False,
        )

    found = {"content": b64encode(text(before).encode()).decode()} if before else {"msg": "file not found"}
    given = {"nginx_upstream_hosts": now, "__nginx_upstream_file": found}
    assert evaluate("nginx", "__nginx_former", **given) == former
    if len(before) > 1:
        left = [host for host in before if f"{host['address']}:8000" not in former]
        servers = re.findall(r"server (\S+) (?:.*) # (\w+)", evaluate("nginx", "__nginx_upstream_of_members", **given))
        assert {*servers} == {(f"{host['address']}:8000", host["name"]) for host in left}


def run_tasks(folder: Path, role: str, entry: str, **variables: Any) -> str:
    """Run an entry point of a copy of a role that has `folder` instead of /etc, in check mode. Return the output."""
    shutil.copytree(ROOT / "roles" / role, folder / "roles" / role)
    tasks = folder / "roles" / role / "tasks" / f"{entry}.yml"
    tasks.write_text(tasks.read_text().replace("/etc/", f"{folder}/"))
    include = {"ansible.builtin.include_role": {"name": role, "tasks_from": entry}}
    given = variables | {"ansible_python_interpreter": sys.executable}
    play = {"hosts": "lb1", "gather_facts": False, "connection": "local", "vars": given, "tasks": [include]}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    return plain().run("-i", "lb1,", "--check", "play.yml", folder=folder).stdout


@pytest.mark.parametrize(
    ("present", "taken_out"), [([APP1, APP2], True), ([APP1], False), ([APP2], False), ([], False)]
)
def test_a_load_balancer_keeps_its_upstream_if_every_host_has_left(
    present: list[dict[str, str]], taken_out: bool, tmp_path: Path
) -> None:
    if present:
        text = render(
            "upstream.conf.j2",
            nginx_upstream_hosts=present,
            nginx_upstream_port=8000,
            __nginx_drained={},
            __nginx_encrypts=False,
        )
        (tmp_path / "nginx").mkdir()
        (tmp_path / "nginx/upstream.conf").write_text(text)
    output = run_tasks(tmp_path, "nginx", "former_hosts", nginx_upstream_hosts=[APP2, APP3])
    assert "failed=0" in output, output
    assert (re.search("Install the upstream without them.*\n(ok|changed)", output) is not None) == taken_out, output


@pytest.mark.parametrize(("peer", "serves"), [("127.0.0.1", True), ("127.0.0.2", True), ("127.0.0.1", False)])
def test_a_load_balancer_that_left_and_still_serves_is_refused(peer: str, serves: bool, tmp_path: Path) -> None:
    (tmp_path / "keepalived").mkdir()
    (tmp_path / "keepalived/keepalived.conf").write_text(f"    unicast_peer {{\n        {peer} # lb2\n    }}\n")
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) if serves else nullcontext():
        output = run_tasks(
            tmp_path,
            "keepalived",
            "check_members",
            keepalived_members=[{"name": "lb1", "address": "127.0.0.2"}],
            keepalived_vip="192.0.2.5",
            keepalived_check_port=port,
        )
    refused = peer == "127.0.0.1" and serves
    assert ("lb2 left the group loadbalancers, but still serves." in " ".join(output.split())) == refused, output
    assert ("failed=0" in output) != refused, output


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
    found = plays(ROOT / "playbooks/site.yml")
    entries = {
        (role["name"], role.get("tasks_from", "main")): number
        for number, play in enumerate(found)
        for task in play.get("tasks", [])
        if (role := task.get("ansible.builtin.include_role"))
    }
    firewall = next(number for number, play in enumerate(found) if {"role": "base"} in play.get("roles", []))
    for entry in (
        ("postgres", "check_members"),
        ("redis", "check_members"),
        ("etcd", "former_members"),
        ("etcd", "leave"),
        ("nginx", "former_hosts"),
        ("keepalived", "check_members"),
    ):
        assert entries[entry] < firewall
        assert "base" in found[entries[entry]]["tags"]
        assert found[entries[entry]]["any_errors_fatal"]
    # A host that only left the group is stopped first, and is drained before that.
    stop = next(number for number, play in enumerate(found) if "site_former_units" in play.get("vars", {}))
    assert entries["nginx", "former_hosts"] < stop < entries["keepalived", "check_members"]
    assert {*found[stop]["tags"]} <= {*found[entries["nginx", "former_hosts"]]["tags"]}
