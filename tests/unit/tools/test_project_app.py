"""The Flask application that `bin/fleet init` finds, and projects that it refuses."""

from pathlib import Path

import pytest

from tests.unit.tools.projects import APP, FACTORY, NEEDY, UP, found, write
from tools.project.detect import Choices, detect
from tools.project.tree import ProjectError, Tree


@pytest.mark.parametrize(
    ("files", "module"),
    [
        ({"app.py": APP}, "app:app"),
        ({"shop/__init__.py": FACTORY}, "shop:create_app()"),
        ({"src/shop/__init__.py": FACTORY}, "shop:create_app()"),
        ({"shop/__init__.py": FACTORY, "wsgi.py": "from shop import create_app\napp = create_app()"}, "wsgi:app"),
        ({"app.py": APP, "wsgi.py": "from app import app as application"}, "wsgi:application"),
        # A script that makes an application is not the one for the server.
        (
            {"shop/__init__.py": FACTORY, "manage.py": "from shop import create_app\napp = create_app()"},
            "shop:create_app()",
        ),
        ({"shop/__init__.py": NEEDY, "run.py": "from shop import create_app\napp = create_app('x')"}, "run:app"),
        ({"shop/core.py": FACTORY, "shop/__init__.py": "from .core import create_app"}, "shop.core:create_app()"),
        ({"shop/__init__.py": FACTORY, ".flaskenv": "FLASK_APP=shop"}, "shop:create_app()"),
        ({"one.py": APP, "two.py": APP, ".flaskenv": "export FLASK_APP='two.py'"}, "two:app"),
        ({"one.py": APP, "two.py": APP, "Dockerfile": "FROM python\nENV FLASK_APP=two:app"}, "two:app"),
        ({"one.py": APP, "two.py": APP, "Procfile": "web: gunicorn -w 4 two:app"}, "two:app"),
        ({"one.py": APP, "two.py": APP, "Procfile": "web: exec gunicorn -w4 --preload two:app"}, "two:app"),
        ({"one.py": APP, "application.py": APP, "Procfile": "web: gunicorn application"}, "application:application"),
        ({"a.py": APP, "b.py": APP, "Dockerfile": 'CMD ["gunicorn", "-b", "0.0.0.0", "b:app"]'}, "b:app"),
        (
            {"a.py": APP, "b.py": APP, "docker-compose.yml": "services: {x: {command: poetry run gunicorn b:app}}"},
            "b:app",
        ),
        ({"a.py": APP, "b.py": APP, "boot.sh": "#!/bin/sh\nexec gunicorn \\\n  -b :5000 'b:app'\n"}, "b:app"),
        ({"a.py": FACTORY, "Procfile": "web: gunicorn \"a:create_app('x')\""}, "a:create_app('x')"),
        # Other servers
        ({"a.py": APP, "b.py": APP, "docker/gunicorn.conf.py": "workers = 2\nwsgi_app = 'b:app'"}, "b:app"),
        ({"a.py": APP, "b.py": APP, "docker/uwsgi.ini": "[uwsgi]\nmodule = b:app"}, "b:app"),
        ({"a.py": APP, "b.py": APP, "uwsgi.ini": "[uwsgi]\nwsgi-file = b.py\ncallable = app"}, "b:app"),
        ({"a.py": APP, "b.py": APP, "start.sh": "exec uwsgi --http :80 --module b:app"}, "b:app"),
        ({"a.py": APP, "b.py": FACTORY, "Dockerfile": "CMD waitress-serve --call b:create_app"}, "b:create_app()"),
        (
            {"a.py": APP, "b.py": APP, "compose.yaml": "services:\n  x:\n    environment:\n      - FLASK_APP=b.py"},
            "b:app",
        ),
        # A file with a usual name makes the application that it serves.
        (
            {"a/__init__.py": FACTORY, "b.py": FACTORY, "manage.py": "from a import create_app\napp = create_app()"},
            "a:create_app()",
        ),
        ({"dash_app.py": "import dash\nx = dash.Dash(__name__)\nserver = x.server"}, "dash_app:server"),
        # Flask itself looks into these files.
        ({"app.py": APP, "tools/mock.py": APP}, "app:app"),
        ({"shop.py": "import flask\napp = flask.Flask('shop')"}, "shop:app"),
        ({"shop.py": "from flask import Flask\nclass Shop(Flask): ...\napp = Shop(__name__)"}, "shop:app"),
        (
            {"shop.py": "from flask import Flask\nif True:\n  try:\n    app = Flask(__name__)\n  finally: ..."},
            "shop:app",
        ),
        ({"app.py": APP, "tests/conftest.py": APP, "examples/other.py": APP, "broken.py": "def ("}, "app:app"),
    ],
)
def test_the_application_is_found(tmp_path: Path, files: dict[str, str], module: str) -> None:
    assert found(tmp_path, files).value("app_module") == module


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"shop.py": f"{APP}\nx = ("}, "shop.py, line 4, cannot be read by this control node's Python 3"),
        ({"shop.py": "print('no Flask')"}, "has no Flask application: no Python file in it calls Flask"),
        (
            {"back/main.py": APP, "Procfile": "web: gunicorn --chdir ./back main:app"},
            "Procfile:1 starts gunicorn in the folder ./back; describe that folder instead: bin/fleet init .*/back",
        ),
        ({"back/main.py": APP, "Procfile": "web: cd back && gunicorn main:app"}, "in the folder back; describe that"),
        (
            {"back/main.py": APP + "import models", "back/models.py": ""},
            "back/main.py imports models, which is in its own folder, .* bin/fleet init .*/back",
        ),
        ({"one.py": APP, "two.py": APP}, r"2 Flask applications: one:app \(one.py:2\) and two:app .*one with --app"),
        ({"shop.py": NEEDY}, r"create_app\(\) in shop.py cannot be called without arguments, .*--app"),
        (
            {"app.py": APP, "Procfile": "web: gunicorn shop:app"},
            "Procfile:1 starts gunicorn with shop:app, but .* --app",
        ),
        (
            {"app.py": APP, "Procfile": "web gunicorn app:app"},
            "line 1, cannot be read, because it is not `name: command`",
        ),
        (
            {"app.py": APP, "Procfile": "\nweb: gunicorn 'app:app"},
            "line 2, cannot be read, because a quote is not closed",
        ),
        ({"app.py": APP, "Procfile": "a: x\na: y"}, "line 2, has a second process a; rename"),
        ({"app.py": APP, "requirements.txt": "", "pyproject.toml": "[project"}, "pyproject.toml is not valid TOML"),
        (
            {"app.py": APP, "pyproject.toml": "[project]\nrequires-python = '<3'"},
            "requires-python = '<3' allows no Python that the fleet can run",
        ),
    ],
)
def test_what_cannot_be_described_is_refused_in_one_sentence(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(ProjectError, match=message):
        found(tmp_path, files)


@pytest.mark.parametrize(
    ("files", "way_out"),
    [
        ({}, r"write a requirements.txt \(pip freeze\)"),
        ({"server/app.py": APP, "server/requirements.txt": "flask"}, "describe that folder: bin/fleet init .*/server"),
        (
            {f"{name}/requirements.txt": "" for name in ("a-job", "my-api", "web")}
            | {"a-job/run.py": "x", "my-api/__init__.py": "", "my-api/wsgi.py": APP, "web/app.py": APP},
            "my-api and web have one, so describe the right one: bin/fleet init .*/my-api",
        ),
        ({"web/shop/__init__.py": "", "web/shop/requirements.txt": "flask"}, "describe that folder: .*/web"),
        ({"environment.yml": "dependencies: [flask]"}, "environment.yml is for conda, .* write a requirements.txt"),
    ],
)
def test_a_project_without_a_list_of_packages_is_refused(tmp_path: Path, files: dict[str, str], way_out: str) -> None:
    tree = write(tmp_path, {"app.py": APP, **files})
    (tree.root / "requirements.txt").unlink()
    with pytest.raises(ProjectError, match=f"does not name its packages: .*; .*{way_out}"):
        detect(tree, Choices())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Pipfile", "[packages]\nflask = '*'\npsycopg2 = '*'"),
        ("Pipfile.lock", '{"default": {"psycopg2": {"version": "==2.9"}}}'),
        ("setup.py", "from setuptools import setup\nsetup(name='shop', install_requires=['psycopg2>=2'])"),
        ("setup.cfg", "[options]\ninstall_requires =\n    psycopg2"),
    ],
)
def test_other_lists_of_packages_are_read(tmp_path: Path, name: str, content: str) -> None:
    tree = write(tmp_path, {"app.py": APP, name: content})
    (tree.root / "requirements.txt").unlink()
    project = detect(tree, Choices())
    assert (project.value("app_database_driver"), project.value("app_requirements")) == ("none", None)


OTHERS = {"speech/main.py": APP + UP, "speech/boot.sh": "python load.py\nexec gunicorn main:app"}


@pytest.mark.parametrize(
    ("files", "health"),
    [
        ({}, "/"),
        ({"shop/jobs.py": "from speech.main import app"}, "/up"),
        ({"shop/jobs.py": "load('speech.main')"}, "/up"),
        ({"Procfile": "web: gunicorn wsgi:app\nspeech: python speech/main.py"}, "/up"),
        ({"shop/jobs.py": "import tools.a", "tools/a.py": "import speech.main"}, "/up"),
    ],
)
def test_folders_of_other_programs_are_not_read(tmp_path: Path, files: dict[str, str], health: str) -> None:
    own = {"shop/__init__.py": APP, "wsgi.py": "from shop import app", "boot.sh": "exec gunicorn wsgi:app"}
    project = found(tmp_path, {**own, **OTHERS, **files})
    assert project.value("app_health_path") == health
    source = next(finding.source for finding in project.findings if finding.variable == "app_module")
    assert ("; nothing imports speech, so that is not read" in source) == (health == "/")
    assert any("load.py" in note for note in project.notes) == (health == "/up")


def test_a_layout_with_src_may_have_a_useless_init_file(tmp_path: Path) -> None:
    files = {"src/__init__.py": "", "src/shop/__init__.py": APP, "src/shop/c.py": "import os\nos.getenv('DB_URL')"}
    project = found(tmp_path, {**files, "wsgi.py": "from shop import app"})
    assert (project.value("app_module"), "DB_URL" in project.value("app_environment")) == ("wsgi:app", True)
    assert found(tmp_path, {"wsgi.py": "from src.shop import app"}).value("app_module") == "wsgi:app"


def test_the_choice_of_the_user_wins(tmp_path: Path) -> None:
    assert found(tmp_path, {"one.py": APP, "two.py": APP}, app="two:app").value("app_module") == "two:app"


@pytest.mark.parametrize(
    "code", ["import redis", "from shop.models import x\nimport jwt", "from . import models\nimport jwt"]
)
def test_a_module_may_have_the_name_of_a_package(tmp_path: Path, code: str) -> None:
    files = {
        "shop/__init__.py": "",
        "shop/main.py": f"{code}\n{APP}",
        "shop/models.py": "",
        "requirements.txt": "redis",
    }
    files |= {"shop/redis.py": "", "shop/jwt.py": ""}
    assert found(tmp_path, files).value("app_module") == "shop.main:app"


@pytest.mark.parametrize("stub", [{"setup.cfg": "[flake8]\nmax-line-length = 100"}, {"setup.py": "setup(name='shop')"}])
@pytest.mark.parametrize("name", ["requirements/prod.txt", "requirements/python3/requirements.txt"])
def test_settings_of_tools_are_no_list_of_packages(tmp_path: Path, stub: dict[str, str], name: str) -> None:
    tree = write(tmp_path, {"app.py": APP, name: "flask\npsycopg2", **stub})
    (tree.root / "requirements.txt").unlink()
    project = detect(tree, Choices())
    assert (project.value("app_requirements"), project.value("app_database_driver")) == (name, "none")


def test_the_list_of_packages_may_be_inside_the_package_or_beside_the_folder(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    inner = write(tmp_path / "back", {"app.py": APP})
    (inner.root / "requirements.txt").rename(tmp_path / "requirements.txt")
    assert detect(Tree(inner.root, complete=True), Choices()).value("app_requirements") == "../requirements.txt"
    package = write(tmp_path / "two", {"app.py": APP, "shop/__init__.py": "", "shop/requirements.txt": "flask"})
    (package.root / "requirements.txt").unlink()
    assert detect(Tree(package.root, complete=True), Choices()).value("app_requirements") == "shop/requirements.txt"
