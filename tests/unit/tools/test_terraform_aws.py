"""Without the AWS provider, the checks of terraform/aws are skipped visibly. Any other failure is a failure."""

import subprocess
from pathlib import Path

import pytest

from tools.checks import report
from tools.checks.plan import ROOT
from tools.terraform import aws


@pytest.mark.parametrize(
    ("command", "error", "code", "skipped"),
    [
        ("test", "Error: Failed to query available provider packages: no route", 0, ["terraform/aws::terraform test"]),
        ("validate", "Error: Unsupported argument", 1, []),
    ],
    ids=["missing provider", "another failure"],
)
def test_only_a_missing_provider_is_a_skip_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, error: str, code: int, skipped: list[str]
) -> None:
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr=error)
    monkeypatch.setattr(aws, "REPORTS", tmp_path)
    monkeypatch.setattr(aws, "terraform", lambda *_, **_options: failed)
    monkeypatch.setattr("sys.argv", ["aws", command])
    assert aws.main() == code
    findings = report.read(tmp_path)
    assert [skip.test for skip in findings.skips] == skipped
    assert findings.unexplained == []


def test_every_module_of_aws_has_tests() -> None:
    providers = (ROOT / "terraform/modules").glob("*/versions.tf")
    modules = {path.parent.name for path in providers if "hashicorp/aws" in path.read_text()}
    assert {root.name for root in aws.ROOTS["test"]} == modules | {"aws"}
