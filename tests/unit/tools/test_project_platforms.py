"""Lists of packages that were made for another platform. Nothing queries a package index."""

import platform
from pathlib import Path

import pytest

from tests.unit.tools.projects import APP, write
from tools.project.dependencies import read
from tools.project.detect import Choices, detect
from tools.project.tree import ProjectError
from tools.release.errors import ReleaseError
from tools.release.platforms import has_file
from tools.release.target import Target

WINDOWS, LINUX = "a-1-cp313-cp313-win_amd64.whl", f"a-1-cp313-cp313-manylinux_2_17_{platform.machine()}.whl"
HOSTS = f"Linux with Python 3.13 on {platform.machine()}"
NEEDS = "[project]\ndependencies = ['flask', 'a']"
POETRY = "[tool.poetry.dependencies]\nflask = '*'\na = '*'"


def uv(file: str, dependency: str = "") -> str:
    """Return a lock file of uv."""
    return (
        "[[package]]\nname = 'shop'\nversion = '1'\nsource = { virtual = '.' }\n"
        f"dependencies = [{{ name = 'flask' }}, {{ name = 'a'{dependency} }}]\n"
        "[[package]]\nname = 'flask'\nversion = '3'\nwheels = [{ url = 'https://h/flask-3-py3-none-any.whl' }]\n"
        f"[[package]]\nname = 'a'\nversion = '1'\nwheels = [{{ url = 'https://h/{file}' }}]\n"
    )


def poetry(file: str, more: str = "") -> str:
    """Return a lock file of Poetry."""
    return f"[[package]]\nname = 'a'\nversion = '1'\nfiles = [{{file = '{file}', hash = 'x'}}]\n{more}"


@pytest.mark.parametrize(
    ("files", "refused"),
    [
        ({"pyproject.toml": NEEDS, "uv.lock": uv(WINDOWS)}, "uv.lock: no file of a==1 is for "),
        ({"pyproject.toml": NEEDS, "uv.lock": uv(LINUX)}, ""),
        ({"pyproject.toml": NEEDS, "uv.lock": uv(WINDOWS, ", marker = \"sys_platform == 'win32'\"")}, ""),
        (
            {"pyproject.toml": NEEDS, "uv.lock": f"supported-markers = [\"sys_platform == 'win32'\"]\n{uv(LINUX)}"},
            "uv.lock is only for sys_platform == 'win32', and the hosts have ",
        ),
        (
            {"pyproject.toml": NEEDS, "uv.lock": f"supported-markers = [\"sys_platform == 'linux'\"]\n{uv(LINUX)}"},
            "",
        ),
        ({"pyproject.toml": POETRY, "poetry.lock": poetry(WINDOWS)}, "poetry.lock: no file of a==1 is for "),
        ({"pyproject.toml": POETRY, "poetry.lock": poetry("a-1.tar.gz")}, ""),
        ({"pyproject.toml": POETRY, "poetry.lock": poetry(WINDOWS, "markers = \"sys_platform == 'win32'\"")}, ""),
        (
            {"pyproject.toml": NEEDS, "pdm.lock": poetry(WINDOWS)},
            "pdm.lock: no file of a==1 is for ",
        ),
        (
            {"pylock.toml": f"[[packages]]\nname = 'a'\nversion = '1'\nwheels = [{{ name = '{WINDOWS}' }}]"},
            "pylock.toml: no file of a==1 is for ",
        ),
        (
            {"pylock.toml": "environments = [\"sys_platform == 'darwin'\"]\npackages = []"},
            "pylock.toml is only for sys_platform == 'darwin', and the hosts have ",
        ),
        ({"requirements.txt": "flask\npywin32==311"}, "requirements.txt: no file of pywin32==311 is for "),
        ({"requirements.txt": "flask\npywin32==311 ; sys_platform == 'win32'"}, ""),
        (
            {"requirements.txt": "flask ; sys_platform == 'win32'"},
            'txt has flask only for sys_platform == "win32", and',
        ),
        ({"requirements.txt": "flask\noffline==1"}, ""),
    ],
)
def test_a_list_of_packages_for_another_platform_is_refused(
    tmp_path: Path, files: dict[str, str], refused: str
) -> None:
    def lacking(pins: list[str], target: Target) -> list[str]:
        if "offline==1" in pins:
            raise ReleaseError(f"cannot find flask for {target}: error sending request")
        return [pin for pin in pins if pin == "pywin32==311"]

    tree = write(tmp_path, {"app.py": APP, **files})
    if not refused:
        detect(tree, Choices(), lacking=lacking)
        return
    with pytest.raises(ProjectError) as caught:
        detect(tree, Choices(), lacking=lacking)
    assert refused in str(caught.value)
    assert HOSTS in str(caught.value)


def test_a_lock_file_has_other_packages_for_another_python(tmp_path: Path) -> None:
    old, new = (
        "resolution-markers = [\"python_version < '3.12'\"]",
        "resolution-markers = [\"python_version >= '3.12'\"]",
    )
    more = [f"[[package]]\nname = 'b'\nversion = '{n}'\n{fork}\n" for n, fork in enumerate((old, new), 1)]
    extra = "[package.optional-dependencies]\nfast = [{ name = 'b' }]\n"
    lock = uv(LINUX, ", extra = ['fast']") + extra + "".join(more)
    tree = write(tmp_path, {"pyproject.toml": NEEDS, "uv.lock": lock})
    assert read(tree).versions == {"flask": "3", "a": "1", "b": "2"}
    assert read(tree, "3.11").versions["b"] == "1"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a-1-py2.py3-none-any.whl", True),
        ("a-1-cp37-abi3-manylinux1_x86_64.whl", True),
        ("a-1-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", True),
        ("a-1-cp312-cp312-manylinux_2_17_x86_64.whl", False),
        ("a-1-cp313-cp313-manylinux_2_17_aarch64.whl", False),
        ("a-1-cp313-cp313-macosx_11_0_arm64.whl", False),
        ("a-1.zip", True),
    ],
)
def test_the_name_of_a_file_tells_whether_hosts_can_use_it(name: str, expected: bool) -> None:
    assert has_file([name], Target("3.13", "x86_64")) is expected
