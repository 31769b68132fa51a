"""Static files of two releases on a load balancer: plain names lead to those of the release that serves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.modules import ROLES, Run, load

nginx_static = load(ROLES / "nginx/library/nginx_static.py")


class Balancer:
    """A load balancer's folder of static files, and what a deploy does to it."""

    def __init__(self, folder: Path, run_module: Run) -> None:
        self.folder, self.run_module = folder, run_module

    def run(self, release: str, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """Run the module."""
        given = {"folder": str(self.folder), "release": release} | arguments
        found: dict[str, Any] = self.run_module(nginx_static, given, check)
        return found

    def ship(self, release: str, files: dict[str, str]) -> None:
        """Ship the files of a release. The text of each is its version, too."""
        for version, path in self.run(release, files=files)["missing"]:
            (self.folder / version / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / version / path).write_text(version)
        assert self.run(release, files=files)["missing"] == []

    def get(self, path: str) -> str | None:
        """Return what nginx serves under a plain name, as site/locations.conf.j2 looks for it."""
        found = (self.folder / name / path for name in ("latest", "next"))
        return next((file.read_text() for file in found if file.is_file()), None)


@pytest.fixture
def balancer(tmp_path: Path, run_module: Run) -> Balancer:
    return Balancer(tmp_path / "static", run_module)


def test_a_refused_release_leaves_the_files_of_the_old_one(balancer: Balancer) -> None:
    balancer.ship("r1", {"app.css": "1111", "js/app.js": "aaaa"})
    assert balancer.get("app.css") == "1111", "the first release has no other one beside it"
    assert balancer.run("r1", publish=True)["changed"]
    balancer.ship("r2", {"app.css": "2222", "js/new.js": "bbbb"})
    assert (balancer.get("app.css"), balancer.get("js/new.js")) == ("1111", "bbbb")
    # r2 is refused here. A later one is not.
    balancer.ship("r3", {"app.css": "3333"})
    balancer.run("r3", publish=True)
    assert (balancer.get("app.css"), balancer.get("js/new.js")) == ("3333", None)
    assert (balancer.folder / "2222/app.css").read_text() == "2222", "pages may still request it by version"
    # A rollback.
    assert balancer.run("r1", publish=True, check=True)["changed"]
    assert balancer.get("app.css") == "3333"
    balancer.run("r1", publish=True)
    assert balancer.get("app.css") == "1111"
    assert not balancer.run("r1", publish=True)["changed"]
    assert not balancer.run("unknown", publish=True)["changed"]


def test_the_folder_of_an_older_fleet_serves_until_a_release_is_published(balancer: Balancer) -> None:
    (balancer.folder / "latest").mkdir(parents=True)
    (balancer.folder / "latest/app.css").write_text("old")
    balancer.ship("r2", {"app.css": "2222"})
    assert balancer.get("app.css") == "old"
    balancer.run("r2", publish=True)
    assert balancer.get("app.css") == "2222"


def test_old_sets_are_removed_but_not_those_in_use(balancer: Balancer) -> None:
    balancer.ship("r0", {"app.css": "0000"})
    balancer.run("r0", publish=True)
    for number in range(1, nginx_static.KEPT + 3):
        balancer.ship(f"r{number}", {"app.css": f"{number:04}"})
        for age, path in enumerate(sorted(balancer.folder.glob("sets/*"), key=lambda path: path.stat().st_mtime)):
            os.utime(path, (age, age))
    assert balancer.get("app.css") == "0000"
    assert len(list(balancer.folder.glob("sets/*"))) == nginx_static.KEPT + 1
    assert not (balancer.folder / "releases/r1").is_symlink()
    assert (balancer.folder / "releases/r0").exists()
