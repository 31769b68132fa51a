"""Which standbys a switchover and a restart of Postgres may use."""

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from tests.unit.roles.modules import read_yaml

NAMES = ("standby_role", "streaming", "running_primary", "candidates", "ready")


def evaluate(name: str, members: list[dict[str, Any]], **values: Any) -> Any:
    """Return a variable of the role for these members of the cluster."""
    private = read_yaml("roles/postgres/vars/main.yml")
    variables: dict[str, Any] = {f"__postgres_{key}": trust_as_template(private[f"__postgres_{key}"]) for key in NAMES}
    variables |= {
        "__postgres_cluster": {"json": {"members": members}},
        "postgres_members": [{"name": member["name"]} for member in members],
        "postgres_switchover_to": "",
        **values,
    }
    return Templar(DataLoader(), variables=variables).template(variables[f"__postgres_{name}"])


def cluster(role: str, state: str = "streaming", **facts: Any) -> list[dict[str, Any]]:
    """Return a primary and one standby."""
    return [
        {"name": "db1", "role": "leader", "state": "running"},
        {"name": "db2", "role": role, "state": state} | facts,
    ]


@pytest.mark.parametrize(
    ("members", "mode", "to", "candidates"),
    [
        (cluster("sync_standby"), True, "", ["db2"]),
        (cluster("replica"), True, "", []),
        (cluster("replica"), "false", "", ["db2"]),
        (cluster("replica"), False, "db2", ["db2"]),
        (cluster("replica", "in archive recovery"), False, "db2", []),
        (cluster("sync_standby", "stopped"), True, "db2", []),
        (cluster("sync_standby"), True, "db1", ["db1"]),
        (cluster("sync_standby"), True, "db3", []),
    ],
)
def test_a_standby_takes_over_if_it_has_all_writes(
    members: list[dict[str, Any]], mode: bool | str, to: str, candidates: list[str]
) -> None:
    found = evaluate("candidates", members, postgres_synchronous_mode=mode, postgres_switchover_to=to)
    assert found == candidates


@pytest.mark.parametrize(("role", "mode"), [("sync_standby", True), ("replica", False)])
def test_a_standby_that_waits_for_a_restart_is_not_ready(role: str, mode: bool) -> None:
    assert evaluate("ready", cluster(role), postgres_synchronous_mode=mode) == ["db2"]
    assert evaluate("ready", cluster(role, pending_restart=True), postgres_synchronous_mode=mode) == []
