from __future__ import annotations

from pathlib import Path

import pytest

from tools.terraform import aws_provider
from tools.terraform.aws_provider import PROVIDER, configuration, environment, mirror, missing


@pytest.mark.parametrize("below", ["", "add-ons"])
def test_a_mirror_is_found_by_what_it_holds(tmp_path: Path, below: str) -> None:
    empty, place = tmp_path / "empty", tmp_path / "place"
    (empty / "add-ons").mkdir(parents=True)
    (place / below / PROVIDER / "5.100.0").mkdir(parents=True)
    assert mirror([empty, tmp_path / "absent", place]) == place / below


def test_without_one_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "registry.terraform.io" / "hashicorp" / "random").mkdir(parents=True)
    assert mirror([tmp_path]) is None


def test_terraform_asks_the_mirror_for_the_provider_and_registries_for_others() -> None:
    text = configuration(Path("/somewhere"))
    assert 'path    = "/somewhere"' in text
    assert text.index("include") < text.index("direct") < text.index("exclude")


def test_a_configuration_that_is_there_holds_and_one_that_is_not_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_provider, "CACHE", tmp_path / "cache")
    (tmp_path / PROVIDER).mkdir(parents=True)
    own = tmp_path / "own.terraformrc"
    gone = environment({"TF_CLI_CONFIG_FILE": str(own)}, [tmp_path])["TF_CLI_CONFIG_FILE"]
    assert str(tmp_path) in Path(gone).read_text()
    own.touch()
    assert environment({"TF_CLI_CONFIG_FILE": str(own)}, [tmp_path])["TF_CLI_CONFIG_FILE"] == str(own)


def test_a_missing_provider_is_told_from_other_failures() -> None:
    assert "could not connect" in missing("Error: Failed to query available\n provider packages: could not connect")
    assert missing("Error: Unsupported argument") == ""
