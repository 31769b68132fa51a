"""The plan of a deploy and of a rollback, and the verdict on one that failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from plugins.filter import deploy

APPS = ["app1", "app2", "app3", "app4"]
STALE = ["worker1", *APPS, "worker2"]


def host(
    name: str, stale: bool = True, current: str = "old", installed: Sequence[str] = ("old", "new"), **facts: bool
) -> dict[str, Any]:
    prepared = {"release": "new", "stale": stale, "migrate": False, "migrate_always": False, "set_up": False} | facts
    found = {"installed": installed, "current": current}
    return {"inventory_hostname": name, "app_prepared": prepared, "app_found": found}


def survey(
    hosts: list[dict[str, Any]], served: str = "old", drained: dict[str, str] | None = None, bad: str = ""
) -> dict[str, Any]:
    notes = {name: {"by": by} for name, by in (drained or {}).items()}
    return deploy.survey(hosts, APPS, served, {"new": bad} if bad else {}, notes, 2)


def test_the_plan_names_the_release_the_groups_and_where_each_host_goes_back_to() -> None:
    assert survey([host("worker1"), host("app1"), host("app2")]) == {
        "release": "new",
        "leftovers": [],
        "bad": "",
        "plan": {
            "release": "new",
            "hosts": ["worker1", "app1", "app2"],
            "groups": [["app1"], ["app2", "worker1"]],
            "before": {"worker1": "old", "app1": "old", "app2": "old"},
            "serving": True,
            "pending": False,
            "migrate": False,
            "new": True,
            "watch": True,
        },
    }


def test_a_first_installation_switches_all_hosts_at_once_and_watches_nothing() -> None:
    hosts = [host(name, current="", installed=["new"]) for name in ("app1", "app2", "worker1")]
    plan = survey(hosts, served="")["plan"]
    assert plan["groups"] == [["app1", "app2", "worker1"]]
    assert (plan["before"], plan["serving"], plan["watch"]) == (dict.fromkeys(plan["hosts"], ""), False, False)


@pytest.mark.parametrize(("apps", "watch"), [(["app1"], False), (["app1", "app2"], True)])
def test_a_canary_is_watched_only_if_another_host_serves_requests(apps: list[str], watch: bool) -> None:
    found = deploy.survey([host("app1"), host("worker1")], apps, "old", {}, {}, 2)
    assert found["plan"]["watch"] is watch


def test_a_fleet_that_runs_its_release_has_no_plan() -> None:
    assert survey([host("app1", stale=False, current="new")], served="new")["plan"] == {}


def test_a_run_that_was_killed_after_the_last_switch_is_finished() -> None:
    plan = survey([host("app1", stale=False, current="new")], served="old")["plan"]
    assert (plan["groups"], plan["before"]) == ([], {"app1": "old"})


@pytest.mark.parametrize(("fact", "pending"), [({"migrate": True}, True), ({"set_up": True}, False)])
def test_migrations_and_setup_commands_run_although_every_host_has_the_release(fact: Any, pending: bool) -> None:
    plan = survey([host("app1", stale=False, current="new", **fact)], served="new")["plan"]
    assert (plan["migrate"], plan["pending"]) == (True, pending)


def test_hosts_of_a_killed_run_that_are_still_stale_are_switched_first() -> None:
    hosts = [host(name) for name in APPS]
    found = survey(hosts, drained={"app3": "deploy", "app2": "anna"})
    assert found["plan"]["groups"] == [["app3"], ["app1", "app2"], ["app4"]]
    assert found["leftovers"] == []


def test_a_host_that_a_deploy_left_drained_is_put_back_if_it_runs_the_release() -> None:
    hosts = [host("app1"), host("app2", stale=False, current="new"), host("app3", stale=False, current="new")]
    drained = {"app1": "deploy", "app2": "deploy", "app3": "anna", "app4": "deploy"}  # app4 is left out by --limit
    assert survey(hosts, drained=drained)["leftovers"] == ["app2"]


def test_a_bad_release_is_reported_with_its_reason() -> None:
    assert survey([host("app1")], bad="app1 was not ready")["bad"] == "app1 was not ready"


def test_after_a_killed_run_a_host_goes_back_to_the_last_release_that_served_everywhere() -> None:
    hosts = [host("app1", current="new"), host("app2", current="new", installed=["new"])]
    assert survey(hosts)["plan"]["before"] == {"app1": "old", "app2": "new"}


def test_a_rollback_switches_all_hosts_without_migrations_and_without_a_watch() -> None:
    hosts = [host("app1", current="new"), host("app2", current="new"), host("worker1", current="new")]
    plan = deploy.rollback(hosts, "old", APPS, "new", 1)
    assert (plan["release"], plan["groups"]) == ("old", [["app1"], ["app2", "worker1"]])
    assert plan["before"] == dict.fromkeys(["app1", "app2", "worker1"], "new")
    assert (plan["serving"], plan["migrate"], plan["pending"], plan["watch"]) == (True, False, False, False)


def test_the_canary_changes_alone_then_application_hosts_together_with_workers() -> None:
    groups = [["app1"], ["app2", "app3", "worker1", "worker2"], ["app4"]]
    assert deploy.host_groups(STALE, APPS, 2, serving=True) == groups
    assert deploy.host_groups(STALE, APPS[:1], 1, serving=True)[0] == ["app1"]
    assert deploy.host_groups(["worker1", "worker2"], APPS, 1, serving=True) == [["worker1"], ["worker2"]]
    assert deploy.host_groups(STALE, APPS, 2, serving=False) == [STALE]
    assert deploy.host_groups([], APPS, 2, serving=False) == []


PLAN = {"before": {"app1": "old", "app2": "old", "app3": ""}}


def after(name: str, switched: str = "") -> dict[str, Any]:
    """A host of a run that failed."""
    return {"inventory_hostname": name} | ({"deploy_switched": switched} if switched else {})


def test_a_host_is_healthy_once_it_has_gone_the_way_of_the_run() -> None:
    hosts = [after("app1", "forward"), after("app2", "begun"), after("app3")]
    assert deploy.progress(hosts, PLAN) == {"healthy": ["app1"], "touched": ["app1", "app2"], "result": "reverted"}
    found = deploy.progress([after("app1", "forward"), after("app2", "back")], PLAN, "app1 was not ready.")
    assert (found["healthy"], found["touched"]) == (["app2"], ["app1", "app2"])


@pytest.mark.parametrize(
    ("hosts", "result"), [([after("app1")], "refused"), ([after("app3", "begun"), after("app1")], "failed")]
)
def test_the_result_of_a_run_that_switched_no_host_with_a_release(hosts: list[dict[str, Any]], result: str) -> None:
    assert deploy.progress(hosts, PLAN, "it failed")["result"] == result
    assert deploy.progress(hosts[1:], {}, "it failed")["result"] == "refused"


def test_phases_are_the_seconds_between_two_moments_of_the_clock() -> None:
    assert deploy.phases([("begun", 10.0), ("prepare", 12.5), ("canary", 13.04)]) == {"prepare": 2.5, "canary": 0.5}
