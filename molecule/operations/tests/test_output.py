"""No secret is in what a run prints, however much an operator asks for."""

import json
import re
from pathlib import Path

from tests.support.drills.playbooks import play
from tests.support.live.fleet import LiveFleet
from tests.support.live.secrets import secrets

# Keys and hashes of passwords belong to others that do not change here.
PASSWORD = re.compile(r"[A-Za-z0-9_-]{30,64}")

# Check mode logs in with these: a repository with another pass is refused, and so is another owner of the database.
USED = {"pgbackrest_cipher_pass", "postgres_owner_password"}


def test_a_run_prints_no_secret_even_with_every_difference(fleet: LiveFleet, tmp_path: Path) -> None:
    """Without changing anything: every file that has a secret differs, and is compared with the other content."""
    found = secrets(fleet)
    others = {
        f"vault_{name}": lines[0][::-1]
        for name, lines in found.items()
        if PASSWORD.fullmatch("".join(lines)) and name not in USED
    }
    assert len(others) > 10
    file = tmp_path / "others.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(others))
    run = play(fleet, "site.yml", "--check", "--diff", "-vvv", "--extra-vars", f"@{file}").succeeded()
    assert len(run.hosts_with("changed")) > 3, "files with secrets differ"
    searched = {name: [*lines, others.get(f"vault_{name}", lines[0])] for name, lines in found.items()}
    assert [name for name, lines in searched.items() if any(line in run.text for line in lines)] == []
