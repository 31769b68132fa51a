"""Lists of packages that other tools write, and lock files without hashes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.release.projects import TARGET
from tools.project import dependencies
from tools.project.tree import Tree
from tools.release import lock as locking
from tools.release import pipenv, requirements
from tools.release.errors import ReleaseError

OLD = "setuptools<82"
PIPFILE = """\
[packages]
flask = "*"
celery = {version = "~=5.4", extras = ["redis"], markers = "python_version >= '3.9'"}
tool = {git = "https://h/tool.git", ref = "v1"}
shop = {path = ".", editable = true}

[dev-packages]
pytest = "*"
"""


def requirements_in(option: str) -> str:
    """Return the content of the file that an option like --constraint=FILE names."""
    return Path(option.partition("=")[2]).read_text()


def test_a_pipfile_becomes_requirements() -> None:
    assert pipenv.listed(PIPFILE).splitlines() == [
        "flask",
        "celery[redis]~=5.4 ; python_version >= '3.9'",
        "tool @ git+https://h/tool.git@v1",
    ]


def test_a_lock_of_pipenv_becomes_requirements_with_hashes() -> None:
    packages: dict[str, Any] = {
        "flask": {"version": "==3.1.3", "hashes": ["sha256:aa", "sha256:bb"], "markers": "python_version >= '3.9'"},
        "shop": {"path": ".", "editable": True},
    }
    text = json.dumps({"default": packages, "develop": {"pytest": {"version": "==9"}}})
    assert pipenv.locked(text) == "flask==3.1.3 ; python_version >= '3.9' --hash=sha256:aa --hash=sha256:bb\n"


@pytest.mark.parametrize("name", ["Pipfile", "Pipfile.lock", "pdm.lock", "pylock.toml", "pyproject.toml"])
def test_a_file_with_a_mistake_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[")
    with pytest.raises(ReleaseError, match=f"{name} cannot be read: .*; correct it$"):
        locking.compiled(locking.find(tmp_path, ""), TARGET, "")


@pytest.mark.parametrize(
    ("line", "expected"), [("flask==3.1.3 --hash=sha256:aa", False), ("flask @ git+https://h/f@v1", True)]
)
def test_an_option_for_an_index_is_no_package_without_a_hash(line: str, expected: bool) -> None:
    """Poetry exports one for each of its sources."""
    assert requirements.unhashed(f"--extra-index-url https://h/simple\n\n{line}\n") is expected


@pytest.mark.parametrize(
    ("name", "content", "text", "named"),
    [
        ("Pipfile", PIPFILE.partition("celery")[0], "flask\ngunicorn\n", ["constraints.txt"]),
        # An index without hashes leaves them out of the project's lock file.
        ("Pipfile.lock", '{"default": {"own": {"version": "==1"}}}', "own==1\ngunicorn\n", ["constraints.txt"]),
        ("setup.py", "from setuptools import setup", "gunicorn\n", ["constraints.txt", "setup.py"]),
        ("setup.py", "setup(install_requires=['setuptools>=82'])", "gunicorn\n", ["setup.py"]),
        ("requirements.txt", "flask\nsetuptools", "gunicorn\n", ["requirements.txt"]),
        # They import pkg_resources or distutils, which only old setuptools have.
        ("requirements.txt", "redis==3.5.3", f"gunicorn\n{OLD}\n", ["constraints.txt", "requirements.txt"]),
        ("requirements.txt", "gunicorn==20.1.0", f"gunicorn\n{OLD}\n", ["constraints.txt", "requirements.txt"]),
        (
            "requirements.txt",
            "Gunicorn==20.1.0 --hash=sha256:aa",
            f"gunicorn\n{OLD}\n",
            ["constraints.txt", "requirements.txt"],
        ),
        ("requirements.txt", "gunicorn==21.0.0", "gunicorn\n", ["constraints.txt", "requirements.txt"]),
        ("requirements.txt", "gunicorn==20.1.0\nsetuptools==65.0", "gunicorn\n", ["requirements.txt"]),
    ],
)
def test_what_has_no_hashes_is_given_to_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, text: str, named: list[str]
) -> None:
    (path := tmp_path / name).write_text(content)
    calls = []

    def uv(*arguments: str, text: str, **_: object) -> str:
        given = [word for word in arguments if not word.startswith("--constraint") or requirements_in(word)]
        files = [Path(word).name for word in given if Path(word) == path or word.startswith("--constraint")]
        calls.append((text, files))
        return ""

    monkeypatch.setattr(locking, "uv", uv)
    locking.compiled(path, TARGET, "")
    assert calls == [(text, named)]


def test_a_list_of_packages_in_utf_16_is_read(tmp_path: Path) -> None:
    """PowerShell writes it that way."""
    (path := tmp_path / "requirements.txt").write_bytes("flask==3.1.3\r\n".encode("utf-16"))
    assert requirements.lines(requirements.text_of(path)) == ["flask==3.1.3"]
    assert dependencies.read(Tree(tmp_path)).versions == {"flask": "3.1.3"}
    path.write_bytes(b"\xe9\xff")
    with pytest.raises(ReleaseError, match=r"requirements.txt is neither UTF-8 nor UTF-16 \(.*\); save it as UTF-8"):
        locking.lock(tmp_path, "", TARGET, tmp_path / "lock")


@pytest.mark.parametrize("locked", [True, False])
def test_a_list_with_flask_for_other_platforms_only_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    def uv(*arguments: str, **_: object) -> str:
        output = next(word.partition("=")[2] for word in arguments if word.startswith("--output-file"))
        Path(output).write_text("gunicorn==27.0.1 --hash=sha256:abcd\n")
        return ""

    monkeypatch.setattr(locking, "uv", uv)
    other, extra = "flask==3.1.3 ; sys_platform == 'win32'", " --hash=sha256:aa" if locked else ""
    (tmp_path / "requirements.txt").write_text(f"{other}{extra}\ngunicorn==27.0.1{extra}\n")
    with pytest.raises(ReleaseError, match=r"flask only for other platforms than Linux with Python 3\.13 on x86_64"):
        locking.lock(tmp_path, "", TARGET, tmp_path / "lock")


@pytest.mark.parametrize(
    ("line", "complete"), [("gunicorn==20.1.0", False), ("gunicorn==20.1.0", True), ("gunicorn==27.0.1", True)]
)
def test_a_list_with_hashes_that_leaves_setuptools_out_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, complete: bool
) -> None:
    """pip-tools calls setuptools unsafe, and old releases of Poetry do not lock it."""
    asked = []

    def uv(*arguments: str, **_: object) -> str:
        asked.append(arguments)
        output = next(word.partition("=")[2] for word in arguments if word.startswith("--output-file"))
        Path(output).write_text("flask==3.1.3 --hash=sha256:aa\n")
        return ""

    monkeypatch.setattr(locking, "uv", uv)
    lines = ["flask==3.1.3", line, *["setuptools==65.0"] * (complete and line.endswith("20.1.0"))]
    (tmp_path / "requirements.txt").write_text("".join(f"{one} --hash=sha256:aa\n" for one in lines))
    locking.lock(tmp_path, "", TARGET, tmp_path / "lock")
    assert bool(asked) != complete
