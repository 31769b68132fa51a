"""The output of `make status`, and its time limit for hosts that are down."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.playbook.play_context import PlayContext

from tests.unit.tools.fleet_views import BACKED_UP, HEALTHY, HOSTS, NOTE, changed
from tools.fleet import status as status_module
from tools.fleet.context import Fleet, Host
from tools.fleet.inventory import Inventory, Shell, shell
from tools.fleet.notes import NO_BACKUPS
from tools.fleet.processes import this_run
from tools.fleet.status import settings, status
from tools.fleet.table import render, rows, sorted_by_tier
from tools.fleet.troubles import troubles
from tools.fleet.view import size

VIP = "10.0.0.5"
APPLICATION = {"app_port": 8000, "app_health_path": "/", "fleet_domain": "news.test"}
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
    """Return a host's row of the table, with runs of spaces reduced to one."""
    table = render(rows(HOSTS, view, VIP), 200)
    return " ".join(next(text for text in table.splitlines() if text.startswith(f"{name} ")).split())


def test_the_table_of_a_healthy_fleet() -> None:
    assert render(rows(HOSTS, HEALTHY, VIP), 120) == TABLE.strip()


@pytest.mark.parametrize(
    ("host", "facts", "row"),
    [
        ("app1", None, "app1 10.0.0.21 DOWN no answer over SSH; its groups: app"),
        ("mon1", None, "mon1 10.0.0.61 DOWN no answer over SSH; its groups: monitoring, etcd, sentinel"),
        ("app1", {"app": None}, "app1 10.0.0.21 unhealthy app NOT READY; release r1"),
        (
            "app1",
            {"system": "degraded", "failed": ["a.service"]},
            "app1 10.0.0.21 unhealthy app ready; release r1; has failed units: a.service",
        ),
        ("lb2", {"system": "starting"}, "lb2 10.0.0.12 unhealthy load balancer; is starting"),
        ("lb2", {"stopped": ["keepalived"]}, "lb2 10.0.0.12 unhealthy load balancer; does not run keepalived"),
        ("db2", {"postgres": None, "etcd": None}, "db2 10.0.0.42 unhealthy postgres DOWN; etcd DOWN 2/3"),
        (
            "cache2",
            {"cache": {"master": False, "linked": False}, "store": None, "sentinel": None},
            "cache2 10.0.0.52 unhealthy cache replica WITHOUT MASTER; store DOWN; sentinel DOWN 2/3",
        ),
    ],
)
def test_the_row_of_an_unhealthy_host(host: str, facts: dict[str, Any] | None, row: str) -> None:
    assert line(host, changed(**{host: facts})) == row


def test_a_standbys_row_shows_what_the_primary_reports() -> None:
    catching_up = HEALTHY["db1"] | {
        "postgres": {"primary": True, "standbys": {"db2": ["catchup", "async", 5 * 1024**3]}}
    }
    assert "postgres async standby, 5.0 GiB behind, CATCHUP" in line("db2", changed(db1=catching_up))
    assert "postgres standby NOT STREAMING" in line("db2", changed(db1=None))


def test_a_drained_hosts_row_shows_author_time_and_reason() -> None:
    view = changed(lb1={"drained": {"app1": NOTE}}, lb2={"drained": {}})
    assert line("app1", view) == (
        "app1 10.0.0.21 drained app ready; release r1; drained on lb1 only by kim since 2026-11-23T06:00:00Z: new disk"
    )


def test_roles_that_do_not_fit_continue_on_the_next_line() -> None:
    hosts = [Host("node1", "10.0.0.2", frozenset(group for host in HOSTS for group in host.groups))]
    master = {"master": True, "replicas": 0, "behind": {}}
    facts = HEALTHY["lb1"] | HEALTHY["app1"] | HEALTHY["db1"] | {"cache": master, "store": master, "sentinel": 1}
    lines = render(rows(hosts, {"node1": facts}, VIP), 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].endswith(";")
    assert lines[2].startswith(" " * 24)
    assert lines[-1].endswith("monitoring")


def test_colours_are_optional() -> None:
    broken = rows(HOSTS, changed(app1=None), VIP)
    assert "\033" not in render(broken, 120)
    assert "\033[31mDOWN" in render(broken, 120, colours=True)


@pytest.mark.parametrize(
    ("number", "text"), [(None, "?"), (0, "0 B"), (1023, "1023 B"), (2048, "2 KiB"), (5 * 1024**3, "5.0 GiB")]
)
def test_sizes_have_units(number: int | None, text: str) -> None:
    assert size(number) == text


def test_hosts_are_sorted_in_the_order_in_which_a_request_passes_them() -> None:
    assert sorted_by_tier(sorted(HOSTS, key=lambda host: host.name)) == HOSTS


def test_the_probes_settings_come_from_the_inventory() -> None:
    news = {"app_celery_app": "app.worker:celery_app", "app_health_path": "/healthz", "app_port": "9000"}
    news["fleet_domain"] = "news.test"
    lb1, _, app1, worker1, *_ = HOSTS
    assert settings(lb1, VIP, news)["units"] == ["nginx", "keepalived"]
    assert settings(lb1, "", news)["units"] == ["nginx"]
    issued = settings(lb1, "", news | {"nginx_acme_email": "ops@news.test"})
    assert issued["units"] == ["nginx", "site-certificate.timer"]
    assert (settings(app1, VIP, news)["port"], settings(app1, VIP, news)["health"]) == ("9000", "/healthz")
    assert settings(worker1, VIP, news)["units"] == ["haproxy", "celery-worker"]
    assert settings(worker1, VIP, news | {"app_celery_app": ""})["units"] == ["haproxy"]


scripts: dict[str, Path] = {}
# Accepts connections and never answers, like the kernel of a host whose processes are frozen.
frozen = socket.create_server(("127.0.0.1", 0))


def set_probe(name: str, command: str) -> None:
    """Replace a host's probe by a shell command."""
    scripts[name].write_text(f"#!/bin/sh\n{command}\n")
    scripts[name].chmod(0o755)


def read(_: Fleet) -> Inventory:
    """Return an inventory whose hosts are scripts on this machine. A host without a script is reached by SSH."""
    over_ssh = shell("app1", {"ansible_host": "127.0.0.1", "ansible_port": frozen.getsockname()[1]}, PlayContext())
    shells = {host.name: Shell([str(scripts[host.name])]) if host.name in scripts else over_ssh for host in HOSTS}
    return Inventory(HOSTS, shells, APPLICATION | {"fleet_name": "blue", "fleet_vip": VIP})


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setattr(status_module, "read", read)
    for name, facts in HEALTHY.items():
        scripts[name] = tmp_path / name
        set_probe(name, f"echo '{json.dumps(facts)}'")
    return Fleet("blue", "sandbox")


def test_a_fully_redundant_fleet_exits_with_success(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(fleet) == 0
    assert capsys.readouterr().out == (f"{TABLE.lstrip()}\n{NO_BACKUPS}\nblue is fully redundant: nothing is missing\n")


def test_hosts_that_are_down_delay_the_output_by_two_seconds_and_exit_with_failure(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    del scripts["app1"]
    set_probe("worker1", "exit 255")
    set_probe("lb2", "echo welcome")
    begin = time.monotonic()
    assert status(fleet) == 1
    assert time.monotonic() - begin < 4  # on a busy machine
    *_, last, step = capsys.readouterr().out.splitlines()
    assert step == "First step: start lb2, or replace it: `ansible-playbook playbooks/replace.yml -e replace_host=lb2`."
    assert last == "blue is not fully redundant: lb2 does not answer; app1 does not answer; worker1 does not answer"


def test_a_probe_that_does_not_end_counts_as_no_answer(
    fleet: Fleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_module, "PROBE_TIMEOUT", 0.3)
    set_probe("app1", "exec sleep 30")
    assert status(fleet) == 1
    assert "blue is not fully redundant: app1 does not answer\n" in capsys.readouterr().out


def test_json_has_the_same_facts(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    set_probe("app1", "exit 255")
    assert status(fleet, as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["fleet"], document["redundant"], document["missing"]) == ("blue", False, ["app1 does not answer"])
    assert {name: host["state"] for name, host in document["hosts"].items() if host["state"] != "ok"} == {
        "app1": "DOWN"
    }
    assert document["hosts"]["app1"]["facts"] == {}
    assert document["hosts"]["db1"]["facts"]["postgres"]["standbys"]["db2"] == ["streaming", "sync", 2048]


# Asks for the password `secret`, like sudo reads it, unless it needs none. Then it runs the command.
SUDO = """#!/bin/sh
case "$FREE $*" in
    yes*) ;;
    *" -n "*) echo "sudo: a password is required" >&2; exit 1 ;;
    *)
        read -r given
        [ "$given" = secret ] || ! read -r given || exec sleep 60 # asks again
        [ "$given" = secret ] || { printf 'Sorry, try again.\\nsudo: 1 incorrect attempt\\n' >&2; exit 1; }
        ;;
esac
while [ "$1" != true ] && [ "$1" != python3 ]; do shift; done
exec "$@"
"""


@pytest.mark.parametrize("free", ["yes", "no"])
@pytest.mark.parametrize(
    ("variables", "refused"),
    [
        ({}, "sudo: a password is required"),
        ({"ansible_become_password": "wrong"}, "sudo: 1 incorrect attempt"),
        ({"ansible_become_password": "secret"}, None),
        ({"ansible_become_method": "su"}, "sudo: a password is required"),
    ],
)
def test_the_probe_becomes_root_with_the_password_of_the_inventory(
    variables: dict[str, Any], refused: str | None, free: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {"id": "#!/bin/sh\necho 1000\n", "sudo": SUDO}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("FREE", free)
    root = shell("db1", variables | {"ansible_connection": "local"}, PlayContext())
    own = settings(Host("db1", "127.0.0.1", frozenset()), "", {})
    facts = status_module.probe(root, own)
    assert facts.get("refused") == (refused if free == "no" else None)
    assert ("system" in facts) == ("refused" not in facts)
    assert "secret" not in status_module.script(root, own) + repr(root), "arguments of processes can be read by others"


def test_a_host_that_refuses_root_is_not_called_down(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    set_probe("app1", "echo REFUSED=lecture; echo sudo: a password is required")
    assert status(fleet) == 1
    printed = capsys.readouterr().out
    assert "app1     10.0.0.21  unknown  sudo: a password is required; its groups: app\n" in printed
    assert "not fully redundant: app1 does not let its user become root: sudo: a password is required\n" in printed
    assert "First step: set ansible_become_password of app1 in the inventory" in printed


def test_a_trouble_that_leaves_the_fleet_redundant_is_not_called_missing_redundancy(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    set_probe("db1", f"echo '{json.dumps(HEALTHY['db1'] | {'restarts': {'patroni': 30}})}'")
    assert status(fleet) == 1
    printed = capsys.readouterr().out
    assert "unhealthy  postgres primary; etcd member 3/3; restarted patroni 30 times\n" in printed
    assert printed.endswith(
        "\nblue is fully redundant, but: db1 restarted patroni 30 times\n"
        "First step: check `journalctl -u patroni` on db1; see docs/operations.md#servicerestarting.\n"
    )
    assert status(fleet, as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["redundant"], document["missing"]) == (True, ["db1 restarted patroni 30 times"])
    assert document["steps"] == ["check `journalctl -u patroni` on db1; see docs/operations.md#servicerestarting"]


def test_a_running_deploy_is_shown_and_one_that_died_is_a_problem(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = {"action": "deploy", "release": "r2", "by": "kim", "when": "2026-11-23T06:00:00Z", "process": this_run()}
    for process, code, ends in (
        (lock["process"], 0, "is running\nblue is fully redundant: nothing is missing\n"),
        ({"node": "another", "pid": 1, "started": "1"}, 0, "is running\nblue is fully redundant: nothing is missing\n"),
        (this_run() | {"started": "1"}, 1, "that run takes over; see docs/operations.md#deploys.\n"),
    ):
        set_probe("db1", f"echo '{json.dumps(HEALTHY['db1'] | {'deploying': lock | {'process': process}})}'")
        assert status(fleet) == code
        printed = capsys.readouterr().out
        assert "the deploy of r2 that kim started at 2026-11-23T06:00:00Z " in printed
        assert printed.endswith(ends)


def test_rows_show_the_last_backup_and_until_when_wal_is_archived() -> None:
    archiver = {"last": 1795000050.0, "failing": False, "now": 1795000100.0}
    view = changed(mon1={"backups": BACKED_UP}, db1={"postgres": HEALTHY["db1"]["postgres"] | {"archiver": archiver}})
    text = render(rows(HOSTS, view, "10.0.0.5"), 200)
    assert "postgres primary, WAL archived until 2026-11-18 11:07:30 UTC; etcd" in text
    assert "monitoring; last backup 2026-11-18 11:06:40 UTC; last rehearsal 2026-11-17 07:20:00 UTC" in text
    assert troubles(HOSTS, view) == []
    view = changed(mon1={"backups": BACKED_UP | {"last": {"1": 0.0}}})
    assert "monitoring; no backup yet" in render(rows(HOSTS, view, "10.0.0.5"), 200)
