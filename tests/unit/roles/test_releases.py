"""The log of deploys: where a rollback may go, and which releases are bad."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.filter import releases


def host(name: str, installed: str = "abc", current: str = "c") -> dict[str, Any]:
    return {"inventory_hostname": name, "app_found": {"installed": list(installed), "current": current}}


HOSTS = [host("app1"), host("worker1")]


def entry(release: str, result: str = "done", when: int = 0, **more: Any) -> dict[str, Any]:
    begun = {"run": f"{release}{when}", "by": "anna", "when": f"2026-01-{when:02}", "action": "deploy"}
    return begun | {"release": release, "result": result} | more


A, B, C = (entry(release, when=day) for day, release in enumerate("abc", 1))
REVERTED = entry("b", "reverted", 4, why="app1 was not ready")


def test_a_rollback_goes_to_the_last_good_release_before_the_current_one() -> None:
    log = [A, B, C, REVERTED]
    assert releases.rollback_target(log, HOSTS) == "a"
    assert releases.rollback_target(log, HOSTS, "b") == "b"
    assert releases.rollback_target([C], HOSTS) == ""


def test_a_rollback_of_an_interrupted_deploy_goes_to_the_release_that_served_everywhere() -> None:
    hosts = [host("app1", current="b"), host("app2")]
    assert releases.rollback_target([A, B], hosts) == "b"


def test_a_refused_rollback_has_a_reason() -> None:
    log = [A, B, C, REVERTED]
    assert releases.rollback_refusal(log, "a", HOSTS) == ""
    assert releases.rollback_refusal(log, "b", HOSTS).startswith("Release b was marked bad: app1 was not ready. If")
    assert releases.rollback_refusal(log, "", HOSTS).startswith("The log has no earlier good release")
    some = [host("app1"), host("worker1", "bc")]
    assert releases.rollback_refusal(log, "a", some) == "worker1 does not have release a. Every host has b, c."


def test_a_release_that_a_later_migration_broke_is_refused() -> None:
    log = [A, entry("b", "migrated", 2, contract=["drops table t"]), B, C]
    reason = "does not work with today's schema: release b changed it on 2026-01-02 (drops table t)"
    assert reason in releases.rollback_refusal(log, "a", HOSTS)
    assert releases.rollback_refusal(log, "b", HOSTS) == ""
    assert releases.rollback_refusal([A, entry("b", "migrated", 2, contract=[])], "a", HOSTS) == ""


ROLLBACK = entry("a", when=3, action="rollback", left=["b"])


@pytest.mark.parametrize(
    ("log", "bad"),
    [
        pytest.param([A, B, ROLLBACK], {"b": "anna rolled it back"}, id="a release that was rolled back"),
        pytest.param([A, B, ROLLBACK, entry("b", when=4)], {}, id="and was deployed again"),
        pytest.param([A, entry("a", "reverted", 2)], {}, id="failed settings of the release that serves"),
        pytest.param([A, B, entry("a", "reverted", 3)], {"a": "its deploy failed"}, id="a deploy that failed"),
        pytest.param([A, B, entry("a", "reverted", 3, action="rollback")], {}, id="a rollback that failed"),
    ],
)
def test_a_release_that_did_not_work_is_bad(log: list[dict[str, Any]], bad: dict[str, str]) -> None:
    assert releases.bad(log) == bad


def test_the_report_shows_hosts_lock_and_log_with_the_newest_entry_first() -> None:
    log = [
        entry("a", "begun", 1, run="one"),
        entry("a", "done", 1, run="one", seconds={"prepare": 3.0, "canary": 9.0}),
        entry("b", "begun", 2, run="two"),
        entry("c", "begun", 3, run="three"),
    ]
    assert releases.report(log, HOSTS, log[3]) == [
        "app1 runs c, has a, b, c",
        "worker1 runs c, has a, b, c",
        "locked: deploy c by anna since 2026-01-03",
        "2026-01-02 deploy b by anna: was interrupted",
        "2026-01-01 deploy a by anna: done (in 12 s)",
    ]
