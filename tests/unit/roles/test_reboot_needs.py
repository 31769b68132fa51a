"""The reasons for a reboot, from the files below a made-up root."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.roles.modules import ROLES, load

reboot_needs = load(ROLES / "maintain/library/reboot_needs.py")

OPEN = "7f00-7f01 r-xp 00000000 08:01 1234 {} (deleted)\n"
LIBSSL = OPEN.format("/usr/lib/x86_64-linux-gnu/libssl.so.3")


def process(root: Path, pid: int, cgroup: str, maps: str) -> None:
    folder = root / "proc" / str(pid)
    folder.mkdir(parents=True)
    (folder / "cgroup").write_text(f"0::{cgroup}\n")
    (folder / "maps").write_text(f"5500-5501 r-xp 00000000 08:01 99 /usr/bin/program\n{maps}")


def test_services_whose_files_were_replaced_are_named_once(tmp_path: Path) -> None:
    process(tmp_path, 10, "/system.slice/patroni.service", LIBSSL)
    process(tmp_path, 11, "/system.slice/patroni.service", LIBSSL)
    process(tmp_path, 12, "/system.slice/system-redis.slice/redis@store.service", OPEN.format("/usr/bin/redis-server"))
    process(tmp_path, 13, "/system.slice/etcd.service", OPEN.format("/"))
    assert reboot_needs.reasons(tmp_path, "6.1.0-1-amd64") == [
        "etcd.service, patroni.service, redis@store.service run with files that an upgrade has replaced"
    ]


@pytest.mark.parametrize(
    ("cgroup", "maps"),
    [
        ("/system.slice/nginx.service", ""),
        ("/system.slice/ssh.service", LIBSSL),  # the session of the test itself
        ("/user.slice/user-1000.slice/session-1.scope", LIBSSL),
        ("/system.slice/app.service", OPEN.format("/opt/news/releases/r1/venv/lib/x.so")),
        ("/system.slice/app.service", OPEN.format("/tmp/gunicorn")),
        ("/system.slice/patroni.service", LIBSSL.replace("r-xp", "rw-p")),
    ],
)
def test_no_reboot_is_needed_if_it_would_replace_no_open_file(tmp_path: Path, cgroup: str, maps: str) -> None:
    process(tmp_path, 10, cgroup, maps)
    assert reboot_needs.reasons(tmp_path, "6.12.57+deb13-amd64") == []


@pytest.mark.parametrize(
    ("running", "installed", "newest"),
    [
        ("6.12.57+deb13-amd64", ["6.12.57+deb13-amd64", "6.12.9+deb13-amd64"], ""),
        ("6.12.9+deb13-amd64", ["6.12.57+deb13-amd64", "6.12.9+deb13-amd64"], "6.12.57"),
        ("6.12.9+deb13-cloud-amd64", ["6.12.57+deb13-amd64", "6.12.9+deb13-cloud-amd64"], ""),
        ("6.1.0-9-amd64", ["6.1.0-28-amd64"], "6.1.0-28"),
        ("4.4.0", [], ""),
    ],
)
def test_a_kernel_is_old_if_a_newer_one_of_its_flavour_is_installed(
    tmp_path: Path, running: str, installed: list[str], newest: str
) -> None:
    (tmp_path / "boot").mkdir()
    for name in installed:
        (tmp_path / "boot" / f"vmlinuz-{name}").touch()
    found = reboot_needs.reasons(tmp_path, running)
    assert bool(found) == bool(newest)
    assert not newest or found[0].endswith(f"runs and {newest} is installed")


def test_a_package_that_requires_a_reboot_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/reboot-required").touch()
    assert reboot_needs.reasons(tmp_path, "1") == ["required by a package"]
    (tmp_path / "run/reboot-required.pkgs").write_text("linux-base\ndbus\ndbus\n")
    assert reboot_needs.reasons(tmp_path, "1") == ["required by dbus, linux-base"]
