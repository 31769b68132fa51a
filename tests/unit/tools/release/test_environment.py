"""The packages that app_build_command has."""

import platform
import zipfile
from pathlib import Path

import pytest

from tools.release import environment
from tools.release.errors import ReleaseError
from tools.release.target import Target

HERE = Target(".".join(platform.python_version_tuple()[:2]), platform.machine())
DIST = "greet-1.0.dist-info"
FILES = {
    "greet.py": "def main():\n    print('hello', file=open('hello.txt', 'w'))\n",
    f"{DIST}/METADATA": "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n",
    f"{DIST}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{DIST}/entry_points.txt": "[console_scripts]\ngreet = greet:main\n",
    f"{DIST}/RECORD": "",
}


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with the wheel of a package that has the command `greet`."""
    with zipfile.ZipFile(tmp_path / "greet-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(name, text)
    (tmp_path / "tree").mkdir()
    return tmp_path


def test_the_build_command_has_the_commands_and_modules_of_the_packages(wheels: Path) -> None:
    (wheels / "tree/own.py").write_text("")
    command = "greet && python -c 'import greet, own, sys; print(sys.prefix)' >prefix"
    environment.build(command, wheels / "tree", ["greet==1.0"], HERE, wheels, None)
    assert (wheels / "tree/hello.txt").read_text() == "hello\n"
    assert (wheels / "tree/prefix").read_text().strip() == str(wheels / "environment")


def uv(*arguments: str, what: str, **_: object) -> str:
    """Fail to install anything, as without network access."""
    if arguments[0] == "venv":
        return ""
    raise ReleaseError(f"cannot {what}: no route to host")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (HERE, f"their wheels are for {HERE}, and this machine has no such Python or cannot install them ("),
        (Target(HERE.python, "other"), "their wheels are for .* on other, and this is a machine of type "),
    ],
)
def test_a_failed_command_without_the_packages_gives_both_reasons(
    wheels: Path, monkeypatch: pytest.MonkeyPatch, target: Target, reason: str
) -> None:
    monkeypatch.setattr(environment, "uv", uv)
    begin = "^cannot run app_build_command='greet': .*greet.*not found. It ran without the application's packages: "
    with pytest.raises(ReleaseError, match=f"{begin}{reason.replace('(', '[(]')}.*no route to host$"):
        environment.build("greet", wheels / "tree", ["greet==1.0"], target, wheels, None)
    environment.build("true", wheels / "tree", ["greet==1.0"], target, wheels, None)


def test_commands_of_node_get_no_packages(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "uv", uv)
    with pytest.raises(ReleaseError) as caught:
        environment.build("npm --no-such-command-x && npm run y", wheels / "tree", [], HERE, wheels, None)
    assert "packages" not in str(caught.value)
