"""Names, paths and sizes that an application takes from constants, and code that only developers run."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.projects import APP, found

KEYS = "URI = 'SQLALCHEMY_DATABASE_URI'\nMODE = 'ENV'\nLIVE = 'production'\nKILO = 1 << 10\nMEGA = 1024 * KILO\n"
PAGES = "class Page(Enum):\n    health = 'healthz'\n"


@pytest.mark.parametrize(
    ("files", "values"),
    [
        (
            {
                "c.py": "import os\nfrom keys import LIVE, MODE, URI\nos.getenv(URI)\n"
                "x = {LIVE: 1, 'other': 2}.get(os.environ[MODE])"
            },
            {"app_environment": {"SQLALCHEMY_DATABASE_URI": "{{ app_database_url }}", "ENV": "production"}},
        ),
        (
            {"c.py": "import os, keys\nos.environ.get(keys.URI)"},
            {"app_environment": {"SQLALCHEMY_DATABASE_URI": "{{ app_database_url }}"}},
        ),
        ({"c.py": "import os\nname = 'DB_URL'\ndef read(name):\n    os.getenv(name)"}, {"app_environment": None}),
        ({"c.py": "import keys\nMAX_CONTENT_LENGTH = 50 * keys.MEGA"}, {"app_max_upload_mb": 50}),
        ({"c.py": "import os\nMAX_CONTENT_LENGTH = 9 * int(os.getenv('X'))"}, {"app_max_upload_mb": None}),
        (
            {"c.py": "from keys import Page\n@app.route(f'/{Page.health}')\ndef x(): ..."},
            {"app_health_path": "/healthz"},
        ),
        (
            {"c.py": "from keys import Page\n@app.get('/' + Page.health.value)\ndef x(): ..."},
            {"app_health_path": "/healthz"},
        ),
        (
            {
                "app.py": "import os\nfrom flask import Flask\n"
                "app = Flask(__name__, static_folder=os.path.join(os.path.dirname(__file__), 'web'))",
                "web/a.css": "",
            },
            {"nginx_static_source": "web", "nginx_static_path": "/web/"},
        ),
        (
            {
                "c.py": "import os\napp.config['BASE'] = os.getenv('BASE', 'files')\n"
                "app.config['SUB'] = os.path.join(app.config['BASE'], 'sub')\n"
                "os.makedirs(app.config['BASE'])\nos.makedirs(app.config['SUB'])"
            },
            {"app_persistent_dirs": ["files"]},
        ),
        ({"cli.py": "import os\nos.makedirs('download')"}, {"app_writable_dirs": ["download"]}),
        (
            {"c.py": "x = 'jobs.geo'", "jobs/geo.py": "import os\nos.mkdir('out')\nif __name__ == '__main__': ..."},
            {"app_writable_dirs": ["out"]},
        ),
        ({"c.py": "import os\nos.mkdir('/home/me/files')"}, {"app_persistent_dirs": None}),
        (
            {"c.py": "import os\nx = ('s', os.getenv('OK_ENV', 'dev'))", "s/dev.py": "", "s/prod.py": ""},
            {"app_environment": {"OK_ENV": "prod"}},
        ),
        (
            {
                "c.py": "from flask import Blueprint\nb = Blueprint('o', 'x', url_prefix='/ops')\n"
                "@b.get('readyz')\ndef x(): ..."
            },
            {"app_health_path": "/ops/readyz"},
        ),
        (
            {
                "requirements.txt": "flask\nsqlalchemy\npg8000",
                "c.py": "import os\nx = [os.getenv('DB_HOST'), os.getenv('DB_USER'), os.getenv('DB_PASSWORD')]",
            },
            {"app_extra_packages": None, "app_database_driver": "none", "app_database_via": "proxy"},
        ),
        ({"devserver.py": "import os\nfrom flask import Flask\nx = Flask('x')\nos.environ['A']"}, {}),
    ],
)
def test_constants_are_followed(tmp_path: Path, files: dict[str, str], values: dict[str, Any]) -> None:
    project = found(tmp_path, {"app.py": APP, "keys.py": KEYS + PAGES, **files})
    assert {name: project.value(name) for name in values} == values
    assert project.notes == []
