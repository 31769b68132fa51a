"""An ordinary application on a fleet: the operator's command, and a new release of it."""

import shutil
import subprocess
from pathlib import Path

from tests.support.drills.playbooks import Run, play
from tests.support.live.fleet import LiveFleet
from tools.fleet.context import ROOT


def bin_fleet(fleet: LiveFleet, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `bin/fleet` for this fleet."""
    return fleet.fleet.run("bin/fleet", *arguments, quiet=True)


def changed_copy(project: str, folder: Path, path: str, old: str, new: str) -> Path:
    """Copy tests/applications/`project` to `folder`, with one text in one file replaced."""
    copy = shutil.copytree(ROOT / "tests/applications" / project, folder / project)
    file = copy / path
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    return copy


def deploy(fleet: LiveFleet, source: Path) -> Run:
    """Deploy a project, as `make deploy` does."""
    return play(fleet, "playbooks/deploy.yml", "--extra-vars", f"app_source={source}")
