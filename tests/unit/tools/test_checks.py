"""Which scenarios run together."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from tools import checks
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


def test_a_run_that_was_killed_tells_the_next_one_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "NOTES", tmp_path / "molecule")
    notes = "pathlib.Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY'])"
    killed = f"import os, pathlib; {notes}.mkdir(); ({notes} / 'state.yml').write_text('created: true')"
    for _ in range(2):  # the second fails where it finds the first one's folder
        assert checks.phase("a run that is killed", [sys.executable, "-c", killed]) is None


def test_a_summary_repeats_what_a_failed_phase_said(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    script = "import sys; print('much'); sys.stdout.buffer.write(b'\\xff\\n'); print('error: no hosts', file=sys.stderr); sys.exit(2)"
    assert checks.failures({"one": [sys.executable, "-c", script], "two": [sys.executable, "-c", ""]}) == {
        "one": ["error: no hosts"]
    }
    assert b"\xff" in capfdbinary.readouterr().out
