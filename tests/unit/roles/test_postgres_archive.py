"""Role postgres: archiving is off by default, is switched on completely, and off again without a trace."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from tests.unit.roles.modules import read_yaml

OFF = {"postgres_archive_command": "", "postgres_restore_command": "", "postgres_replica_command": ""}
ON = {
    "postgres_archive_command": 'pgbackrest --stanza=main archive-push "%p"',
    "postgres_restore_command": 'pgbackrest --stanza=main archive-get %f "%p"',
    "postgres_replica_command": "pgbackrest --stanza=main --delta --type=standby restore",
}


def trust(value: Any) -> Any:
    """Mark text as a template, as Ansible does with a file."""
    if isinstance(value, dict):
        return {name: trust(item) for name, item in value.items()}
    return trust_as_template(value) if isinstance(value, str) else value


def evaluate(name: str, commands: dict[str, str], postgresql: dict[str, Any] | None = None) -> Any:
    """Return a variable of the role, with what the cluster has now."""
    names = ("cluster_parameters", "archive_parameters", "archive_settings", "base", "dynamic", "obsolete_settings")
    private = read_yaml("roles/postgres/vars/main.yml")
    given = {f"__postgres_{key}": trust(private[f"__postgres_{key}"]) for key in names}
    given |= {
        key: value for key, value in read_yaml("roles/postgres/defaults/main.yml").items() if "{{" not in str(value)
    }
    given |= {**commands, "__postgres_config": {"json": {"postgresql": postgresql or {}}}}
    return Templar(DataLoader(), given).template(given[name])


def test_without_commands_nothing_is_archived() -> None:
    found = evaluate("__postgres_dynamic", OFF)["postgresql"]
    assert {name for name in found["parameters"] if "archive" in name} == set()
    assert set(found) == {"use_pg_rewind", "use_slots", "parameters"}
    assert evaluate("__postgres_obsolete_settings", OFF, {"use_slots": True}) == {}


def test_with_commands_wal_is_archived_and_standbys_are_restored_from_it() -> None:
    found = evaluate("__postgres_dynamic", ON)["postgresql"]
    assert found["parameters"]["archive_mode"] == "on"
    assert found["parameters"]["archive_command"] == ON["postgres_archive_command"]
    assert found["parameters"]["archive_timeout"] == "55s"
    assert found["parameters"]["wal_level"] == "replica"
    assert found["recovery_conf"] == {"restore_command": ON["postgres_restore_command"]}
    assert found["create_replica_methods"] == ["pgbackrest", "basebackup"]
    assert found["pgbackrest"]["command"] == ON["postgres_replica_command"]
    assert evaluate("__postgres_obsolete_settings", ON, found) == {}


def test_archiving_is_switched_off_completely_but_settings_of_an_operator_stay() -> None:
    before = evaluate("__postgres_dynamic", ON)["postgresql"]
    off = evaluate("__postgres_obsolete_settings", OFF, before)
    assert off == dict.fromkeys(["recovery_conf", "create_replica_methods", "pgbackrest"])
    own = {"recovery_conf": {"restore_command": "wal-g wal-fetch"}, "create_replica_methods": ["wal_g", "basebackup"]}
    assert evaluate("__postgres_obsolete_settings", OFF, own) == {}


@pytest.mark.parametrize(
    ("found", "removed"),
    [({"member_slots_ttl": 0}, True), ({"member_slots_ttl": "2h"}, False), ({"ttl": 30}, False)],
    ids=["left behind", "of an operator", "not set"],
)
def test_patroni_keeps_the_slots_of_standbys_that_are_down(found: dict[str, Any], removed: bool) -> None:
    name = "__postgres_leftover_slots_ttl"
    template = trust(read_yaml("roles/postgres/vars/main.yml")[name])
    result = Templar(DataLoader(), {"__postgres_config": {"json": found}}).template(template)
    assert result == ({"member_slots_ttl": None} if removed else {})
