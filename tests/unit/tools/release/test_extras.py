"""Extras and groups of a project, and packages that it does not list."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.tools.release.projects import TARGET
from tools.release import lock as locking
from tools.release.errors import ReleaseError
from tools.release.extras import Extras
from tools.release.source import Source

PROJECT = """
[project]
name = "shop"
dependencies = ["flask"]
[project.optional-dependencies]
Post_gres = ["psycopg"]
[dependency-groups]
server = ["gunicorn"]
"""
LOCKED = "flask==3.1.3 --hash=sha256:ef\ngunicorn==27.0.1 --hash=sha256:abcd\n"
BOTH = Extras(("post-gres", "server"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Record what is asked of uv, which answers with a lock file of Flask and gunicorn."""
    found: list[tuple[str, ...]] = []

    def uv(*arguments: str, text: str = "", **_: object) -> str:
        found.append((*arguments, text))
        for argument in arguments:
            if argument.startswith("--output-file="):
                Path(argument.partition("=")[2]).write_text(LOCKED)
        return "gunicorn==27.0.1 --hash=sha256:abcd\n"

    monkeypatch.setattr(locking, "uv", uv)
    return found


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pyproject.toml", {"--extra=post-gres", "--group=server"}),
        ("uv.lock", {"--extra=post-gres", "--group=server"}),
        ("poetry.lock", {"--extras=post-gres", "--with=server"}),
    ],
)
def test_extras_and_groups_are_asked_of_the_locking_tool(
    flat: Source, calls: list[tuple[str, ...]], name: str, options: set[str]
) -> None:
    (flat.root / "uv.lock").unlink(missing_ok=True)
    (flat.root / name).touch()
    (flat.root / "pyproject.toml").write_text(PROJECT)
    locking.lock(flat.root, name, TARGET, flat.lock_file, more=BOTH)
    assert options <= {*calls[0]}


def test_further_packages_are_locked_with_the_others(flat: Source, calls: list[tuple[str, ...]]) -> None:
    more = Extras(packages=("psycopg2-binary>=2.9",))
    locking.lock(flat.root, "", TARGET, flat.lock_file, more=more)
    assert calls[0][-1] == "gunicorn\npsycopg2-binary>=2.9\n"
    locking.lock(flat.root, "", TARGET, flat.lock_file, more=more)
    assert len(calls) == 1
    locking.lock(flat.root, "", TARGET, flat.lock_file)
    assert len(calls) == 2, "the list of packages is part of the input"


def test_a_complete_lock_file_is_used_only_if_it_has_the_further_packages(
    flat: Source, calls: list[tuple[str, ...]]
) -> None:
    (flat.root / "requirements.txt").write_text("gunicorn==27.0.1 --hash=sha256:abcd\nsix==1.17.0 --hash=sha256:ef\n")
    locking.lock(flat.root, "", TARGET, flat.lock_file, more=Extras(packages=("six",)))
    assert not calls
    locking.lock(flat.root, "", TARGET, flat.lock_file, more=Extras(packages=("psycopg2-binary",)))
    assert calls
    calls.clear()
    # uv reports the contradiction.
    locking.lock(flat.root, "", TARGET, flat.lock_file, more=Extras(packages=("six<1.17",)))
    assert calls


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        (
            "requirements.txt",
            Extras(("pg",)),
            r"app_extras=\['pg'\] needs a list with extras, and .*requirements.txt has",
        ),
        (
            "pyproject.toml",
            Extras(("pg",)),
            "app_extras names pg, which is neither an extra nor a group of .*; it has post",
        ),
        (
            "requirements.txt",
            Extras(packages=("x @ git+https://kim:s3cret@h/x.git",)),
            r"has a password in 'x @ git\+https://\*\*\*@h/x.git', which the lock file",
        ),
        (
            "requirements.txt",
            Extras(packages=("a b",)),
            r"app_extra_packages has 'a b', which is not a requirement [^\n]*; write",
        ),
    ],
)
def test_additions_that_do_not_exist_are_refused(flat: Source, name: str, more: Extras, message: str) -> None:
    source = replace(flat, requirements=name, more=more)
    (flat.root / "pyproject.toml").write_text(PROJECT)
    with pytest.raises(ReleaseError, match=message):
        locking.lock(source.root, source.requirements, TARGET, source.lock_file, more=source.more)
