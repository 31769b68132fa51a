"""Small projects, for the tests of `bin/fleet init`. Nothing of them is executed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.project.detect import Choices, Project, detect
from tools.project.tree import Tree

APP = "from flask import Flask\napp = Flask(__name__)\n"
FACTORY = "from flask import Flask\n\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"
NEEDY = FACTORY.replace("config=None", "config")
UP = "\n@app.get('/up')\ndef up(): ...\n"


def write(folder: Path, files: Mapping[str, str]) -> Tree:
    """Write a project. Without another one, it has a requirements.txt."""
    for name, content in {"requirements.txt": "flask\n", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Tree(folder)


def found(folder: Path, files: Mapping[str, str], **choices: Any) -> Project:
    """Return what is found in a project of these files."""
    return detect(write(folder, files), Choices(**choices))
