"""Projects of which releases are built. The wheelhouse is simulated, so there is no network access."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.tools.release.projects import LOCK
from tools.release import build as building
from tools.release import environment, wheels
from tools.release import lock as locking
from tools.release.source import Source
from tools.release.target import Target


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A project with one package and its lock files."""
    root = tmp_path / "project"
    (root / "shop").mkdir(parents=True)
    (root / "shop" / "__init__.py").write_text("def create_app(): ...\n")
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "shop"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["shop"]\n'
    )
    (root / "app.txt").write_text(LOCK)
    (root / "control.txt").write_text(
        "uv==0.13.9 \\\n    --hash=sha256:ffff\nansible==12.3.0 \\\n    --hash=sha256:0000\n"
    )
    return Source(
        root=root,
        requirements="app.txt",
        tools=root / "control.txt",
        lock_file=tmp_path / "inventory" / "requirements.lock",
        paths=("shop", "pyproject.toml"),
    )


@pytest.fixture
def wheelhouse(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Record the folders into which wheels were downloaded: of one dependency, and of the installer."""
    downloads: list[Path] = []

    def fetch(lines: list[str], _: Target, into: Path, __: Path | None = None) -> None:
        into.mkdir(parents=True)
        downloads.append(into)
        if lines[0].startswith("uv=="):
            with zipfile.ZipFile(into / "uv-0.13.9-py3-none-any.whl", "w") as wheel:
                wheel.writestr("uv-0.13.9.data/scripts/uv", b"the installer")
        else:
            (into / "flask-3.1.3-py3-none-any.whl").write_bytes(b"flask")

    monkeypatch.setattr(wheels, "fetch", fetch)
    monkeypatch.setattr(environment, "make", lambda *_: "")
    return downloads


@pytest.fixture
def fast_build(wheelhouse: list[Path], monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Simulate the application's wheel too. pip takes seconds to build one."""

    def build_wheel(source: Source, _: Path, into: Path) -> Path:
        wheel = into / "shop-1.0-py3-none-any.whl"
        wheel.write_bytes(b"".join((source.root / name).read_bytes() for name in source.files()))
        return wheel

    monkeypatch.setattr(building, "_build_wheel", build_wheel)
    return wheelhouse


@pytest.fixture
def flat(tmp_path: Path, source: Source) -> Source:
    """A project without pyproject.toml: a module beside its templates, and requirements without hashes."""
    root = tmp_path / "flat"
    (root / "templates").mkdir(parents=True)
    (root / "app.py").write_text("app = None\n")
    (root / "templates" / "page.html").write_text("<p>\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "requirements.txt").write_text("flask\n")
    return replace(source, root=root, requirements="", paths=())


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Simulate uv's compilation, and record which files were compiled."""
    calls: list[str] = []

    def uv(*arguments: str, what: str, **_: object) -> str:
        calls.append(what)
        output = next(Path(a.partition("=")[2]) for a in arguments if a.startswith("--output-file="))
        output.write_text("flask==3.1.3 --hash=sha256:aaaa\ngunicorn==27.0.1 --hash=sha256:abcd\n")
        return ""

    monkeypatch.setattr(locking, "uv", uv)
    return calls
