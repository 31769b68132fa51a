"""Packages without a wheel for the target. uv and pip are simulated, but for one test that needs no network."""

import re
import zipfile
from pathlib import Path

import pytest

from tests.unit.tools.release.projects import TARGET
from tools.release import wheels
from tools.release.errors import ReleaseError
from tools.release.errors import uv as real_uv
from tools.release.target import MAINTAINED

# The newest Python for which a pin has wheels.
NEWEST = {"greenlet==3.0.1": "3.12", "multidict==6.0.4": "3.11", "langdetect==1.0.9": "", "pywin32==311": ""}


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Simulate uv. Record for which Python it resolves."""
    found: list[str] = []

    def uv(*arguments: str, what: str, text: str, **_: object) -> str:
        options = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
        found.append(python := options["--python-version"])
        if text == "pywin32==311":
            raise ReleaseError(
                f"cannot {what}: Because pywin32==311 has no wheels with a matching platform tag (e.g. x)"
            )
        if "offline" in text:
            raise ReleaseError(f"cannot {what}: error sending request for url (https://example.org/simple/offline/)")
        lines = [re.split("[<=]=", line) for line in text.splitlines() if not line.startswith("-")]
        file = Path(options.get("--output-file", "/dev/null"))
        kept = dict(line.split("==") for line in file.read_text().splitlines())
        pins = [f"{name}=={kept.get(name) or (version or ['9.9'])[0]}" for name, *version in lines]
        pins = [pin if NEWEST.get(pin, "3.13") >= python else re.sub("==.*", "==0", pin) for pin in pins]
        file.write_text("\n".join(pins))
        return "\n".join(pins)

    monkeypatch.setattr(wheels, "uv", uv)
    return found


def test_all_packages_without_a_wheel_are_found_with_few_calls(calls: list[str]) -> None:
    pins = [*(f"package{number}==1.0" for number in range(50)), "multidict==6.0.4", "greenlet==3.0.1"]
    assert wheels.without_wheel(pins, TARGET) == ["multidict==6.0.4", "greenlet==3.0.1"]
    assert len(calls) == 2
    assert wheels.without_wheel(["greenlet==3.1", "greenlet==3.0.1", "flask"], TARGET) == ["greenlet==3.0.1"]


def test_a_pin_that_other_platforms_have_is_not_built_from_source() -> None:
    assert wheels.without_file(["flask==3.1.3", "langdetect==1.0.9", "pywin32==311"], TARGET) == ["pywin32==311"]


def test_an_index_that_does_not_answer_is_no_missing_wheel() -> None:
    with pytest.raises(ReleaseError, match="error sending request"):
        wheels.without_wheel(["flask==3.1.3", "offline==1.0"], TARGET)


def test_uv_finds_them_among_real_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "uv", real_uv)
    for name in (
        "pure-1.0-py3",
        "two_words-1.0-py3",
        "old-1.0-cp311",
        "old-0.9-py3",
        "newer-2.0-py3",
        "dev-1.0rc1-py3",
    ):
        package, version, python = name.split("-")
        tag = f"{python}-none-any" if python == "py3" else f"{python}-{python}-manylinux_2_17_x86_64"
        with zipfile.ZipFile(tmp_path / f"{package}-{version}-{tag}.whl", "w") as wheel:
            folder = f"{package}-{version}.dist-info"
            wheel.writestr(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
            wheel.writestr(f"{folder}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
            wheel.writestr(f"{folder}/RECORD", "")
    (tmp_path / "source-1.0.tar.gz").touch()
    here = ["--no-index", f"--find-links {tmp_path}"]
    present = ["pure==1.0", "two-words==1.0.0", "dev==1.0rc1", "newer==1.*"]
    lacking = ["old==1.0", "newer==1.0", "source==1.0", "absent==1.0"]
    assert wheels.without_wheel([*present, *lacking], TARGET, here) == lacking


@pytest.mark.parametrize(
    ("pins", "python", "lacking"),
    [
        (["flask==3.1.3"], "", []),
        (["flask==3.1.3", "langdetect==1.0.9"], "", []),
        (["langdetect==1.0.9", "greenlet==3.0.1"], "3.12", ["greenlet==3.0.1"]),
        (["greenlet==3.0.1", "multidict==6.0.4"], "3.11", ["greenlet==3.0.1", "multidict==6.0.4"]),
    ],
)
def test_the_better_python_is_the_newest_with_the_most_wheels(
    calls: list[str], pins: list[str], python: str, lacking: list[str]
) -> None:
    assert wheels.better_python(pins, TARGET) == (python, lacking)
    assert set(calls) <= set(MAINTAINED)


def test_packages_that_cannot_be_had_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pip(*arguments: str, what: str) -> None:
        if arguments[0] == "download":
            raise ReleaseError(f"cannot {what}: no matching distribution")
        raise ReleaseError(f"cannot {what}: it contains compiled code")

    monkeypatch.setattr(wheels, "pip", pip)
    monkeypatch.setenv("ENGINE", "no-engine")
    lines = [f"{name} --hash=sha256:aa" for name in ("greenlet==3.0.1", "flask==3.1.3", "langdetect==1.0.9")]
    with pytest.raises(ReleaseError) as caught:
        wheels.fetch(lines, TARGET, tmp_path)
    reason = "it has compiled code, which needs a container, and no-engine is not installed: run make setup"
    assert str(caught.value) == (
        "These packages are not available for Python 3.13 on x86_64: "
        f"greenlet==3.0.1 ({reason}; version 9.9 has a wheel), langdetect==1.0.9 ({reason}; version 9.9 has a wheel). "
        'Choose other versions, or app_python = "3.12", for which there is a wheel of greenlet==3.0.1'
    )


def test_packages_of_another_index_are_not_named_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    index, texts = "--extra-index-url https://h/simple", []

    def uv(*arguments: str, what: str, text: str, **_: object) -> str:
        texts.append(text)
        if output := [argument for argument in arguments if argument.startswith("--output-file=")]:
            Path(output[0].partition("=")[2]).write_text("own==0")
            return ""
        raise ReleaseError(f"cannot {what}: Because own was not found in the package registry")

    monkeypatch.setattr(wheels, "uv", uv)
    assert wheels.unavailable(["own==1.0"], TARGET, [index])
    assert {text.splitlines()[0] for text in texts} == {index}
