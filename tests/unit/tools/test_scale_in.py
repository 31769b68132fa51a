"""Which hosts `make up` takes out of the fleet before Terraform destroys them."""

import json
import subprocess
from typing import Any

import pytest

from tools.fleet import scale_in
from tools.fleet.context import Fleet, FleetError
from tools.fleet.scale_in import hand_over, leaving

INVENTORY = {"_meta": {"hostvars": {name: {"ansible_host": name} for name in ("db1", "db2", "app3")}}}


def change(address: str, *actions: str) -> dict[str, Any]:
    return {"address": address, "change": {"actions": [*actions]}}


def host(name: str, *actions: str) -> dict[str, Any]:
    return change(f'module.host["{name}"].terraform_data.host', *actions)


REMOVED = {"resource_changes": [host("db2", "delete"), host("app3", "delete"), host("db1", "no-op")]}


def test_hosts_leave_if_a_plan_destroys_them_for_good() -> None:
    replaced, created = host("mon1", "delete", "create"), host("app4", "create")
    others = [change("module.network.terraform_data.network", "delete"), change("terraform_data.subnet", "no-op")]
    assert leaving({"resource_changes": [*REMOVED["resource_changes"], replaced, created, *others]}) == ["app3", "db2"]
    assert leaving({"resource_changes": [replaced, created, *others]}) == []
    assert leaving({}) == []


@pytest.mark.parametrize(
    ("plan", "dead", "code", "played"),
    [
        pytest.param(REMOVED, set(), 0, ["remove_hosts=app3,db2"], id="all at once"),
        pytest.param(REMOVED, {"app3"}, 0, ["remove_hosts=db2"], id="a dead host hands nothing over"),
        pytest.param(REMOVED, {"app3", "db2"}, 0, [], id="all are dead"),
        pytest.param({}, set(), 0, [], id="nothing leaves"),
        pytest.param(REMOVED, set(), 2, ["remove_hosts=app3,db2"], id="the playbook refuses"),
    ],
)
def test_hosts_hand_over_before_they_are_destroyed(
    monkeypatch: pytest.MonkeyPatch, plan: dict[str, Any], dead: set[str], code: int, played: list[str]
) -> None:
    calls: list[str] = []

    def run(_: Fleet, *command: str, **_options: bool) -> subprocess.CompletedProcess[str]:
        if "show" in command:
            return subprocess.CompletedProcess(command, 0, json.dumps(plan), "")
        calls.append(command[-1])
        return subprocess.CompletedProcess(command, code, "", "")

    monkeypatch.setattr(Fleet, "run", run)
    monkeypatch.setattr(Fleet, "outputs", lambda _: {"inventory": INVENTORY})
    monkeypatch.setattr(scale_in, "answers", lambda _, host: host.name not in dead)
    if code:
        with pytest.raises(FleetError, match=r"remove_hosts=app3,db2 failed .* no host was destroyed"):
            hand_over(Fleet("a", "sandbox"), "plan")
    else:
        hand_over(Fleet("a", "sandbox"), "plan")
    assert calls == played
