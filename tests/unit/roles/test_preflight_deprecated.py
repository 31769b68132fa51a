"""Deprecated variables: the old name works, with a warning, until the release that the table gives."""

from __future__ import annotations

import tomllib

from packaging.version import Version

from plugins.action.fleet_check_deprecated import translate
from tests.unit.roles.modules import read_yaml
from tools.fleet.context import ROOT

SHARED = read_yaml("inventories/shared/deprecated.yml")["fleet_deprecated"]
TABLE = [{"old": "x_alone", "new": "x_last", "since": "0.1.0", "removed": "0.2.0", "values": {"serve": "keep"}}]


def test_an_old_name_works_with_a_warning() -> None:
    assert translate(TABLE, {"x_alone": "drain"}) == (
        {"x_last": "drain"},
        ["x_alone is deprecated since 0.1.0 and ignored from 0.2.0 on; use x_last."],
        [],
    )


def test_a_renamed_value_is_translated() -> None:
    values, (warning,), failures = translate(TABLE, {"x_alone": "serve"})
    assert (values, failures) == ({"x_last": "keep"}, [])
    assert warning.endswith("; use x_last, with the value keep for serve.")


def test_the_new_name_alone_causes_no_warning() -> None:
    assert translate(TABLE, {"x_last": "keep"}) == ({}, [], [])


def test_both_names_are_an_error() -> None:
    values, _, (failure,) = translate(TABLE, {"x_alone": "drain", "x_last": "keep"})
    assert values == {}
    assert failure == "x_alone and x_last are both set, and x_alone is only the deprecated name; remove x_alone."


def test_every_new_name_is_a_documented_variable() -> None:
    documented = "".join(path.read_text() for path in ROOT.glob("roles/*/meta/argument_specs.yml"))
    assert [entry["new"] for entry in SHARED if f"      {entry['new']}:\n" not in documented] == []


def test_every_deprecated_name_is_removed_in_its_release() -> None:
    version = Version(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
    assert [entry["old"] for entry in SHARED if Version(entry["removed"]) <= version] == []
