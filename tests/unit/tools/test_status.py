"""What `make status` prints, and that a host which is down does not make it wait."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.fleet_views import HOSTS, WELL, but
from tools.fleet import status as status_module
from tools.fleet.context import Fleet, Host
from tools.fleet.processes import this_run
from tools.fleet.status import settings, status
from tools.fleet.table import in_order, render, rows, size

VIP = "10.0.0.5"
NOTE = {"by": "kim", "when": "2026-11-23T06:00:00Z", "why": "new disk"}
TABLE = """
HOST     ADDRESS    STATE  ROLES
lb1      10.0.0.11  ok     load balancer with 10.0.0.5
lb2      10.0.0.12  ok     load balancer
app1     10.0.0.21  ok     app ready; release r1
worker1  10.0.0.31  ok     worker and beat; release r1
db1      10.0.0.41  ok     postgres primary; etcd member 3/3
db2      10.0.0.42  ok     postgres sync standby, 2 KiB behind; etcd leader 3/3
cache1   10.0.0.51  ok     cache master; store master; sentinel 3/3
cache2   10.0.0.52  ok     cache replica, 0 B behind; store replica, 0 B behind; sentinel 3/3
mon1     10.0.0.61  ok     store replica, 3 MiB behind; etcd member 3/3; sentinel 3/3; monitoring
"""


def line(name: str, view: dict[str, dict[str, Any]]) -> str:
    """A host's line of the table, spaces made one."""
    table = render(rows(HOSTS, view, VIP), 200)
    return " ".join(next(text for text in table.splitlines() if text.startswith(f"{name} ")).split())


def test_the_table_of_a_whole_fleet() -> None:
    assert render(rows(HOSTS, WELL, VIP), 120) == TABLE.strip()


@pytest.mark.parametrize(
    ("host", "facts", "says"),
    [
        ("app1", None, "app1 10.0.0.21 DOWN no answer over SSH; it should be in app"),
        ("mon1", None, "mon1 10.0.0.61 DOWN no answer over SSH; it should be in monitoring, etcd, sentinel"),
        ("app1", {"app": None}, "app1 10.0.0.21 unwell app NOT READY; release r1"),
        (
            "app1",
            {"system": "degraded", "failed": ["a.service"]},
            "app1 10.0.0.21 unwell app ready; release r1; has failed units: a.service",
        ),
        ("lb2", {"system": "starting"}, "lb2 10.0.0.12 unwell load balancer; is starting"),
        ("lb2", {"stopped": ["keepalived"]}, "lb2 10.0.0.12 unwell load balancer; does not run keepalived"),
        ("db2", {"postgres": None, "etcd": None}, "db2 10.0.0.42 unwell postgres DOWN; etcd DOWN 2/3"),
        (
            "cache2",
            {"cache": {"master": False, "linked": False}, "store": None, "sentinel": None},
            "cache2 10.0.0.52 unwell cache replica WITHOUT MASTER; store DOWN; sentinel DOWN 2/3",
        ),
    ],
)
def test_the_line_of_a_host_that_is_not_well(host: str, facts: dict[str, Any] | None, says: str) -> None:
    assert line(host, but(**{host: facts})) == says


def test_standbys_are_told_by_what_the_primary_says_of_them() -> None:
    catching_up = WELL["db1"] | {"postgres": {"primary": True, "standbys": {"db2": ["catchup", "async", 5 * 1024**3]}}}
    assert "postgres async standby, 5.0 GiB behind, CATCHUP" in line("db2", but(db1=catching_up))
    assert "postgres standby NOT STREAMING" in line("db2", but(db1=None))


def test_a_drained_host_says_who_when_and_why() -> None:
    view = but(lb1={"drained": {"app1": NOTE}}, lb2={"drained": {}})
    assert line("app1", view) == (
        "app1 10.0.0.21 drained app ready; release r1; drained on lb1 alone by kim since 2026-11-23T06:00:00Z: new disk"
    )


def test_roles_that_do_not_fit_go_on_below() -> None:
    hosts = [Host("node1", "10.0.0.2", frozenset(group for host in HOSTS for group in host.groups))]
    master = {"master": True, "replicas": 0, "behind": {}}
    facts = WELL["lb1"] | WELL["app1"] | WELL["db1"] | {"cache": master, "store": master, "sentinel": 1}
    lines = render(rows(hosts, {"node1": facts}, VIP), 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].endswith(";")
    assert lines[2].startswith(" " * 24)
    assert lines[-1].endswith("monitoring")


def test_only_a_terminal_gets_colours() -> None:
    broken = rows(HOSTS, but(app1=None), VIP)
    assert "\033" not in render(broken, 120)
    assert "\033[31mDOWN" in render(broken, 120, colours=True)


@pytest.mark.parametrize(
    ("number", "text"), [(None, "?"), (0, "0 B"), (1023, "1023 B"), (2048, "2 KiB"), (5 * 1024**3, "5.0 GiB")]
)
def test_sizes_are_written_as_people_read_them(number: int | None, text: str) -> None:
    assert size(number) == text


def test_hosts_stand_in_the_order_in_which_a_request_meets_them() -> None:
    assert in_order(sorted(HOSTS, key=lambda host: host.name)) == HOSTS


def test_a_host_is_asked_for_what_its_inventory_gives_it() -> None:
    news = {"app_celery_app": "app.worker:celery_app", "app_health_path": "/healthz"}
    lb1, _, app1, worker1, *_ = HOSTS
    assert settings(lb1, VIP, news)["units"] == ["nginx", "keepalived"]
    assert settings(lb1, "", news)["units"] == ["nginx"]
    assert settings(app1, VIP, news)["health"] == "/healthz"
    assert settings(worker1, VIP, news)["units"] == ["celery-worker"]
    assert settings(worker1, VIP, {"app_celery_app": ""})["units"] == []


class FakeFleet(Fleet):
    """A fleet whose hosts are scripts on this machine; one without a script is asked by SSH."""

    def outputs(self) -> dict[str, Any]:
        groups = {
            group: {"hosts": [host.name for host in hosts if group in host.groups]}
            for host in hosts
            for group in host.groups
        }
        addresses = {host.name: {"ansible_host": host.address} for host in hosts}
        return {"inventory": groups | {"_meta": {"hostvars": addresses}, "all": {"vars": {"fleet_vip": VIP}}}}

    def ssh_command(self, host: Host) -> list[str]:
        if host.name in scripts:
            return [str(scripts[host.name])]
        ssh, *arguments = super().ssh_command(host)
        return [ssh, "-p", str(frozen.getsockname()[1]), *arguments]


hosts: list[Host] = []
scripts: dict[str, Path] = {}
# Takes connections and says nothing, as the kernel of a host does whose processes stand still.
frozen = socket.create_server(("127.0.0.1", 0))


def does(name: str, command: str) -> None:
    """Have a host answer the probe by a shell's command."""
    scripts[name].write_text(f"#!/bin/sh\n{command}\n")
    scripts[name].chmod(0o755)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    hosts[:] = HOSTS
    for name, facts in WELL.items():
        scripts[name] = tmp_path / name
        does(name, f"echo '{json.dumps(facts)}'")
    return FakeFleet("blue", "sandbox")


def test_a_whole_fleet_ends_with_success(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(fleet) == 0
    assert capsys.readouterr().out == f"{TABLE.lstrip()}\nblue is whole: nothing is missing\n"


def test_hosts_that_are_down_cost_two_seconds_and_success(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    hosts[hosts.index(HOSTS[2])] = Host("app1", "127.0.0.1", HOSTS[2].groups)
    del scripts["app1"]
    does("worker1", "exit 255")
    does("lb2", "echo welcome")
    begin = time.monotonic()
    assert status(fleet) == 1
    assert time.monotonic() - begin < 4  # on a busy machine
    *_, last = capsys.readouterr().out.splitlines()
    assert last == "blue is not whole: lb2 does not answer; app1 does not answer; worker1 does not answer"


def test_a_host_that_stops_in_the_middle_is_given_up(
    fleet: Fleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_module, "PATIENCE", 0.3)
    does("app1", "exec sleep 30")
    assert status(fleet) == 1
    assert "blue is not whole: app1 does not answer\n" in capsys.readouterr().out


def test_programs_get_the_same_as_json(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    does("app1", "exit 255")
    assert status(fleet, as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["fleet"], told["whole"], told["missing"]) == ("blue", False, ["app1 does not answer"])
    assert {name: host["state"] for name, host in told["hosts"].items() if host["state"] != "ok"} == {"app1": "DOWN"}
    assert told["hosts"]["app1"]["facts"] == {}
    assert told["hosts"]["db1"]["facts"]["postgres"]["standbys"]["db2"] == ["streaming", "sync", 2048]


def test_who_deploys_is_told_and_a_run_that_died_is_missing(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    lock = {"action": "deploy", "release": "r2", "by": "kim", "when": "2026-11-23T06:00:00Z", "process": this_run()}
    for process, code, ends in (
        (lock["process"], 0, "is under way\nblue is whole: nothing is missing\n"),
        ({"node": "another", "pid": 1, "started": "1"}, 0, "is under way\nblue is whole: nothing is missing\n"),
        (this_run() | {"started": "1"}, 1, "is dead (the next one takes over)\n"),
    ):
        does("db1", f"echo '{json.dumps(WELL['db1'] | {'deploying': lock | {'process': process}})}'")
        assert status(fleet) == code
        printed = capsys.readouterr().out
        assert "the deploy of r2 that kim began at 2026-11-23T06:00:00Z is " in printed
        assert printed.endswith(ends)
