"""Addresses of the developer's machine lead to nothing on the fleet, wherever a project has them."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.projects import APP, found

READS = "import os\n"
STORE, CACHE, DATABASE = "{{ app_redis_url }}", "{{ app_cache_url }}", "{{ app_database_url }}"


def project(folder: Path, name: str, files: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return app_environment and the notes of a project that reads a variable."""
    code = f"import os\nos.environ['{name}']\n"
    result = found(folder, {"app.py": APP, "c.py": code, "requirements.txt": "flask\nredis", **files})
    return result.value("app_environment") or {}, result.notes


@pytest.mark.parametrize("form", ["Dockerfile", "Procfile", ".env.example"])
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("JOBS_URL", "redis://localhost:6379/1", STORE),
        ("JOBS_URL", "rediss://:x@127.0.0.1", STORE),
        ("JOBS_URL", "redis://redis:6379/0", STORE),
        ("SHOP_CACHE_AT", "redis://host.docker.internal", CACHE),
        ("SHOP_DATA", "postgresql+psycopg2://me:x@localhost:5432/shop", DATABASE),
        ("SHOP_DATA", "postgres://db/shop", DATABASE),
        ("LIMIT_URL", "redis://cache.example.org/1", "redis://cache.example.org/1"),
        ("BUCKET", "s3://pictures", "s3://pictures"),
    ],
)
def test_an_address_of_the_developers_machine_becomes_that_of_the_fleet(
    tmp_path: Path, form: str, name: str, value: str, expected: str
) -> None:
    files = {
        "Dockerfile": f"FROM python\nENV {name}={value}\n",
        "Procfile": f"web: {name}={value} gunicorn app:app\n",
        ".env.example": f"{name}={value}\n",
    }
    values, notes = project(tmp_path, name, {form: files[form]})
    if form == ".env.example" and value == expected:  # the owner's value may be another one
        assert (values, len(notes)) == ({}, 1)
    else:
        assert (values, notes) == ({name: expected}, [])


@pytest.mark.parametrize("form", ["ENV {}={}", "ENV {} {}"])
@pytest.mark.parametrize("value", ["http://localhost:9200", "localhost:9200", "127.0.0.1", "http://me:x@elastic:9200"])
def test_an_address_of_another_server_is_left_out_with_a_note(tmp_path: Path, form: str, value: str) -> None:
    values, (note,) = project(tmp_path, "SEARCH_AT", {"Dockerfile": f"FROM python\n{form.format('SEARCH_AT', value)}"})
    assert values == {}
    assert "Dockerfile:2 sets SEARCH_AT to " in note
    assert "leads to no server on the fleet's hosts, so it is left out; set it in app_environment." in note
    assert "me:x" not in note


@pytest.mark.parametrize("setting", ["HOST=0.0.0.0", "FLASK_RUN_HOST=127.0.0.1", "DATABASE_URL=postgres://localhost/x"])
def test_what_the_fleet_sets_itself_is_left_out_silently(tmp_path: Path, setting: str) -> None:
    name = setting.partition("=")[0]
    files = {"Procfile": f"web: {setting} gunicorn app:app", "requirements.txt": "flask\npsycopg2"}
    values, notes = project(tmp_path, name, files)
    assert name not in values
    assert notes == [] or "No code reads DATABASE_URL" in notes[0]


def test_an_example_of_env_with_an_address_of_one_machine_is_named_as_such(tmp_path: Path) -> None:
    _, (note,) = project(tmp_path, "SEARCH_AT", {".env.example": "SEARCH_AT=http://localhost:9200\n"})
    assert "(.env.example has http://localhost:9200, which leads to no server on the fleet); set it in" in note


def test_commands_with_such_an_address_lose_it_or_are_named(tmp_path: Path) -> None:
    lines = "jobs: rq worker -u redis://localhost:6379/0 high\nindex: python -m shop.index --to http://search:9200\n"
    result = found(tmp_path, {"app.py": APP, "Procfile": lines})
    assert result.value("app_processes")["jobs"] == {"command": "rq worker high"}
    assert "app_processes.index.command has http://search:9200, which leads to no server" in " ".join(result.notes)
