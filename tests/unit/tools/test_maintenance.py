"""The order of maintenance, indispensable hosts, and the advice for each problem."""

import pytest

from tests.unit.tools.fleet_views import HEALTHY, HOSTS, NOTE, changed
from tools.fleet.context import Host
from tools.fleet.maintenance import DEFAULT_STEP, first_step, indispensable, maintenance_order
from tools.fleet.redundancy import missing


def test_leaders_come_last_and_tiers_are_in_the_order_of_a_request() -> None:
    assert " ".join(maintenance_order(HOSTS, HEALTHY)) == "lb2 app1 worker1 db2 cache2 mon1 lb1 db1 cache1"


def test_the_current_leader_comes_last() -> None:
    swapped = changed(db1=HEALTHY["db2"], db2=HEALTHY["db1"])
    assert maintenance_order(HOSTS, swapped)[-3:] == ["lb1", "db2", "cache1"]


def test_a_host_is_indispensable_if_its_tier_or_its_majority_depends_on_it() -> None:
    assert indispensable(HOSTS) == {"app1": ["app"]}
    pair = [Host(name, "", frozenset({"etcd", "postgres"})) for name in ("a", "b")]
    assert indispensable(pair) == {"a": ["etcd"], "b": ["etcd"]}
    assert indispensable([Host("w", "", frozenset({"workers", "monitoring"}))]) == {}


@pytest.mark.parametrize(
    ("view", "step"),
    [
        (changed(db2=None), "start db2, or replace it (playbooks/replace.yml -e replace_host=db2)"),
        (
            changed(lb2={"stopped": ["nginx"]}),
            "check `systemctl --failed` on lb2, then run `ansible-playbook site.yml --limit lb2`",
        ),
        (changed(worker1={"release": "r2"}), "deploy one release to all hosts (playbooks/deploy.yml)"),
        (changed(app1={"system": "starting"}), "wait until app1 has started, or check its `systemctl list-jobs`"),
        (changed(lb1={"vip": False}), DEFAULT_STEP),
        (HEALTHY, ""),
    ],
)
def test_the_advice_is_for_the_first_cause(view: dict[str, dict[str, object]], step: str) -> None:
    assert first_step(missing(HOSTS, view)) == step


def test_the_advice_for_a_drained_host_is_the_command_to_undrain_it() -> None:
    drained = {"drained": {"app1": NOTE}}
    assert "playbooks/drain.yml -e undrain=app1" in first_step(missing(HOSTS, changed(lb1=drained, lb2=drained)))
