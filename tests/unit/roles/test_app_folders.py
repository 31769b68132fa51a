"""Folders of the application that outlive its releases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.action import fleet_check_hosts as check
from plugins.folders import not_shared, wrong_folders, wrong_numbers
from tests.unit.roles.fleet_variables import rendered
from tests.unit.roles.modules import ROLES, Run, load

app_folders = load(ROLES / "app/library/app_folders.py")


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """Two releases: the second one has a default picture, and the application's user has uploaded one to the host."""
    for name in ("r1", "r2"):
        (tmp_path / "releases" / name / "source").mkdir(parents=True)
    (tmp_path / "releases/r2/source/static/uploads").mkdir(parents=True)
    (tmp_path / "releases/r2/source/static/uploads/default.png").write_text("a picture")
    (tmp_path / "kept").mkdir(mode=0o700)
    return tmp_path / "releases"


def test_files_of_users_stay_over_two_releases(releases: Path, run_module: Any) -> None:
    kept = releases.parent / "kept"

    def run(check: bool = False) -> dict[str, Any]:
        given = {"releases": str(releases), "folders": {"static/uploads": str(kept)}}
        found: dict[str, Any] = run_module(app_folders, given, check)
        return found

    assert run(check=True)["changed"]
    assert not (releases / "r1/source/static").exists()
    assert len(run()["linked"]) == 2
    assert (kept / "default.png").read_text() == "a picture"
    assert kept.stat().st_mode & 0o777 == 0o700
    (releases / "r1/source/static/uploads/mine.png").write_text("mine")
    assert (releases / "r2/source/static/uploads/mine.png").read_text() == "mine"
    assert run()["linked"] == []
    # The next release brings its own picture, and must not replace what users have changed meanwhile.
    (kept / "default.png").write_text("another")
    (releases / "r3/source/static/uploads").mkdir(parents=True)
    (releases / "r3/source/static/uploads/default.png").write_text("a new picture")
    assert run()["linked"] == [str(releases / "r3/source/static/uploads")]
    assert (releases / "r3/source/static/uploads/default.png").read_text() == "another"


def test_a_file_of_the_release_is_not_replaced(releases: Path, run_module: Run) -> None:
    (releases / "r1/source/uploads").write_text("a file")
    failed = run_module(app_folders, {"releases": str(releases), "folders": {"uploads": str(releases.parent / "kept")}})
    assert failed["failed"]
    assert "is a file of the release" in failed["msg"]


def test_inventories_compute_where_the_folders_are() -> None:
    change: dict[str, Any] = {"app_persistent_dirs": ["uploads", "/data/media"], "app_writable_dirs": ["logs"]}
    alone = rendered(**change)
    assert alone["app_linked_folders"] == {"logs": "/srv/news/logs", "uploads": "/srv/news/uploads"}
    assert alone["app_writable_paths"] == ["/srv/news/logs", "/srv/news/uploads", "/data/media"]
    shared = rendered(**change, app_shared_mount="/mnt/shared")
    assert shared["app_linked_folders"] == {"logs": "/srv/news/logs", "uploads": "/mnt/shared/uploads"}


@pytest.mark.parametrize(
    ("change", "hosts", "message"),
    [
        ({"app_persistent_dirs": ["uploads", "/data"]}, ["node1"], ""),
        ({"app_writable_dirs": ["logs"]}, ["app1", "app2"], ""),
        ({"app_persistent_dirs": ["uploads"], "app_shared_mount": "/mnt/x"}, ["app1", "app2"], ""),
        (
            {"app_persistent_dirs": ["uploads"]},
            ["app1", "app2"],
            "app_persistent_dirs = uploads would be another folder on each of app1, app2, so users would find their ",
        ),
        (
            {"app_persistent_dirs": ["/data/media"], "app_shared_mount": "/mnt/x"},
            ["app1", "app2"],
            "app_persistent_dirs = /data/media is outside of app_shared_mount = /mnt/x, ",
        ),
        ({"app_persistent_dirs": ["../x"]}, ["node1"], "app_persistent_dirs = ../x is not a folder of the project; "),
        ({"app_writable_dirs": ["/logs"]}, ["node1"], "app_writable_dirs = /logs is not a folder of the project; "),
        ({"app_persistent_dirs": ["/"]}, ["node1"], "app_persistent_dirs = / is not a folder of the project; "),
        ({"app_persistent_dirs": "uploads"}, ["node1"], "app_persistent_dirs = uploads is not a list; "),
        ({"app_shared_mount": "mnt"}, ["node1"], "app_shared_mount = mnt is not an absolute path; "),
    ],
)
def test_folders_that_would_lose_files_are_refused(change: dict[str, Any], hosts: list[str], message: str) -> None:
    found = wrong_folders(change, hosts)
    assert [sentence.startswith(message) for sentence in found] == [True] * bool(message), found


NFS, DISK = "nfs4 ", "ext4 7f3e-1"


@pytest.mark.parametrize(
    ("mount", "hosts", "message"),
    [
        ("", {"app1": "", "app2": ""}, ""),
        ("/mnt/x", {"app1": NFS, "app2": "nfs "}, ""),
        ("/mnt/x", {"node1": DISK}, ""),
        ("/mnt/x", {"node1": "tmpfs "}, ""),
        ("/mnt/x", {"app1": DISK, "app2": DISK}, ""),
        ("/mnt/x", {"app1": NFS, "app2": ""}, "app_shared_mount = /mnt/x is not mounted on app2, "),
        (
            "/mnt/x",
            {"app1": DISK, "app2": "ext4 90ab-2"},
            "app_shared_mount = /mnt/x is another folder on each host (app1: ext4 7f3e-1, app2: ext4 90ab-2), ",
        ),
        ("/mnt/x", {"app1": "tmpfs ", "app2": "tmpfs "}, "app_shared_mount = /mnt/x is another folder on each host "),
        ("mnt", {"node1": ""}, ""),
    ],
)
def test_a_folder_that_is_not_shared_is_refused(mount: str, hosts: dict[str, str], message: str) -> None:
    found = not_shared(mount, hosts)
    assert [sentence.startswith(message) for sentence in found] == [True] * bool(message), found


NONE, SET_UP, BEFORE = ("", ""), ("20017", "shop-app"), ("998", "")


@pytest.mark.parametrize(
    ("mount", "hosts", "message"),
    [
        ("/mnt/x", {"app1": NONE, "app2": NONE}, ""),
        ("/mnt/x", {"app1": SET_UP, "app2": NONE}, ""),
        ("", {"app1": BEFORE, "app2": ("997", "")}, ""),
        ("", {"app1": ("998", "other")}, ""),
        ("", {"app1": NONE, "app2": ("", "other")}, "app_user_id = 20017 is the number of other on app2; "),
        (
            "/mnt/x",
            {"app1": BEFORE, "app2": BEFORE},
            "app_user_id = 20017 is not the number of shop-app (998 on app1, ",
        ),
        ("/mnt/x", {"app1": BEFORE, "app2": NONE}, "app_user_id = 20017 is not the number of shop-app (998 on app1), "),
        ("/mnt/x", {"app1": SET_UP, "app2": BEFORE}, "app_user_id = 20017 is not the number of shop-app (20017 on "),
    ],
)
def test_a_user_without_its_number_is_refused(mount: str, hosts: dict[str, tuple[str, str]], message: str) -> None:
    found = wrong_numbers("shop-app", "20017", mount, hosts)
    assert [sentence.startswith(message) for sentence in found] == [True] * bool(message), found
    same = len({own for own, _ in hosts.values() if own}) == 1
    assert not found or not mount or found[0].endswith("; set app_user_id to 998.") == same


@pytest.mark.parametrize(
    ("user", "number", "found"), [("root", "0", ("0", "root")), ("", "", ("", "")), ("nobody-x", "59999", ("", ""))]
)
def test_a_host_reports_the_number_of_the_user(user: str, number: str, found: tuple[str, str]) -> None:
    script = check.probe_script({"app_user": user, "app_user_id": number}, ["true"])
    fields = check.probe("app1", "10.0.0.21", ["sh", "-c", script], "", timeout=3).fields
    assert (fields["APP_USER"], fields["APP_USER_ID"]) == found


@pytest.mark.parametrize(("folder", "mounted"), [("/proc", True), ("/proc/self", False), ("/no such folder", False)])
def test_a_host_reports_whether_the_shared_folder_is_mounted(folder: str, mounted: bool) -> None:
    script = check.probe_script({"app_shared_mount": folder}, ["true"])
    found = check.probe("app1", "10.0.0.21", ["sh", "-c", script], "", timeout=3)
    assert (not_shared(folder, {"app1": found.fields["MOUNT"]}) == []) == mounted
