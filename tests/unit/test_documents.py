"""The documentation: its links work, and it describes every drill."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.drills.catalogue import DRILLS
from tools.docs.troubles import PAGE, page
from tools.fleet.context import ROOT
from tools.fleet.kinds import KINDS

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
NAMES = {drill.name for drill in DRILLS}


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's sections, as GitHub derives them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_a_target(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if ":" in path:
            continue
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_the_runbook_describes_every_drill() -> None:
    section = (
        (ROOT / "docs/operations.md").read_text().partition("## What each fault looks like")[2].partition("\n## ")[0]
    )
    described = {
        name
        for line in section.splitlines()
        if line.startswith("- `")
        for name in re.findall(r"`([a-z0-9-]+)`", line.partition(":")[0])
    }
    assert described == NAMES


def test_the_list_of_troubles_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_the_symptoms_of_drills_are_sentences_of_make_status() -> None:
    parts = [re.split(r"\\{\w+\\}", re.escape(kind.sentence)) for kind in KINDS]
    section = (ROOT / "docs/operations.md").read_text().partition("## What each fault looks like")[2]
    symptoms = re.findall(r"\*\*Symptom\*\*: (.*?)\n(?:  -|- |\n|#)", section.partition("\n## ")[0], flags=re.DOTALL)
    quoted = {" ".join(text.split()) for symptom in symptoms for text in re.findall(r"`([^`]+)`", symptom)}
    sentences = {text for text in quoted if " " in text and not text.startswith(("make ", "journalctl "))}
    assert len(sentences) > 20
    unknown = {text for text in sentences if not any(re.match(".*".join(part), text) for part in parts)}
    assert unknown == set()


def test_the_guarantees_name_every_drill_and_no_others() -> None:
    """An ellipsis in a name matches any text."""
    named: set[str] = set()
    for cell in re.findall(r"`([a-z0-9…-]+)`", (ROOT / "docs/guarantees.md").read_text()):
        pattern = re.escape(cell).replace("…", ".+")
        matching = {name for name in NAMES if re.fullmatch(pattern, name)}
        assert matching or "…" not in cell, cell
        named |= matching
    assert named == NAMES
