"""axe-core in a page: which of its rules for accessible pages are broken."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page

HERE = Path(__file__).parent
SCRIPT = HERE / "node_modules" / "axe-core" / "axe.min.js"
LOCK, INSTALLED = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
# axe-core's other degrees are minor and moderate.
GRAVE = ("serious", "critical")


def install() -> Path:
    """Install what package-lock.json names; return axe-core's script. Skip the test where that cannot be had."""
    if SCRIPT.exists() and INSTALLED.stat().st_mtime >= LOCK.stat().st_mtime:
        return SCRIPT
    if shutil.which("npm") is None:
        pytest.skip("there is no npm to get axe-core with: `bin/setup --tests` installs it")
    command = ["npm", "ci", "--no-audit", "--no-fund", "--fetch-retries=1"]
    try:
        result = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("axe-core could not be had: npm got no answer within two minutes")
    if result.returncode != 0:
        unreachable = any(code in result.stderr for code in ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "E403", "E404", "E503"))
        reason = f"npm could not install axe-core: {result.stderr.strip()[-500:]}"
        pytest.skip(reason) if unreachable else pytest.fail(reason)
    INSTALLED.touch()
    return SCRIPT


def faults(page: Page) -> list[str]:
    """Grave faults of the page as it is shown, one line for each element."""
    violations = page.evaluate("() => axe.run().then(found => found.violations)")
    return [
        f"{violation['id']}: {violation['help']}: {node['html']} ({node['failureSummary']})"
        for violation in violations
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]
