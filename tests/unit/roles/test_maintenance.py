"""The plan, the summary and the error message of a maintenance."""

from __future__ import annotations

from typing import Any

import yaml

from plugins.filter import maintenance
from tests.unit.roles.modules import ROLES

SIMULATED = """Reading package lists...
The following packages have been kept back:
  nginx
Inst curl [8.14.1-2] (8.14.1-2+deb13u2 Debian:13.2/stable, Debian-Security:13/stable-security [amd64]) [libc6:amd64 ]
Inst linux-image-6.12.57+deb13-amd64 (6.12.57-1 Debian-Security:13/stable-security [amd64])
Conf curl (8.14.1-2+deb13u2 Debian:13.2/stable [amd64])
"""
ORDER = ["app1", "db2", "db1"]
REDUNDANT: dict[str, Any] = {"missing": [], "first_step": ""}
WITHOUT_DB2 = {"missing": ["db2 does not answer", "no standby is synchronous"], "first_step": "start db2"}


def host(name: str, packages: list[str] | None = None, needs: list[str] | None = None, **more: Any) -> dict[str, Any]:
    return {"inventory_hostname": name, "maintain_packages": packages or [], "maintain_needs": needs or [], **more}


def failed(name: str, task: str, action: str, msg: str) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "ansible_failed_task": {"name": task, "action": action},
        "ansible_failed_result": {"msg": msg},
    }
    return host(name, maintain_done=False, **facts)


HOSTS = [host("db1", needs=["required by linux"]), host("db2"), host("app1", ["curl 1 → 2"])]


def test_the_packages_to_upgrade_come_from_apts_simulation() -> None:
    assert maintenance.upgrades(SIMULATED) == [
        "curl 8.14.1-2 → 8.14.1-2+deb13u2",
        "linux-image-6.12.57+deb13-amd64 6.12.57-1 (new)",
    ]
    assert maintenance.upgrades("0 upgraded, 0 newly installed, 0 to remove and 3 not upgraded.") == []


def test_hosts_without_work_are_not_queued() -> None:
    assert maintenance.queue(HOSTS, ORDER, "auto") == ["app1", "db1"]
    assert maintenance.queue(HOSTS, ORDER, "never") == ["app1"]
    assert maintenance.queue(HOSTS, ORDER, "always") == ORDER


def test_the_plan_has_the_work_of_each_host_and_its_reason() -> None:
    assert maintenance.plan(HOSTS, ORDER, "auto") == [
        "app1: upgrade curl 1 → 2, then reboot if the upgrade requires it",
        "db2: nothing to do",
        "db1: reboot (required by linux)",
    ]
    assert maintenance.plan(HOSTS, ORDER, "never")[2] == "db1: no reboot, although required by linux"
    assert maintenance.plan(HOSTS, ORDER, "always")[1] == "db2: reboot"


def test_the_summary_names_hosts_that_still_need_a_reboot() -> None:
    assert maintenance.summary([host("app1")], ["app1"]) == "Maintained, one after another: app1."
    text = maintenance.summary([host("app1", needs=["required by linux"])], [])
    assert text == "No host had any work to do. Still to be rebooted: app1 (required by linux)."


def test_a_refusal_explains_that_no_host_was_touched_and_what_to_do() -> None:
    lacking = failed("app1", "Require", "ansible.builtin.assert", "the fleet lacks db2")
    assert maintenance.stop([lacking, host("db1")], "", [], WITHOUT_DB2) == (
        "No host was taken out of service: the fleet lacks db2. To repair it: start db2. Then run this again."
    )


def test_a_host_that_does_not_come_back_is_named_with_its_task_and_the_remaining_hosts() -> None:
    gone = failed("db2", "Reboot it", "ansible.builtin.reboot", "Timed out waiting for last boot time check")
    hosts = [host("app1", maintain_done=True), gone, host("db1", maintain_done=False)]
    assert maintenance.stop(hosts, "db2", ORDER, WITHOUT_DB2) == (
        'db2 did not come back from its maintenance, so the run stopped: it failed at "Reboot it" with: Timed out '
        "waiting for last boot time check. Missing now: db2 does not answer; no standby is synchronous. "
        "To repair it: start db2. Then run this again: it puts db2 back and goes on. Done: app1. Not touched: db1."
    )


def test_a_host_that_does_not_answer_is_named_without_an_error() -> None:
    hosts = [host("app1", maintain_done=False), host("db2")]
    text = maintenance.stop(hosts, "app1", ["app1", "db2"], WITHOUT_DB2)
    assert text.startswith(
        "app1 did not come back from its maintenance, so the run stopped: it did not answer any more. Missing now: "
    )


def test_a_host_that_serves_again_is_not_reported_as_lost() -> None:
    hosts = [failed("app1", "Drain it", "nginx_upstream", "nginx did not reload"), host("db2")]
    assert maintenance.stop(hosts, "app1", ["app1", "db2"], REDUNDANT) == (
        'The run stopped while app1 was in maintenance: it failed at "Drain it" with: nginx did not reload. '
        "Nothing is missing now: app1 is in service. Run this again: it goes on. Not touched: db2."
    )


def test_a_run_that_stops_between_two_hosts_names_the_next_one() -> None:
    lacking = failed("db2", "Require", "ansible.builtin.assert", "the fleet lacks db1")
    text = maintenance.stop([host("app1", maintain_done=True), lacking], "app1", ["app1", "db2"], REDUNDANT)
    assert text == "The run stopped before db2: the fleet lacks db1. Done: app1."


def test_an_interrupted_upgrade_ends_before_the_host_is_back_in_service() -> None:
    names = [task["name"] for task in yaml.safe_load((ROLES / "maintain/tasks/put_back_leftovers.yml").read_text())]
    finish, back = "Finish an interrupted upgrade", "Put back the hosts that an interrupted maintenance left"
    assert names.index(finish) < names.index(back)
