"""Packages without a wheel for the target. uv and pip are simulated."""

from pathlib import Path

import pytest

from tests.unit.tools.release.projects import TARGET
from tools.release import wheels
from tools.release.errors import ReleaseError
from tools.release.target import MAINTAINED

# The newest Python for which a pin has wheels, and whether uv names the packages that it is about.
NEWEST = {"greenlet==3.0.1": "3.12", "multidict==6.0.4": "3.11", "langdetect==1.0.9": "", "unnamed==1.0": "3.12"}


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Simulate uv, which names the first package that has no wheel. Record for which Python it resolves."""
    found: list[str] = []

    def uv(*arguments: str, what: str, text: str, **_: object) -> str:
        python = next(a.partition("=")[2] for a in arguments if a.startswith("--python-version="))
        found.append(python)
        pins = [line for line in text.splitlines() if not line.startswith("-")]
        if "offline==1.0" in pins:
            raise ReleaseError(f"cannot {what}: error sending request for url (https://example.org/simple/offline/)")
        if len({pin.partition("==")[0] for pin in pins}) < len(pins):
            raise ReleaseError(f"cannot {what}: Because you require {pins}, your requirements are unsatisfiable")
        for pin in pins:
            if NEWEST.get(pin, "3.13") < python and "--only-binary=:all:" in arguments:
                named = "1 of them" if pin.startswith("unnamed") else pin
                raise ReleaseError(f"cannot {what}: Because {named} has no usable wheels and you require {named}, …")
        return "\n".join(pin if "==" in pin else f"{pin}==9.9" for pin in pins)

    monkeypatch.setattr(wheels, "uv", uv)
    return found


def test_all_packages_without_a_wheel_are_found_with_few_calls(calls: list[str]) -> None:
    pins = [*(f"package{number}==1.0" for number in range(50)), "multidict==6.0.4", "greenlet==3.0.1"]
    assert wheels.without_wheel(pins, TARGET) == ["multidict==6.0.4", "greenlet==3.0.1"]
    assert len(calls) == 3


def test_errors_that_name_no_package_or_several_are_taken_apart() -> None:
    pins = ["flask==3.1.3", "unnamed==1.0", "greenlet==3.1", "greenlet==3.0.1", "multidict==6.0.4"]
    assert wheels.without_wheel(pins, TARGET) == ["unnamed==1.0", "greenlet==3.0.1", "multidict==6.0.4"]
    with pytest.raises(ReleaseError, match="error sending request"):
        wheels.without_wheel([*pins, "offline==1.0"], TARGET)


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
        "These packages cannot be had for Python 3.13 on x86_64: "
        f"greenlet==3.0.1 ({reason}; version 9.9 has a wheel), langdetect==1.0.9 ({reason}; version 9.9 has a wheel). "
        'Choose other versions, or app_python = "3.12", for which greenlet==3.0.1 can be had as a wheel'
    )


def test_packages_of_another_index_are_not_named_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    index, texts = "--extra-index-url https://h/simple", []

    def uv(*_: str, what: str, text: str, **__: object) -> str:
        texts.append(text)
        raise ReleaseError(f"cannot {what}: Because own was not found in the package registry")

    monkeypatch.setattr(wheels, "uv", uv)
    assert wheels.unavailable(["own==1.0"], TARGET, [index])
    assert {text.splitlines()[0] for text in texts} == {index}
