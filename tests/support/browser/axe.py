"""axe-core in a page: which of its rules for accessible pages are broken."""

from __future__ import annotations

import re
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
# What npm says where its registry cannot be reached, or does not give this out.
CLOSED = {"ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "E401", "E403", "E404", "E502", "E503"}


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
        code = re.search(r"^npm \S+ code (\w+)", result.stderr, re.MULTILINE)
        if code and code[1] in CLOSED:
            pytest.skip(f"axe-core could not be had: npm's registry is closed ({code[1]})")
        pytest.fail(f"npm could not install axe-core: {result.stderr}")
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
