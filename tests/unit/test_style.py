"""Limits of CONTRIBUTING.md that no linter checks."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tools.fleet.context import ROOT

# Of a module with tests.
IMPORT = re.compile(r"^(?:from|import) (tests[.\w]*\.test_\w+)", re.MULTILINE)
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def tracked(pattern: str) -> list[Path]:
    """Return the files of the repository that match a pattern."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for name in found if (path := ROOT / name).is_file()]


@pytest.mark.parametrize("pattern", ["*.py", "playbooks/*.yml"])
def test_python_files_and_playbooks_have_at_most_300_lines(pattern: str) -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in tracked(pattern)}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_have_at_most_120_columns(page: Path) -> None:
    """Except rows of tables, and what a program writes."""
    text = re.sub(r"(?s)<!-- (\w+): begin.*?<!-- \1: end -->", "", page.read_text())
    assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_no_module_imports_the_tests_of_another_one() -> None:
    """What several modules of tests need is in a module without tests."""
    imports = {str(path.relative_to(ROOT)): re.findall(IMPORT, path.read_text()) for path in tracked("*.py")}
    assert {name: found for name, found in imports.items() if found} == {}
