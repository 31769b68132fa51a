"""The folders that an application writes to, as `bin/fleet init` finds them."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.projects import APP, found


@pytest.mark.parametrize(
    ("files", "values"),
    [
        (
            {"c.py": "import os\nUPLOAD_FOLDER = os.path.join(os.path.dirname(__file__), 'data', 'uploads')"},
            {"app_persistent_dirs": ["data/uploads"]},
        ),
        (
            {"c.py": "from pathlib import Path\nBASE = Path(__file__).parent\nUPLOAD_FOLDER = BASE / 'files'"},
            {"app_persistent_dirs": ["files"]},
        ),
        (
            {"c.py": "import os\nUPLOAD_FOLDER = os.environ.get('UPLOADS') or '/srv/files'"},
            {"app_persistent_dirs": ["/srv/files"]},
        ),
        (
            {"c.py": "from pathlib import Path\nSHOP_UPLOAD_PATH = Path(__file__).parent / 'files'"},
            {"app_persistent_dirs": ["files"]},
        ),
        (
            {"c.py": "STORE = 'store'", "views.py": "def add(f):\n    f.save(app.config['STORE'] / f.filename)"},
            {"app_persistent_dirs": ["store"]},
        ),
        (
            {"views.py": "def add(f):\n    path = os.path.join(app.root_path, 'faces', f.name)\n    f.save(path)"},
            {"app_persistent_dirs": ["faces"]},
        ),
        ({"c.py": "RotatingFileHandler('var/log/a.log')"}, {"app_writable_dirs": ["var/log"]}),
        (
            {"c.py": "LOG = 'log/a.log'", "l.py": "def add():\n    to = app.config['LOG']\n    FileHandler(to)"},
            {"app_writable_dirs": ["log"], "app_persistent_dirs": None},
        ),
        ({"c.py": "import os\nos.makedirs('logs', exist_ok=True)"}, {"app_writable_dirs": ["logs"]}),
        (
            {"c.py": "import os\nos.getenv('LOG_TO_STDOUT')\nos.mkdir('logs')"},
            {"app_writable_dirs": None, "app_environment": {"LOG_TO_STDOUT": "1"}},
        ),
    ],
)
def test_folders_are_found(tmp_path: Path, files: dict[str, str], values: dict[str, Any]) -> None:
    project = found(tmp_path, {"app.py": APP, **files})
    assert {name: project.value(name) for name in values} == values


def test_several_hosts_share_no_folder(tmp_path: Path) -> None:
    files = {"app.py": APP + "UPLOAD_FOLDER = 'uploads'"}
    one, ten = found(tmp_path, files), found(tmp_path, files, hosts="ten")
    assert (one.value("app_persistent_dirs"), one.single) == (["uploads"], "the application stores files on its host")
    assert (ten.value("app_persistent_dirs"), ten.single) == (["uploads"], "")
    assert (one.value("app_shared_mount"), ten.value("app_shared_mount")) == (None, "/mnt/shared")
    assert "mount a network filesystem (NFS, EFS) there on all application and worker hosts" in ten.notes[0]
    outside = found(tmp_path, {"app.py": APP + "UPLOAD_FOLDER = '/data/media'"}, hosts="ten")
    assert (outside.value("app_persistent_dirs"), outside.value("app_shared_mount")) == (["/data/media"], "/data/media")
