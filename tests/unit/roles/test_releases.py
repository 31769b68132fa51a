"""What follows from the log of deploys: where a rollback may go, what is bad, who changes when, and what a failure says."""

from __future__ import annotations

from typing import Any

from plugins.filter import releases

HOSTS = {name: {"installed": ["a", "b", "c"], "current": "c"} for name in ("app1", "worker1")}
INSTALLED = {name: state["installed"] for name, state in HOSTS.items()}


def entry(release: str, result: str = "done", when: int = 0, **more: Any) -> dict[str, Any]:
    base = {
        "run": f"{release}{when}",
        "by": "anna",
        "when": f"2026-01-{when:02}",
        "action": "deploy",
        "release": release,
        "result": result,
    }
    return base | more


def test_a_rollback_goes_to_the_last_good_release_before_the_current_one() -> None:
    log = [entry("a", when=1), entry("b", when=2), entry("c", when=3), entry("b", "reverted", 4)]
    assert releases.rollback_target(log, ["c", "c"]) == "a"
    assert releases.rollback_target(log, ["c"], "b") == "b"
    assert releases.rollback_target([entry("c")], ["c"]) == ""


def test_a_rollback_of_a_half_done_deploy_goes_to_what_served_everywhere() -> None:
    assert releases.rollback_target([entry("a", when=1), entry("b", when=2)], ["b", "c"]) == "b"


def test_a_rollback_is_refused_in_a_sentence() -> None:
    log = [
        entry("a", when=1),
        entry("b", when=2),
        entry("c", when=3),
        entry("b", "reverted", 4, why="app1 was not ready"),
    ]
    assert releases.rollback_refusal(log, "a", INSTALLED) == ""
    assert releases.rollback_refusal(log, "b", INSTALLED).startswith("Release b was marked bad: app1 was not ready;")
    assert releases.rollback_refusal(log, "", INSTALLED).startswith("The log has no earlier good release;")
    some = INSTALLED | {"worker1": ["b", "c"]}
    assert releases.rollback_refusal(log, "a", some) == "worker1 does not have release a; every host has b, c."


def test_a_release_that_a_contract_migration_has_left_behind_is_refused() -> None:
    log = [
        entry("a", when=1),
        entry("b", "migrated", 2, contract=["drops table t"]),
        entry("b", when=2),
        entry("c", when=3),
    ]
    assert (
        "cannot live with today's schema: release b changed it on 2026-01-02 (drops table t)"
        in releases.rollback_refusal(log, "a", INSTALLED)
    )
    assert releases.rollback_refusal(log, "b", INSTALLED) == ""
    assert releases.rollback_refusal([entry("a", when=1), entry("b", "migrated", 2, contract=[])], "a", INSTALLED) == ""


def test_what_was_rolled_back_is_bad_until_it_is_deployed_again() -> None:
    log = [entry("a", when=1), entry("b", when=2), entry("a", when=3, action="rollback", left=["b"])]
    assert releases.bad(log) == {"b": "anna rolled it back"}
    assert releases.bad([*log, entry("b", when=4)]) == {}


def test_settings_that_failed_on_the_release_that_serves_do_not_make_it_bad() -> None:
    assert releases.bad([entry("a", when=1), entry("a", "reverted", 2)]) == {}
    assert list(releases.bad([entry("a", when=1), entry("b", when=2), entry("a", "reverted", 3)])) == ["a"]


def test_a_failed_rollback_marks_nothing() -> None:
    assert releases.bad([entry("a", when=1), entry("a", "reverted", 2, action="rollback")]) == {}


def test_a_failed_deploy_goes_back_to_what_served_everywhere_not_to_what_an_interrupted_run_left() -> None:
    found = HOSTS | {"app2": {"installed": ["c"], "current": "c"}}
    assert releases.before(found, [entry("b")]) == {"app1": "b", "worker1": "b", "app2": "c"}
    assert releases.before(HOSTS, []) == {"app1": "c", "worker1": "c"}


def test_the_canary_goes_alone_then_its_tier_and_beside_it_the_workers() -> None:
    stale = ["worker1", "app1", "app2", "app3", "app4", "worker2"]
    apps = ["app1", "app2", "app3", "app4"]
    assert releases.groups(stale, apps, 2, serving=True) == [["app1"], ["app2", "app3", "worker1", "worker2"], ["app4"]]
    assert releases.groups(stale, apps[:1], 1, serving=True)[0] == ["app1"]
    assert releases.groups(["worker1", "worker2"], apps, 1, serving=True) == [["worker1"], ["worker2"]]
    assert releases.groups(stale, apps, 2, serving=False) == [stale]
    assert releases.groups([], apps, 2, serving=False) == []


def test_phases_are_told_from_the_clock() -> None:
    assert releases.phases([("begun", 10.0), ("prepare", 12.5), ("canary", 13.04)]) == {"prepare": 2.5, "canary": 0.5}


def test_a_failure_names_host_check_and_what_it_saw() -> None:
    def host(name: str, action: str, **result: Any) -> dict[str, Any]:
        task = {"name": "Wait until it is ready", "action": f"ansible.builtin.{action}"}
        return {"inventory_hostname": name, "ansible_failed_task": task, "ansible_failed_result": result}

    assert releases.failure([host("app1", "uri", msg="Status code was 503\nand not [200]")]) == (
        'app1 failed at "Wait until it is ready": Status code was 503 and not [200]. '
        "`journalctl -u app -u celery-worker -n 50` there has more."
    )
    parts = [{"msg": "fine"}, {"failed": True, "item": "/", "msg": "Status code was 500"}]
    assert "/: Status code was 500. `journal" in releases.failure(
        [host("app1", "copy", msg="One or more items failed", results=parts)]
    )
    assert (
        releases.failure([host(name, "assert", msg="Release c was refused.") for name in ("app1", "app2")])
        == "Release c was refused."
    )
    alike = [host(name, "fail", msg=f"c does not start on {name}.") for name in ("app1", "app2", "app3")]
    assert releases.failure(alike) == "c does not start on app1. The same on app2, app3."
    assert releases.failure([], ["app2"]) == "app2 did not answer any more."
    assert releases.failure(alike, ["app4"]).endswith("The same on app2, app3. app4 did not answer any more.")
    assert releases.failure([]) == releases.WORDLESS


def test_the_report_shows_hosts_lock_and_log_newest_first() -> None:
    log = [
        entry("a", "begun", 1, run="one"),
        entry("a", "done", 1, run="one", seconds={"prepare": 3.0, "canary": 9.0}),
        entry("b", "begun", 2, run="two"),
        entry("c", "begun", 3, run="three"),
    ]
    lines = releases.report(log, HOSTS, log[3])
    assert lines == [
        "app1 runs c, has a, b, c",
        "worker1 runs c, has a, b, c",
        "locked: deploy c by anna since 2026-01-03",
        "2026-01-02 deploy b by anna: was interrupted",
        "2026-01-01 deploy a by anna: done (in 12 s)",
    ]
