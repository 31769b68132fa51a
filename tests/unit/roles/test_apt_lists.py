"""The module that updates apt's lists: it names each source that cannot be read, and goes on if it can.

The output is that of apt 3.0.4 (Debian 13).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit.roles.modules import ROLES, Run, load

apt_lists = load(ROLES / "base/library/apt_lists.py")

FOREIGN = """\
Get:5 http://127.0.0.1:8099 foreign InRelease [930 B]
Ign:7 http://127.0.0.1:8099 unsigned InRelease
Err:10 http://127.0.0.1:8099 missing Release
  404  File not found [IP: 127.0.0.1 8099]
Err:5 http://127.0.0.1:8099 foreign InRelease
  Sub-process /usr/bin/sqv returned an error code (1), error message is: Missing key ECFB4F5C, which is needed to \
verify signature.
Reading package lists...
E: The repository 'http://127.0.0.1:8099 missing Release' does not have a Release file.
E: The repository 'http://127.0.0.1:8099 unsigned Release' is not signed.
W: OpenPGP signature verification failed: http://127.0.0.1:8099 foreign InRelease: Sub-process /usr/bin/sqv returned
E: The repository 'http://127.0.0.1:8099 foreign InRelease' is not signed.
"""
AWAY = """\
Ign:1 http://mirror.invalid/debian trixie InRelease
Err:1 http://mirror.invalid/debian trixie InRelease
  Could not resolve 'mirror.invalid'
Err:2 http://mirror.invalid/debian-security trixie-security InRelease
  Could not resolve 'mirror.invalid'
Reading package lists...
W: Failed to fetch http://mirror.invalid/debian/dists/trixie/InRelease  Could not resolve 'mirror.invalid'
W: Failed to fetch http://mirror.invalid/debian-security/dists/trixie-security/InRelease  Could not resolve
W: Some index files failed to download. They have been ignored, or old ones used instead.
"""
CONFLICT = """\
E: Conflicting values set for option Signed-By regarding source http://deb.debian.org/debian/ trixie: /a != /b
E: The list of sources could not be read.
"""
LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)\n"
MIRROR = "http://mirror.invalid/debian"
IN_WORDS = f"{MIRROR} trixie, {MIRROR}-security trixie-security (Could not resolve 'mirror.invalid')"

Apt = Callable[..., None]


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apt:
    """Install an `apt-get` whose runs of `update` end with these outputs and codes, and of `install` with the last."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/x_Packages").touch()
    os.utime(tmp_path / "lists", (1000, 1000))
    monkeypatch.setattr(apt_lists, "LISTS", tmp_path / "lists")
    without_pauses = SimpleNamespace(time=time.time, monotonic=time.monotonic, sleep=lambda _: None)
    monkeypatch.setattr(apt_lists, "time", without_pauses)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def program(*updates: tuple[str, int], install: tuple[str, int] = ("", 0)) -> None:
        for name, (text, code) in {**{f"update{i}": run for i, run in enumerate(updates)}, "install": install}.items():
            (tmp_path / name).write_text(text)
            (tmp_path / f"{name}.code").write_text(str(code))
        count = f"$(cat {tmp_path}/count 2>/dev/null || echo 0)"
        (tmp_path / "apt-get").write_text(
            f"#!/bin/sh\nname=$1\n"
            f"touch {tmp_path}/lists\n"
            f"if [ $1 = update ]; then run={count}; echo $((run + 1)) >{tmp_path}/count; name=update$run; fi\n"
            f"grep -v '^[EW]: ' {tmp_path}/$name\ngrep '^[EW]: ' {tmp_path}/$name >&2\n"
            f"exit $(cat {tmp_path}/$name.code)\n"
        )
        (tmp_path / "apt-get").chmod(0o755)

    return program


def test_lists_that_are_updated_have_no_broken_source(apt: Apt, run_module: Run, tmp_path: Path) -> None:
    apt(("Hit:1 http://deb.debian.org/debian trixie InRelease\n", 0))
    found = run_module(apt_lists, {"timeout": 5, "packages": ["nginx"]})
    assert (found["sources"], found["causes"], found["changed"]) == ({}, "", False)
    assert (tmp_path / "lists").stat().st_mtime > 1000


def test_foreign_sources_are_named_with_their_reasons_and_the_run_goes_on(
    apt: Apt, run_module: Run, tmp_path: Path
) -> None:
    apt((FOREIGN, 100))
    found = run_module(apt_lists, {"timeout": 5, "packages": ["nginx"]})
    source = "http://127.0.0.1:8099"
    assert found["sources"] == {
        f"{source} foreign": "Missing key ECFB4F5C, which is needed to verify signature",
        f"{source} missing": "404 File not found [IP: 127.0.0.1 8099]",
        f"{source} unsigned": "is not signed",
    }
    assert (tmp_path / "lists").stat().st_mtime == 0, "the next run must try again"


def test_a_failure_that_may_pass_is_retried_once(apt: Apt, run_module: Run) -> None:
    apt((AWAY, 0), ("", 0))
    assert run_module(apt_lists, {"timeout": 5})["sources"] == {}


def test_another_apt_is_waited_for(apt: Apt, run_module: Run) -> None:
    apt((LOCKED, 100), (LOCKED, 100), ("", 0))
    assert run_module(apt_lists, {"timeout": 5})["sources"] == {}


@pytest.mark.parametrize(
    ("install", "why"),
    [
        (("", 0), None),  # the archives are there already
        (("'http://deb.debian.org/debian/pool/t/tree_2.deb' tree_2.deb 9\n", 0), None),
        ((f"'{MIRROR}/pool/t/tree_2.deb' tree_2.deb 9\n", 0), f"{MIRROR}/pool/t/tree_2.deb cannot be downloaded"),
        (("E: Unable to locate package tree\n", 100), "Unable to locate package tree"),
    ],
)
def test_it_fails_at_once_if_a_package_comes_from_a_mirror_that_is_away(
    apt: Apt, run_module: Run, install: tuple[str, int], why: str | None
) -> None:
    apt((AWAY, 0), (AWAY, 0), install=install)
    found = run_module(apt_lists, {"timeout": 5, "packages": ["tree"]})
    assert found["causes"] == IN_WORDS
    assert found.get("msg") == (
        f"apt cannot install tree: {why}. It cannot read {IN_WORDS}. Correct or remove these sources in /etc/apt, or "
        "make their servers answer, and run this again."
        if why
        else None
    )


def test_a_configuration_that_apt_rejects_is_named(apt: Apt, run_module: Run) -> None:
    apt((CONFLICT, 100), install=(CONFLICT, 100))
    assert list(run_module(apt_lists, {"timeout": 5})["sources"]) == ["/etc/apt"]
    apt((CONFLICT, 100), (CONFLICT, 100), install=(CONFLICT, 100))
    message = run_module(apt_lists, {"timeout": 5, "packages": ["tree"]})["msg"]
    assert message.startswith(
        "apt cannot install tree: /etc/apt (Conflicting values set for option Signed-By regarding"
    )
    assert message.count("Conflicting") == 1


def test_lists_that_are_young_and_not_empty_stay_as_they_are(apt: Apt, run_module: Run, tmp_path: Path) -> None:
    apt((AWAY, 0), (AWAY, 0), (AWAY, 0), (AWAY, 0))
    os.utime(tmp_path / "lists")
    assert run_module(apt_lists, {"timeout": 5, "max_age": 3600})["sources"] == {}
    (tmp_path / "lists/x_Packages").unlink()
    assert run_module(apt_lists, {"timeout": 5, "max_age": 3600})["sources"]
