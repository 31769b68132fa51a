"""The preflight's check of the control node."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plugins.action import fleet_check_control as check
from tools.fleet.context import ROOT


def test_the_locked_packages_pass() -> None:
    assert check.wrong_packages(str(ROOT / "requirements/control.txt")) == []


@pytest.mark.parametrize("pin", [f"PyYAML=={yaml.__version__}.1", "no-such-package==1.0"])
def test_a_missing_or_different_package_is_reported_with_the_fix(tmp_path: Path, pin: str) -> None:
    requirements = tmp_path / "control.txt"
    requirements.write_text(f"{pin}\n")
    (sentence,) = check.wrong_packages(str(requirements))
    assert sentence.startswith(f"The control node's packages differ from {requirements}; {check.FIX}.")
    assert pin.lower() in sentence


def test_an_old_python_is_refused() -> None:
    assert check.wrong_python((3, 11, 2), "3.11") == []
    (sentence,) = check.wrong_python((3, 9, 18), "3.11")
    assert "Python 3.9.18" in sentence
