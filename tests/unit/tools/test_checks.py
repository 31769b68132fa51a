"""Which scenarios run together."""

from __future__ import annotations

from pathlib import Path

import yaml

from tools.checks import ROOT, SCENARIOS, SHARED, molecule


def settings(name: str) -> dict[str, object]:
    """What a scenario's molecule.yml says."""
    return dict(yaml.safe_load(Path(ROOT, "molecule", name, "molecule.yml").read_text()))


def test_scenarios_that_share_a_fleet_are_one_command_in_their_order() -> None:
    assert molecule(["single", "failover", "default"]) == {
        "molecule default, failover": ["molecule", "test", "--scenario-name=default", "--scenario-name=failover"],
        "molecule single": ["molecule", "test", "--scenario-name=single"],
    }


def test_one_scenario_runs_alone() -> None:
    assert molecule(["failover"]) == {"molecule failover": ["molecule", "test", "--scenario-name=failover"]}


def test_the_scenarios_that_share_a_fleet_are_those_that_molecule_shares() -> None:
    scenarios = {path.parent.name for path in Path(ROOT, "molecule").glob("*/molecule.yml")}
    assert set(SCENARIOS) <= scenarios
    assert {name for name in scenarios if settings(name).get("shared_state")} | {"default"} == set(SHARED)
    assert len({str(settings(name)["ansible"]) for name in SHARED}) == 1
