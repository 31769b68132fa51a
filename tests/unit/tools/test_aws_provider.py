from pathlib import Path

import pytest

from tools.terraform import aws_provider
from tools.terraform.aws_provider import PROVIDER, configuration, environment, find_mirror, missing


@pytest.mark.parametrize("below", ["", "add-ons"])
def test_a_mirror_with_the_provider_is_found(tmp_path: Path, below: str) -> None:
    empty, place = tmp_path / "empty", tmp_path / "place"
    (empty / "add-ons").mkdir(parents=True)
    (place / below / PROVIDER / "5.100.0").mkdir(parents=True)
    assert find_mirror([empty, tmp_path / "absent", place]) == place / below


def test_a_mirror_without_the_provider_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "registry.terraform.io" / "hashicorp" / "random").mkdir(parents=True)
    assert find_mirror([tmp_path]) is None


def test_the_mirror_is_configured_only_for_the_provider() -> None:
    text = configuration(Path("/somewhere"))
    assert 'path    = "/somewhere"' in text
    assert text.index("include") < text.index("direct") < text.index("exclude")


def test_an_existing_configuration_has_precedence_and_a_missing_one_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_provider, "CACHE", tmp_path / "cache")
    (tmp_path / PROVIDER).mkdir(parents=True)
    own = tmp_path / "own.terraformrc"
    replacement = environment({"TF_CLI_CONFIG_FILE": str(own)}, [tmp_path])["TF_CLI_CONFIG_FILE"]
    assert str(tmp_path) in Path(replacement).read_text()
    own.touch()
    assert environment({"TF_CLI_CONFIG_FILE": str(own)}, [tmp_path])["TF_CLI_CONFIG_FILE"] == str(own)


def test_a_missing_provider_is_distinguished_from_other_failures() -> None:
    assert "could not connect" in missing("Error: Failed to query available\n provider packages: could not connect")
    assert missing("Error: Unsupported argument") == ""
