"""Fixtures for the verbs of `bin/fleet`, as an operator types them."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.live.fleet import LiveFleet
from tools.fleet.context import ROOT

Command = Callable[..., subprocess.CompletedProcess[str]]


def environment(fleet: LiveFleet) -> dict[str, str]:
    return fleet.fleet.environment | {"INVENTORY": fleet.fleet.inventory}


@pytest.fixture
def command(fleet: LiveFleet) -> Command:
    """Run a verb from another folder."""

    def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "bin/fleet", *arguments],
            cwd="/",
            env=environment(fleet),
            input=given,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run


@pytest.fixture
def settings(fleet: LiveFleet) -> Iterator[Path]:
    """The folder of the inventory's variables. Files that a test adds are removed."""
    folder = ROOT / "inventories" / fleet.fleet.inventory / "group_vars/all"
    before = set(folder.iterdir())
    yield folder
    for path in set(folder.iterdir()) - before - {folder / "vault.yml"}:
        path.unlink()
