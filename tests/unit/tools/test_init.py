"""`bin/fleet init`: what it writes, prints and refuses. It writes into a clone that has nothing else."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.action.fleet_check_inventory import wrong_application
from plugins.values import is_literal, specifications, wrong_types
from tests.unit.tools.projects import APP, UP, write
from tools.fleet import __main__ as command
from tools.fleet.context import ROOT
from tools.fleet.verbs import init
from tools.project.addresses import ALIASES, CONFIGURATION, DATABASE, REDIS

Known = Mapping[str, Mapping[str, Mapping[str, Any]]]
Run = Callable[..., tuple[int, str, str]]
FILES = {"app.py": APP + UP, "Procfile": "web: gunicorn app:app\nq: rq worker -u $REDIS_URL", "static/a.css": ""}


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone without inventories of its own."""
    clone = tmp_path / "clone"
    for name in ("inventories/shared", "terraform/aws", "bin"):
        (clone / name).mkdir(parents=True)
    (clone / "bin/inventory").touch()
    monkeypatch.setattr(init, "ROOT", clone)
    monkeypatch.setenv("INVENTORY", "")  # the option --inventory sets it
    return clone


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the verb for the project `shop`. Return the exit code and the output."""

    def run(*arguments: str, project: str = "shop", files: dict[str, str] = FILES) -> tuple[int, str, str]:
        write(tmp_path / "shop", files)
        target = project if "://" in project else str(tmp_path / project)
        monkeypatch.setattr(sys, "argv", ["fleet", "init", target, *arguments])
        code = command.main()
        return code, *capsys.readouterr()

    return run


def variables(clone: Path, inventory: str = "shop") -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(
        (clone / f"inventories/{inventory}/group_vars/all/application.yml").read_text()
    )
    return content


def test_it_writes_an_inventory_that_says_where_each_value_comes_from(run: Run, clone: Path, tmp_path: Path) -> None:
    code, printed, _ = run()
    assert code == 0
    assert variables(clone) == {
        "app_name": "shop",
        "app_source": str(tmp_path / "shop"),
        "app_module": "app:app",
        "app_processes": {"q": {"command": "rq worker"}},
        "app_health_path": "/up",
        "app_metrics_path": "",
        "nginx_static_source": "static",
    }
    folder = clone / "inventories/shop"
    assert (
        "# Procfile:1: gunicorn app:app\napp_module: app:app\n"
        in (folder / "group_vars/all/application.yml").read_text()
    )
    assert (folder / "terraform.sh").resolve() == clone / "bin/inventory"
    assert (folder / "group_vars/all/00_shared").resolve() == clone / "inventories/shared"
    assert "single_host = false # ten hosts" in (folder / "sandbox.tfvars").read_text()
    settings = yaml.safe_load((folder / "group_vars/all/main.yml").read_text())
    assert settings["fleet_domain"] == "shop.test"
    assert "celery_concurrency" not in settings
    assert "  app_health_path: /up\n      app.py:4\n" in printed
    assert "Hosts: ten, " in printed
    assert "single_host = true in inventories/shop/sandbox.tfvars" in printed
    assert printed.endswith("Next: make up INVENTORY=shop\n")


@pytest.mark.parametrize(
    ("arguments", "files", "single"),
    [
        ([], FILES, False),
        (["--hosts", "one"], FILES, True),
        ([], FILES | {"c.py": "UPLOAD_FOLDER = 'uploads'"}, True),
        (["--hosts", "ten"], FILES | {"c.py": "UPLOAD_FOLDER = 'uploads'"}, False),
    ],
)
def test_files_of_users_need_one_host_or_a_shared_folder(
    run: Run, clone: Path, arguments: list[str], files: dict[str, str], single: bool
) -> None:
    code, printed, _ = run(*arguments, files=files)
    assert code == 0
    assert ("Hosts: one, because the application stores files on its host; " in printed) == (single and not arguments)
    assert f"single_host = {str(single).lower()}" in (clone / "inventories/shop/sandbox.tfvars").read_text()
    assert ("app_persistent_dirs" in variables(clone)) == ("c.py" in files)
    shared = 'shared_folder = "/mnt/shared"' in (clone / "inventories/shop/sandbox.tfvars").read_text()
    assert shared == ("c.py" in files and not single)


def test_a_git_url_and_an_archive_are_described_too(run: Run, clone: Path, tmp_path: Path) -> None:
    origin = tmp_path / "store.git"
    write(origin, FILES)
    git = ["git", "-C", str(origin), "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *arguments], check=True)
    (origin / "app.py").unlink()
    url = f"{origin.as_uri()}#main"
    assert run(project=url)[0] == 0
    assert variables(clone, "store")["app_source"] == url
    assert variables(clone, "store")["app_module"] == "app:app"
    subprocess.run([*git, "archive", "--prefix=x/", f"--output={tmp_path}/market-1.tar.gz", "main"], check=True)
    assert run(project="market-1.tar.gz")[0] == 0
    assert variables(clone, "market-1")["app_source"] == f"{tmp_path}/market-1.tar.gz"


def test_names_can_be_chosen(run: Run, clone: Path) -> None:
    assert run("--name", "store", "--inventory", "production")[0] == 0
    assert variables(clone, "production")["app_name"] == "store"


def test_json_has_the_findings_with_their_sources(run: Run, clone: Path) -> None:
    code, printed, _ = run("--json", "--dry-run")
    result = json.loads(printed)
    assert (code, result["written"], result["inventory"]) == (0, [], "shop")
    assert {"variable": "app_health_path", "value": "/up", "source": "app.py:4", "assumed": False} in result["findings"]
    assert not (clone / "inventories/shop").exists()


@pytest.mark.parametrize("terminal", [True, False])
def test_slow_steps_are_announced_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setattr(init, "better_python", lambda _, __, pythons: (next(iter(pythons)), ["rare==1.0"]))
    monkeypatch.setattr("tools.release.interpreter.is_available", lambda _: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    code, printed, progress = run("--json", "--dry-run", files=FILES | {"requirements.txt": "flask==3.1.3\nrare==1.0"})
    assert (code, json.loads(printed)["inventory"]) == (0, "shop")
    assert [line.partition(" /")[0] for line in progress.splitlines()] == (
        [
            "Reading",
            "Looking in the package index for wheels of 2 pinned packages …",
            "Looking for an interpreter of Python 3.12 …",
        ]
        if terminal
        else []
    )


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (
            [],
            {"project": "nowhere"},
            "nowhere is not a folder; give the folder of the Flask project, a git URL or an archive.",
        ),
        ([], {"project": "https://127.0.0.1:1/x.git"}, "cannot fetch app_source=https://127.0.0.1:1/x.git"),
        ([], {"project": "https://user:pw@127.0.0.1:1/x.git"}, "has a password, which application.yml would show"),
        ([], {"project": "ssh://git@127.0.0.1:1/x.git"}, "port 1: Connection refused"),
        ([], {"project": "https://127.0.0.1:1/x.zip"}, "app_source=https://127.0.0.1:1/x.zip: Connection refused."),
        (["--name", "My_Shop"], {}, "--name My_Shop is not valid as a name of a database and of users; use 1 to 20"),
        (["--name", "nginx"], {}, "--name nginx is a program on the hosts"),
        (["--inventory", "../x"], {}, "--inventory ../x is not valid as a name of containers; use 1 to 20"),
        (["--inventory", "shared"], {}, "--inventory shared belongs to Flaskfleet; choose another name."),
        (["--inventory", "aws"], {}, "--inventory aws belongs to Flaskfleet; choose another name."),
        ([], {"files": {"app.py": "", "Procfile": "web: x"}}, "has no Flask application"),
    ],
)
def test_bad_input_is_refused_in_one_sentence_before_anything_is_written(
    run: Run, clone: Path, arguments: list[str], options: dict[str, Any], message: str
) -> None:
    code, _, error = run(*arguments, **options)
    assert code == 1
    assert message in error
    assert error.count("\n") == 1
    assert [path.name for path in (clone / "inventories").iterdir()] == ["shared"]


def test_an_inventory_is_rewritten_only_if_asked_for(run: Run, clone: Path) -> None:
    run("--hosts", "one")
    settings = clone / "inventories/shop/group_vars/all/main.yml"
    settings.write_text("fleet_domain: shop.example.org\n")
    code, _, error = run()
    assert (code, "exists already; choose another name with --inventory, or" in error) == (1, True)
    assert run("--force", files=FILES | {"app.py": APP})[0] == 0
    assert variables(clone)["app_health_path"] == "/"
    assert settings.read_text() == "fleet_domain: shop.example.org\n"
    assert "single_host = true" in (clone / "inventories/shop/sandbox.tfvars").read_text()


def test_an_inventory_of_the_project_itself_is_not_overwritten(run: Run, clone: Path) -> None:
    variables = clone / "inventories/single/group_vars/all"
    variables.mkdir(parents=True)
    (variables / "application.yml").symlink_to("news.yml")
    assert "--inventory single belongs to Flaskfleet" in run("--inventory", "single", "--force")[2]


@pytest.fixture(scope="module")
def known() -> Known:
    """The options of each role."""
    return specifications(ROOT / "roles")


@pytest.mark.parametrize("name", ["flat", "src", "factory", "guestbook"])
def test_preflight_accepts_what_is_found_in_the_test_subjects(known: Known, name: str) -> None:
    subject = ROOT / "tests/applications" / name
    arguments = [str(ROOT / "bin/fleet"), "init", str(subject), "--json", "--dry-run"]
    printed = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    found = {finding["variable"]: finding["value"] for finding in json.loads(printed)["findings"]}
    assert found["app_source"] == f"{{{{ inventory_dir | dirname | dirname }}}}/tests/applications/{name}"
    assert found.keys() <= {name for options in known.values() for name in options} | shared().keys()
    for role, options in known.items():
        values = {name: value for name, value in found.items() if name in options and is_literal(value)}
        assert wrong_types(role, options, values) == []
    assert wrong_application(found | {"app_source": str(subject)}, ["node1"]) == []


def shared() -> dict[str, Any]:
    """Return the variables that all inventories have."""
    files = (ROOT / "inventories/shared").glob("*.yml")
    return {name: value for path in files for name, value in yaml.safe_load(path.read_text()).items()}


def test_values_are_taken_from_variables_that_exist() -> None:
    names = {variable for _, variable, _ in ALIASES} | {*CONFIGURATION.values(), "haproxy_cache_port"}
    parts = [*DATABASE.parts.values(), *REDIS.parts.values()]
    names |= {name for _, value in parts for name in re.findall(r"{{ (\w+) }}", value)}
    assert names <= shared().keys()
