"""A backup that fails names the reason, also if pgBackRest logs bytes that are no text."""

from __future__ import annotations

import json

import pytest

from plugins.filter.backups import NO_STANZA, OTHER_PASS, backup_error
from tests.unit.roles.modules import read_list


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "exit-code"),
        (["P00   WARN: no prior backup exists", "Failed with result 'exit-code'."], "exit-code"),
        (
            [
                "P00  ERROR: [103]: unable to find a valid repository",
                "P00  ERROR: [050]: unable to acquire lock",
                "end",
            ],
            "[050]: unable to acquire lock",
        ),
        (
            ["P00  ERROR: [029]: key/value found outside of section at line 1: ?3"],
            f"The repository cannot be decrypted: {OTHER_PASS}",
        ),
        # journalctl writes a message that is no text as a list of bytes.
        (
            [json.dumps({"MESSAGE": list(b"P00  ERROR: [029]: found outside of section at line 1: \xff\xfe")})],
            f"The repository cannot be decrypted: {OTHER_PASS}",
        ),
        ([json.dumps({"MESSAGE": "P00  ERROR: [050]: unable to acquire lock"})], "[050]: unable to acquire lock"),
        (
            ["P00  ERROR: [055]: unable to load info file '/r/backup.info' or '/r/backup.info.copy':"],
            f"The repository {NO_STANZA}",
        ),
    ],
)
def test_a_backup_that_fails_names_its_last_error(lines: list[str], reason: str) -> None:
    assert backup_error(lines, "exit-code") == reason


def test_what_pgbackrest_prints_may_be_no_text() -> None:
    """Ansible refuses the result of a command that has such bytes, so a wrong passphrase hid its own message."""
    assert "pgbackrest_info" in read_list("roles/pgbackrest/tasks/info.yml")[0]
    journal = next(
        task for task in read_list("roles/pgbackrest/tasks/backup.yml") if task["name"].startswith("Read why")
    )
    assert "--output=json" in journal["ansible.builtin.command"]["argv"]
