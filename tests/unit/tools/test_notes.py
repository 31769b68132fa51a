"""What `make status` and `make up` say of backups."""

from typing import Any

import pytest

from tests.unit.tools.fleet_views import BACKED_UP, HOSTS, RUNNING, changed
from tools.fleet.context import Host
from tools.fleet.notes import notes

ALONE = [Host("node1", "10.0.0.11", frozenset({"app", "backup", "postgres"}))]


@pytest.mark.parametrize(
    ("hosts", "facts", "said"),
    [
        (HOSTS, {}, "There are no backups, so a mistake cannot be undone"),
        (HOSTS, {"backups": BACKED_UP}, None),
        (HOSTS, None, None),  # a host that is down may have some
        (HOSTS[:-1], {}, "There are no backups"),  # an inventory without the group
        (ALONE, {"backups": BACKED_UP}, "node1 keeps the backups of its database itself, so they are lost with it"),
        (ALONE, {"backups": BACKED_UP | {"last": {"1": 1.0, "2": 1.0}}}, None),  # the second one is a bucket
        (ALONE, {"backups": BACKED_UP | {"local": []}}, None),
        (ALONE, {}, "There are no backups"),
    ],
)
def test_one_line_reports_what_no_backup_protects_from(
    hosts: list[Host], facts: dict[str, Any] | None, said: str | None
) -> None:
    found = notes(hosts, changed(mon1=facts) | {"node1": RUNNING | (facts or {})})
    assert [line[: len(said or "")] for line in found] == ([said] if said else [])
