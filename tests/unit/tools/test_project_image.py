"""What `bin/fleet init` adds to the packages of an application: those of Debian, drivers, limits; and assets."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.projects import APP, found


@pytest.mark.parametrize(
    ("files", "values"),
    [
        (
            {
                "Dockerfile": "FROM debian AS base\nRUN apt-get update && apt-get install -y poppler-utils gcc\n"
                "FROM node AS assets\nRUN apt-get install -y brotli\n"
                "FROM base\nRUN apt-get install --yes libmagic1=1:5.4 libpq-dev $EXTRA \\\n  ffmpeg && rm -rf /x\n",
            },
            {"app_packages": ["libmagic1", "ffmpeg", "poppler-utils"]},
        ),
        (
            {
                "Dockerfile": "FROM debian AS base\nFROM base AS production\nRUN apt-get install -y ffmpeg\n"
                "FROM base AS dev\nRUN apt-get install -y firefox-esr\n"
            },
            {"app_packages": ["ffmpeg"]},
        ),
        ({"Dockerfile": "FROM python:3.13\nRUN apt-get install -y git curl libpq5"}, {"app_packages": None}),
        (
            {"requirements.txt": "python-magic", "Dockerfile": "FROM x\nRUN apt-get install -y ffmpeg"},
            {"app_packages": ["ffmpeg", "libmagic1t64"]},
        ),
        (
            {"requirements.txt": "flask==2.0.2\nflask-sqlalchemy==2.5", "c.py": "import os\nos.getenv('DATABASE_URL')"},
            {"app_extra_packages": ["psycopg2-binary", "werkzeug<3", "sqlalchemy<2"]},
        ),
        ({"requirements.txt": "flask==2.0.2\nwerkzeug==2.0.1"}, {"app_extra_packages": None}),
        ({"requirements.txt": "flask\nflask-wtf==1.0.1"}, {"app_extra_packages": ["flask<2.3", "werkzeug<3"]}),
        ({"requirements.txt": "flask\nFlask-Login==0.5.0"}, {"app_extra_packages": ["werkzeug<2.1"]}),
        ({"requirements.txt": "flask\nflask-login==0.6.3\nflask-wtf==1.2.1"}, {"app_extra_packages": None}),
        ({"requirements.txt": "flask==2.3.0"}, {"app_extra_packages": None}),
        ({"Aptfile": "# maps\ngdal-bin\nhttps://h/x.deb\nlibgeos-dev"}, {"app_packages": ["gdal-bin"]}),
        ({"Dockerfile": "ENV DEBUG=True", "c.py": "import os\nos.getenv('DEBUG')"}, {"app_environment": None}),
    ],
)
def test_what_the_application_needs_is_taken_over(
    tmp_path: Path, files: dict[str, str], values: dict[str, Any]
) -> None:
    project = found(tmp_path, {"app.py": APP, **files})
    assert {name: project.value(name) for name in values} == values


def test_assets_that_only_the_image_builds_are_named(tmp_path: Path) -> None:
    files = {"app.py": APP, "ui/package.json": "{}", "Dockerfile": "FROM node\nRUN cd ui && npm ci"}
    (note,) = found(tmp_path, files).notes
    assert note == (
        "Dockerfile:2 runs `npm ci`, which the fleet does not do; if it makes static files that are not in git, set "
        "app_build_command to these commands, such as `cd ui && …`."
    )
