"""Without the AWS provider, the checks of terraform/aws are skipped visibly. Any other failure is a failure."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.checks import report
from tools.checks.plan import ROOT
from tools.terraform import aws


def terraform(error: str) -> object:
    """Return a fake Terraform whose `init` fails with an error."""

    def run(_root: Path, *_arguments: str, **_options: bool) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, stdout="", stderr=error)

    return run


@pytest.fixture
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "REPORTS", tmp_path)


@pytest.mark.usefixtures("summary")
def test_a_missing_provider_is_a_skip_with_its_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["aws", "test"])
    monkeypatch.setattr(aws, "terraform", terraform("Error: Failed to query available provider packages: no route"))
    assert aws.main() == 0
    findings = report.read(tmp_path)
    assert [skip.test for skip in findings.skips] == ["terraform/aws::terraform test"]
    assert findings.unexplained == []


@pytest.mark.usefixtures("summary")
def test_another_failure_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["aws", "validate"])
    monkeypatch.setattr(aws, "terraform", terraform("Error: Unsupported argument"))
    assert aws.main() == 1
    assert report.read(tmp_path).skips == []


def test_every_module_of_aws_has_tests() -> None:
    providers = (ROOT / "terraform/modules").glob("*/versions.tf")
    modules = {path.parent.name for path in providers if "hashicorp/aws" in path.read_text()}
    assert {root.name for root in aws.ROOTS["test"]} == modules | {"aws"}
