"""The Python that `bin/fleet init` chooses for a project. Nothing queries a package index."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.unit.tools.projects import APP, found, write
from tools.project.detect import Choices, detect
from tools.release.errors import ReleaseError
from tools.release.target import Target


@pytest.mark.parametrize(
    ("files", "python"),
    [
        ({}, None),
        ({"requirements.txt": "psycopg2-binary==2.9.11\nsqlalchemy"}, None),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.11,<3.12'"}, "3.11"),
        (
            {"pyproject.toml": "[project]\nrequires-python = '>=3.13'", "Dockerfile": "FROM python:3.14"},
            None,
        ),
        ({"pyproject.toml": "[tool.poetry.dependencies]\npython = '~3.12'\nflask = '*'"}, "3.12"),
        ({".python-version": "3.12.4\n"}, "3.12"),
        ({"runtime.txt": "python-3.11.9"}, "3.11"),
        ({"Pipfile": "[packages]\nflask = '*'\n[requires]\npython_version = '3.11'"}, "3.11"),
        ({"Dockerfile": "FROM --platform=linux/amd64 docker.io/python:3.12-slim AS base"}, "3.12"),
        (
            {"pyproject.toml": "[project]\nrequires-python = '>=3.9'", ".python-version": "3.11"},
            "3.11",
        ),
        (
            {"pyproject.toml": "[project]\nrequires-python = '>=3.12'", "runtime.txt": "python-3.11.9"},
            None,
        ),
        ({"requirements.txt": "greenlet==3.0.1\nsqlalchemy==2.0.23"}, "3.12"),
        ({"requirements.txt": "sqlalchemy==1.1.9"}, "3.9"),
        ({"requirements.txt": "celery==4.4.7"}, "3.10"),
        ({"requirements.txt": "gunicorn==19.9.0"}, "3.11"),
        ({"requirements.txt": "boto3==1.25.0"}, "3.12"),
        # A release brings pkg_resources and distutils for them.
        ({"requirements.txt": "gunicorn==20.1.0\nredis==3.5.3"}, None),
        ({"requirements.txt": "greenlet==3.0.1\nmultidict==6.0.4\nsqlalchemy==2.0.23"}, "3.11"),
    ],
)
def test_the_python_is_that_of_the_project_or_the_newest_that_works(
    tmp_path: Path, files: dict[str, str], python: str | None
) -> None:
    assert found(tmp_path, {"app.py": APP, **files}).value("app_python") == python


@pytest.mark.parametrize(
    ("files", "wheels", "python"),
    [
        ({"requirements.txt": "rare==1.0\npure==1.0"}, {"rare==1.0": "3.11", "pure==1.0": "3.11"}, "3.11"),
        ({"requirements.txt": "rare==1.0"}, {}, None),
        ({"requirements.txt": "rare==1.0"}, {"rare==1.0": "3.9"}, None),
        ({"requirements.txt": "rare"}, {"rare": "3.11"}, None),
        ({"requirements.txt": "rare==1.0", ".python-version": "3.12"}, {"rare==1.0": "3.11"}, "3.12"),
        ({"requirements.txt": "rare==1.0\ngreenlet==3.0.1"}, {"rare==1.0": "3.13"}, "3.12"),
    ],
)
def test_the_python_is_the_newest_for_which_pinned_packages_have_wheels(
    tmp_path: Path, files: dict[str, str], wheels: dict[str, str], python: str | None
) -> None:
    def better(pins: list[str], target: Target, pythons: Iterable[str]) -> tuple[str, list[str]]:
        lacking = [pin for pin in pins if wheels.get(pin, target.python) != target.python]
        others = list(pythons) if lacking else []
        return next((wheels[pin] for pin in lacking if wheels[pin] in others), ""), lacking

    project = detect(write(tmp_path, {"app.py": APP, **files}), Choices(), better)
    assert project.value("app_python") == python
    if python == "3.11":
        source = next(finding.source for finding in project.findings if finding.variable == "app_python")
        assert source == "requirements.txt: no wheel for Python 3.13: rare==1.0, pure==1.0"


def test_without_a_package_index_only_what_is_known_decides(tmp_path: Path) -> None:
    def better(*_: object) -> tuple[str, list[str]]:
        raise ReleaseError("cannot find rare==1.0: error sending request")

    files = {"app.py": APP, "requirements.txt": "rare==1.0\ngreenlet==3.0.1"}
    assert detect(write(tmp_path, files), Choices(), better).value("app_python") == "3.12"


@pytest.mark.parametrize(
    ("files", "python"),
    [
        ({"Dockerfile": "FROM python:3.12-slim"}, None),
        ({"runtime.txt": "python-3.11.9"}, "3.11"),
        ({"requirements.txt": "greenlet==3.0.1"}, "3.11"),
        ({"pyproject.toml": "[project]\nrequires-python = '==3.12.*'"}, "3.12"),
    ],
)
def test_a_python_that_is_available_is_preferred(tmp_path: Path, files: dict[str, str], python: str | None) -> None:
    project = detect(write(tmp_path, {"app.py": APP, **files}), Choices(), None, lambda version: version == "3.11")
    assert project.value("app_python") == python


def test_a_python_with_more_wheels_is_taken_only_if_it_is_available(tmp_path: Path) -> None:
    def better(_: list[str], __: Target, pythons: Iterable[str]) -> tuple[str, list[str]]:
        return next(iter(pythons), ""), ["rare==1.0"]

    files = {"app.py": APP, "requirements.txt": "rare==1.0"}
    for had, python in (("3.11 3.12", "3.12"), ("3.11", "3.11"), ("", None)):
        project = detect(write(tmp_path, files), Choices(), better, had.split().__contains__)
        assert project.value("app_python") == python
