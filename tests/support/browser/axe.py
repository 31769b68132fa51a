"""Checks the accessibility of a page with axe-core."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page

HERE = Path(__file__).parent
SCRIPT = HERE / "node_modules" / "axe-core" / "axe.min.js"
LOCK, INSTALLED = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
# axe-core's other levels are minor and moderate.
SEVERE = ("serious", "critical")
# npm's error codes if its registry is unreachable or refuses the package.
REGISTRY_UNAVAILABLE = re.compile("ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|E401|E403|E404|E502|E503")


def install() -> Path:
    """Install the packages of package-lock.json and return axe-core's script. Skip the test if that is impossible."""
    if SCRIPT.exists() and INSTALLED.stat().st_mtime >= LOCK.stat().st_mtime:
        return SCRIPT
    if shutil.which("npm") is None:
        pytest.skip("axe-core needs npm, which is not installed; run `bin/setup --tests`")
    command = ["npm", "ci", "--no-audit", "--no-fund", "--fetch-retries=1"]
    try:
        result = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("axe-core cannot be installed: npm had no answer within two minutes")
    if result.returncode != 0:
        code = re.search(r"^npm \S+ code (\w+)", result.stderr, re.MULTILINE)
        if code and REGISTRY_UNAVAILABLE.fullmatch(code[1]):
            pytest.skip(f"axe-core cannot be installed: npm's registry is not available ({code[1]})")
        pytest.fail(f"npm could not install axe-core: {result.stderr}")
    INSTALLED.touch()
    return SCRIPT


def errors(page: Page) -> list[str]:
    """Return the severe accessibility errors of the displayed page, one line for each element."""
    violations = page.evaluate("() => axe.run().then(found => found.violations)")
    return [
        f"{violation['id']}: {violation['help']}: {node['html']} ({node['failureSummary']})"
        for violation in violations
        if violation["impact"] in SEVERE
        for node in violation["nodes"]
    ]
