"""Load a module of a role from its file, and run it like Ansible does."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

ROLES = Path(__file__).resolve().parents[3] / "roles"


def load(name: str, path: Path) -> ModuleType:
    """Import a file as a module of the given name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def run(
    module: ModuleType, arguments: dict[str, Any], capsys: pytest.CaptureFixture[str], check: bool = False
) -> dict[str, Any]:
    """Run the module and return its result."""
    with patch_module_args(arguments | {"_ansible_check_mode": check}), pytest.raises(SystemExit):
        module.main()
    return dict(json.loads(capsys.readouterr().out))
