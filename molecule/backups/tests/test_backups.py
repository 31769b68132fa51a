"""Backups of a fleet that had them from its first run. The scenarios with backups run this, too."""

import json
from datetime import datetime

from tests.support.live.commands import Command
from tests.support.live.fleet import LiveFleet, eventually


def test_the_first_run_starts_a_backup_and_the_database_can_go_back(fleet: LiveFleet, command: Command) -> None:
    def reach() -> dict[str, str]:
        document = json.loads(command("backups", "--json").stdout)
        return document if document["backups"] and document["until"] else {}

    document = eventually(reach, within=120, every=5)
    assert document, "no backup within two minutes"
    assert datetime.fromisoformat(document["from"]) <= datetime.fromisoformat(document["until"])
    assert fleet.sql(fleet.primary, "show archive_mode") == "on"
