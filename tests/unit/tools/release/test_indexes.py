"""Private package indexes: their credentials come from this machine's environment, and go nowhere else."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.tools.release.projects import TARGET, unpacked
from tools.release import errors, indexes, wheels
from tools.release.build import build
from tools.release.errors import ReleaseError
from tools.release.source import Source
from tools.release.target import Target

PROJECT = "[project]\nname = 'shop'\nversion = '1'\ndependencies = ['flask']\n"
UV = "[[tool.uv.index]]\nname = 'my-own'\nurl = 'https://h/simple'\n"
POETRY = "[[tool.poetry.source]]\nname = 'my-own'\nurl = 'https://h/simple'\n"
PDM = "[[tool.pdm.source]]\nname = 'x'\nurl = 'https://${PRIVATE_USER}:${PRIVATE_TOKEN}@h/simple'\n"
PIPFILE = "[[source]]\nname = 'pypi'\nurl = 'https://pypi.org/simple'\n[[source]]\nurl = 'https://$PRIVATE_USER@h'\n"
GIVEN = "https://kim:a%2Fb@h/simple"


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials of a developer, and no indexes of this machine."""
    monkeypatch.setattr(errors, "_pip_config", dict)
    for prefix in ("UV_INDEX_MY_OWN", "POETRY_HTTP_BASIC_MY_OWN"):
        monkeypatch.setenv(f"{prefix}_USERNAME", "kim")
        monkeypatch.setenv(f"{prefix}_PASSWORD", "a/b")
    for name, value in {"PRIVATE_USER": "kim", "PRIVATE_TOKEN": "s3cret"}.items():
        monkeypatch.setenv(name, value)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        # Also restores them after a build has set them.
        monkeypatch.setenv(name, "")


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("pyproject.toml", UV, {"PIP_EXTRA_INDEX_URL": GIVEN}),
        ("uv.lock", UV + "default = true\n", {"PIP_INDEX_URL": GIVEN}),
        ("uv.lock", UV.replace("my-own", "other"), {"PIP_EXTRA_INDEX_URL": "https://h/simple"}),
        ("uv.lock", "[tool.uv]\nextra-index-url = ['https://h/simple']", {"PIP_EXTRA_INDEX_URL": "https://h/simple"}),
        ("poetry.lock", POETRY, {"PIP_INDEX_URL": GIVEN}),
        ("poetry.lock", POETRY + "priority = 'supplemental'\n", {"PIP_EXTRA_INDEX_URL": GIVEN}),
        ("pdm.lock", PDM, {"PIP_EXTRA_INDEX_URL": "https://kim:s3cret@h/simple"}),
        ("Pipfile.lock", PIPFILE, {"PIP_EXTRA_INDEX_URL": "https://kim@h"}),
        ("requirements.txt", UV, {}),
        ("pyproject.toml", "", {}),
    ],
)
def test_the_indexes_of_a_project_become_variables_of_pip(
    tmp_path: Path, name: str, settings: str, expected: dict[str, str]
) -> None:
    (tmp_path / ("Pipfile" if "Pipfile" in name else "pyproject.toml")).write_text(settings)
    assert indexes.environment(tmp_path / name) == expected


def test_an_index_of_this_machine_stays_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_pip_config", lambda: {"extra-index-url": "https://mirror/simple"})
    (tmp_path / "pyproject.toml").write_text(UV)
    assert indexes.environment(tmp_path / "uv.lock") == {"PIP_EXTRA_INDEX_URL": f"https://mirror/simple {GIVEN}"}


@pytest.mark.usefixtures("wheelhouse", "compiled")
def test_the_installer_comes_from_the_indexes_of_this_machine(
    flat: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private index that replaces PyPI need not have uv."""
    (flat.root / "requirements.txt").unlink()
    (flat.root / "pyproject.toml").write_text(PROJECT + UV + "default = true\n")
    simulated, used = wheels.fetch, {}

    def fetch(lines: list[str], target: Target, into: Path, python: Path | None = None) -> None:
        used[into.name] = os.environ["PIP_INDEX_URL"]
        simulated(lines, target, into, python)

    monkeypatch.setattr(wheels, "fetch", fetch)
    build(flat, TARGET, tmp_path / "cache")
    assert used == {"wheels": GIVEN, "installer": ""}


@pytest.mark.usefixtures("wheelhouse")
def test_credentials_reach_uv_but_no_lock_file_and_no_release(
    flat: Source, compiled: list[str], tmp_path: Path
) -> None:
    (flat.root / "requirements.txt").unlink()
    (flat.root / "pyproject.toml").write_text(PROJECT + UV)
    result = build(flat, TARGET, tmp_path / "cache")
    assert errors._uv_environment()["UV_INDEX"] == GIVEN
    assert compiled
    assert "a%2Fb" not in flat.lock_file.read_text() + str(result)
    assert not any(b"a%2Fb" in content for _, content in unpacked(result["path"]).values())


@pytest.mark.usefixtures("wheelhouse", "compiled")
@pytest.mark.parametrize(("password", "noted"), [("s3cret", True), ("${PRIVATE_TOKEN}", False)])
def test_a_password_in_the_source_is_noted(flat: Source, tmp_path: Path, password: str, noted: bool) -> None:
    (flat.root / "requirements.txt").write_text(f"--extra-index-url https://kim:{password}@h/simple\nflask\n")
    notes = build(flat, TARGET, tmp_path / "cache")["notes"]
    assert any(note.startswith("requirements.txt contains the password of a package index") for note in notes) == noted
    assert "s3cret" not in str(notes)


@pytest.mark.usefixtures("compiled")
def test_refused_access_to_an_index_is_explained(flat: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object) -> None:
        raise ReleaseError("cannot download the wheels: 401 Client Error: Unauthorized for url: https://h/simple/x/")

    monkeypatch.setattr(wheels, "fetch", fetch)
    with pytest.raises(ReleaseError, match=r"https://h/simple/x/. If the package index is private, .*~/.netrc, "):
        build(replace(flat, build_command=""), TARGET, tmp_path / "cache")
