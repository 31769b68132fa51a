"""Requests for a restore, and what pgBackRest says of its backups."""

import json
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from plugins.moments import parsed
from tests.unit.roles.modules import read_yaml

GB = 1024**3
OPTIONS: dict[str, Any] = {
    "to": "2026-11-29 03:00:00+00",
    "in_place": False,
    "remove": False,
    "confirm": "",
    "host": "",
    "fleet": "shop",
    "hosts": ["db1", "db2"],
    "repositories": 1,
}


def backup(label: str, stop: str, size: int = GB) -> dict[str, Any]:
    timestamp = int(parsed(stop).timestamp())
    return {"label": label, "timestamp": {"start": timestamp - 10, "stop": timestamp}, "info": {"size": size}}


FULL = backup("20261122-010000F", "2026-11-22 01:00+00")
DIFF = backup("20261122-010000F_20261129-010000D", "2026-11-29 01:00+00", 2 * GB)
LATE = backup("20261122-010000F_20261129-100000I", "2026-11-29 10:00+00", 8 * GB)


def info(backups: list[dict[str, Any]], code: int = 0, name: str = "main", **more: Any) -> dict[str, Any]:
    """Return the result of `pgbackrest info --output=json`."""
    status = {"code": code, "message": {0: "ok", 2: "no valid backups"}.get(code, "other")}
    stanza = {"name": name, "backup": backups, "status": status}
    return {"rc": 0, "stdout": json.dumps([stanza]), "stderr": ""} | more


HERE: dict[str, Any] = {
    "to": OPTIONS["to"],
    "stanza": "main",
    "in_place": False,
    "host": "db2",
    "folder": "/var/lib/postgresql/17/beside",
    "free": 5 * GB,
    "wal": GB,
    "left": False,
    "port": 5433,
    "port_used": False,
}
ALL = info([LATE, FULL, DIFF])


def evaluate(name: str, in_place: bool, moment: str = OPTIONS["to"]) -> Any:
    """Return a private variable of the role."""
    given = read_yaml("roles/restore/defaults/main.yml") | read_yaml("roles/restore/vars/main.yml")
    variables = {key: trust_as_template(value) if isinstance(value, str) else value for key, value in given.items()}
    nested = {key: trusted(value) for key, value in variables.items() if isinstance(value, dict)}
    variables |= nested | {"restore_in_place": in_place, "restore_moment": moment}
    return Templar(DataLoader(), variables=variables).template(trust_as_template(f"{{{{ {name} }}}}"))


def trusted(values: dict[str, Any]) -> dict[str, Any]:
    return {key: trust_as_template(value) if isinstance(value, str) else value for key, value in values.items()}
