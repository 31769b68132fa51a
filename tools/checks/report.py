"""What a run of checks found, summed over the reports of its test suites."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tools.checks.runner import MAX_ERROR_LENGTH, Phase
from tools.checks.skips import Skip, is_allowed


@dataclass
class Findings:
    """Tests of all suites, and what must be printed about them."""

    counts: Counter[str] = field(default_factory=Counter)
    skips: list[Skip] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def unexplained(self) -> list[Skip]:
        """Skips that stand on no list."""
        return [skip for skip in self.skips if not is_allowed(skip)]


def read(folder: Path) -> Findings:
    """Read every JUnit report in a folder."""
    findings = Findings()
    for report in sorted(folder.glob("*.xml")):
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            _add(findings, case)
    return findings


def _add(findings: Findings, case: ElementTree.Element) -> None:
    name = f"{case.get('classname')}::{case.get('name')}"
    faults = [*case.iter("failure"), *case.iter("error")]
    skipped = case.find("skipped")
    if faults:
        findings.counts["failed"] += 1
        findings.failures += [f"{name}: {_message(fault)[:MAX_ERROR_LENGTH]}" for fault in faults]
    elif skipped is not None:
        findings.counts["skipped"] += 1
        findings.skips.append(Skip(name, _message(skipped)))
    else:
        findings.counts["passed"] += 1


def _message(element: ElementTree.Element) -> str:
    return " ".join((element.get("message") or "no message").split())


def lines(phases: Sequence[Phase], findings: Findings, *, strict: bool) -> Iterator[str]:
    """Yield the summary: duration of every phase, then skips, failures, and the count of tests."""
    for phase in phases:
        yield f"{phase.seconds:7.1f} s  {phase.name}"
    for skip in findings.skips:
        verdict = "" if is_allowed(skip) or not strict else " (not on the list in tools/checks/skips.py: a failure)"
        yield f"SKIPPED {skip.test}: {skip.reason}{verdict}"
    for failure in findings.failures:
        yield f"FAILED {failure}"
    for phase in phases:
        if phase.code:
            yield "\n    ".join((f"FAILED {phase.name}", *phase.errors))
    if findings.counts:
        counts = findings.counts.copy()
        if strict and (unexplained := len(findings.unexplained)):
            counts["failed"] += unexplained
            counts["skipped"] -= unexplained
        yield f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"
