"""Which host goes when, who cannot be spared, and what people are told to do about what is missing."""

from __future__ import annotations

import pytest

from tests.unit.tools.fleet_views import HOSTS, WELL, but
from tools.fleet.context import Host
from tools.fleet.redundancy import missing
from tools.fleet.upkeep import OTHERWISE, first_step, indispensable, turns


def test_those_that_lead_come_last_and_each_tier_in_the_order_of_a_request() -> None:
    assert turns(HOSTS, WELL) == ["lb2", "app1", "worker1", "db2", "cache2", "mon1", "lb1", "db1", "cache1"]


def test_whoever_leads_now_comes_last() -> None:
    swapped = but(db1=WELL["db2"], db2=WELL["db1"])
    assert turns(HOSTS, swapped)[-3:] == ["lb1", "db2", "cache1"]


def test_a_host_is_indispensable_where_nobody_else_serves_or_no_majority_is_left() -> None:
    assert indispensable(HOSTS) == {"app1": ["app"]}
    pair = [Host(name, "", frozenset({"etcd", "postgres"})) for name in ("a", "b")]
    assert indispensable(pair) == {"a": ["etcd"], "b": ["etcd"]}
    assert indispensable([Host("w", "", frozenset({"workers", "monitoring"}))]) == {}


@pytest.mark.parametrize(
    ("view", "step"),
    [
        (but(db2=None), "start db2, or replace it (playbooks/replace.yml -e replace_host=db2)"),
        (
            but(lb2={"stopped": ["nginx"]}),
            "look at `systemctl --failed` on lb2, then run `ansible-playbook site.yml --limit lb2`",
        ),
        (but(worker1={"release": "r2"}), "bring all to one release (playbooks/deploy.yml)"),
        (but(app1={"system": "starting"}), "wait until app1 has started, or look at `systemctl list-jobs` on it"),
        (but(lb1={"vip": False}), OTHERWISE),
        (WELL, ""),
    ],
)
def test_what_helps_is_said_of_the_first_cause(view: dict[str, dict[str, object]], step: str) -> None:
    assert first_step(missing(HOSTS, view)) == step


def test_a_drained_host_is_put_back_by_the_command_that_does_so() -> None:
    drained = {"drained": {"app1": {"by": "kim", "when": "2026-11-23T06:00:00Z", "why": "new disk"}}}
    assert "playbooks/drain.yml -e undrain=app1" in first_step(missing(HOSTS, but(lb1=drained, lb2=drained)))
