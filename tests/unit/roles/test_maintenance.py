"""What a maintenance says: what it is going to do, how it ended, and why it stopped."""

from __future__ import annotations

from typing import Any

from plugins.filter import maintenance

SIMULATED = """Reading package lists...
The following packages have been kept back:
  nginx
Inst curl [8.14.1-2] (8.14.1-2+deb13u2 Debian:13.2/stable, Debian-Security:13/stable-security [amd64]) [libc6:amd64 ]
Inst linux-image-6.12.57+deb13-amd64 (6.12.57-1 Debian-Security:13/stable-security [amd64])
Conf curl (8.14.1-2+deb13u2 Debian:13.2/stable [amd64])
"""
ORDER = ["app1", "db2", "db1"]
WHOLE: dict[str, Any] = {"missing": [], "first_step": ""}
WITHOUT_DB2 = {"missing": ["db2 does not answer", "no standby is synchronous"], "first_step": "start db2"}


def host(name: str, packages: list[str] | None = None, needs: list[str] | None = None, **more: Any) -> dict[str, Any]:
    return {"inventory_hostname": name, "maintain_packages": packages or [], "maintain_needs": needs or [], **more}


def failed(name: str, task: str, action: str, msg: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ansible_failed_task": {"name": task, "action": action},
        "ansible_failed_result": {"msg": msg},
    }
    return host(name, maintain_done=False, **result)


def test_what_apt_would_do_is_read_from_its_simulation() -> None:
    assert maintenance.upgrades(SIMULATED) == [
        "curl 8.14.1-2 → 8.14.1-2+deb13u2",
        "linux-image-6.12.57+deb13-amd64 6.12.57-1 (new)",
    ]
    assert maintenance.upgrades("0 upgraded, 0 newly installed, 0 to remove and 3 not upgraded.") == []


def test_hosts_without_work_are_left_alone() -> None:
    hosts = [
        host("db1", needs=["etcd.service runs with files that an upgrade has replaced"]),
        host("db2"),
        host("app1", ["curl 1 → 2"]),
    ]
    assert maintenance.turns(hosts, ORDER, "auto") == ["app1", "db1"]
    assert maintenance.turns(hosts, ORDER, "never") == ["app1"]
    assert maintenance.turns(hosts, ORDER, "always") == ORDER


def test_the_plan_says_of_each_host_what_and_why() -> None:
    hosts = [host("db1", needs=["linux asks for it"]), host("db2"), host("app1", ["curl 1 → 2"])]
    assert maintenance.plan(hosts, ORDER, "auto") == [
        "app1: upgrade curl 1 → 2, then reboot if the upgrade asks for it",
        "db2: nothing to do",
        "db1: reboot (linux asks for it)",
    ]
    assert maintenance.plan(hosts, ORDER, "never")[2] == "db1: no reboot, although linux asks for it"
    assert maintenance.plan(hosts, ORDER, "always")[1] == "db2: reboot"


def test_the_summary_names_who_still_needs_a_reboot() -> None:
    assert maintenance.summary([host("app1")], ["app1"]) == "Maintained, one after another: app1."
    told = maintenance.summary([host("app1", needs=["linux asks for it"])], [])
    assert told == "No host had anything to be done. A reboot is still needed by app1 (linux asks for it)."


def test_a_refusal_says_that_nothing_was_touched_and_what_helps() -> None:
    hosts = [
        failed("app1", "Require", "ansible.builtin.assert", "the fleet is not whole: db2 does not answer"),
        host("db1"),
    ]
    assert maintenance.stop(hosts, "", [], WITHOUT_DB2) == (
        "No host was taken out of service: the fleet is not whole: db2 does not answer. To mend it: start db2. Then run this again."
    )


def test_a_host_that_does_not_come_back_is_named_with_its_task_and_what_is_left_to_do() -> None:
    done = host("app1", maintain_done=True)
    gone = failed(
        "db2", "Reboot it", "ansible.builtin.reboot", "Timed out waiting for last boot time check (timeout=600)"
    )
    assert maintenance.stop([done, gone, host("db1", maintain_done=False)], "db2", ORDER, WITHOUT_DB2) == (
        'db2 has not come back from its maintenance, so the run has stopped there: it failed at "Reboot it" with: Timed out waiting for '
        "last boot time check (timeout=600). Missing now: db2 does not answer; no standby is synchronous. To mend it: start db2. "
        "Then run this again: it puts db2 back and goes on. Done: app1. Not touched: db1."
    )


def test_a_host_that_is_gone_says_nothing_and_is_named_all_the_same() -> None:
    told = maintenance.stop([host("app1", maintain_done=False), host("db2")], "app1", ["app1", "db2"], WHOLE)
    assert told.startswith(
        "app1 has not come back from its maintenance, so the run has stopped there: it does not answer any more."
    )
    assert "Nothing is missing by now. Run this again" in told


def test_a_run_that_cannot_go_on_between_two_hosts_says_before_which() -> None:
    lacking = failed("db2", "Require", "ansible.builtin.assert", "the fleet is not whole: db1 does not stream")
    told = maintenance.stop([host("app1", maintain_done=True), lacking], "app1", ["app1", "db2"], WHOLE)
    assert told == "The run has stopped before db2: the fleet is not whole: db1 does not stream. Done: app1."
