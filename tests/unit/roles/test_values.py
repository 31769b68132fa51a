"""Preflight checks the values of variables against the argument_specs of the roles."""

from __future__ import annotations

import re
from typing import Any

import pytest

from plugins.backups import wrong_repositories
from plugins.values import is_literal, shown, specifications, wrong_types, wrong_values
from tests.unit.roles.modules import ROLES, read_yaml

Options = dict[str, dict[str, Any]]


def test_a_value_of_the_wrong_type_names_variable_value_and_role() -> None:
    mode = {"type": "str", "choices": ["a", "b"]}
    options: Options = {"x_port": {"type": "int"}, "x_mode": mode, "x_password": {"type": "int"}}
    sentences = wrong_types("x", options, {"x_port": "many", "x_mode": "c", "x_password": "hunter2"})
    assert len(sentences) == 3
    assert sentences[0].startswith("x_port = 'many' does not fit role x: ")
    assert sentences[2].startswith("x_password = … does not fit role x: ")


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ({"type": "list"}, {"a": 1}, "it must be a list"),
        # Ansible's check would split it, and the role would use its characters.
        ({"type": "list"}, "a,b", "it must be a list"),
        ({"type": "list", "elements": "dict"}, ["a"], "each entry must be a dictionary"),
        ({"type": "int"}, [1], "it must be a whole number"),
        ({"type": "bool"}, "perhaps", "it must be true or false"),
        ({"type": "str"}, ["a"], "it must be text"),
    ],
)
def test_a_wrong_type_is_explained_without_names_of_classes(option: dict[str, Any], value: Any, error: str) -> None:
    assert wrong_types("x", {"x_y": option}, {"x_y": value}) == [
        f"x_y = {value!r} does not fit role x: {error}; see roles/x/README.md."
    ]


ROLES_WITH_PORT: dict[str, Options] = {role: {"app_port": {"type": "int"}} for role in ("app", "maintain")}


@pytest.mark.parametrize(
    ("reported", "sentences"),
    [
        ([], ["app_port = 'many' does not fit role app"]),
        (["app_port = many is taken by another program."], []),
        (["app_port: another kind of sentence."], []),
        (["app_ports = 1 is another variable.", "", "(app_port)"], ["app_port = 'many' does not fit role app"]),
    ],
)
def test_a_wrong_value_is_reported_once(reported: list[str], sentences: list[str]) -> None:
    found = wrong_values(ROLES_WITH_PORT, {"app_port": "many", "app_user": "www"}, reported)
    assert [sentence.partition(":")[0] for sentence in found] == sentences


def test_a_secret_within_a_value_is_not_shown() -> None:
    assert shown("x_repositories", [{"key": "a", "secret": "b"}]) == "[{'key': 'a', 'secret': '…'}]"
    assert shown("x_secret", "b") == "…"


def test_an_unknown_type_of_repository_is_reported_once() -> None:
    repositories = [{"type": "tape"}]
    first = wrong_repositories(repositories, ["mon1"])
    assert len(first) == 1
    roles = specifications(ROLES)
    assert wrong_values(roles, {"pgbackrest_repositories": repositories}, first) == []
    assert wrong_values(roles, {"pgbackrest_repositories": repositories}, []) != []


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("x_router_id", 999, "from 1 to 255"),
        ("x_router_id", "256", "from 1 to 255"),
        ("x_upload_mb", 0, "at least 1"),
        ("x_port", 0, "from 1 to 65535"),
        ("x_linger", -1, "at least 0"),
        ("x_interval", -0.5, "at least 0"),
    ],
)
def test_numbers_out_of_their_bounds_are_refused(name: str, value: object, allowed: str) -> None:
    options: Options = {name: {"type": "float" if name == "x_interval" else "int"}}
    failure = f"{name} = {value!r} does not fit role x: it must be {allowed}; see roles/x/README.md."
    assert wrong_types("x", options, {name: value}) == [failure]


def test_a_documented_zero_is_accepted() -> None:
    names = set()
    for role, options in specifications(ROLES).items():
        for name, option in options.items():
            if re.search(r"\b0 (for|disables|does|means)\b", str(option.get("description"))):
                names.add(name)
                assert wrong_types(role, options, {name: 0}) == []
    assert names >= {"celery_metrics_port", "deploy_canary_seconds", "keepalived_linger"}


def test_the_default_numbers_of_every_role_are_within_bounds() -> None:
    for role, options in specifications(ROLES).items():
        defaults = read_yaml(f"roles/{role}/defaults/main.yml") or {}
        written = {name: value for name, value in defaults.items() if is_literal(value)}
        assert wrong_types(role, options, written) == []


def test_valid_values_pass_and_required_ones_may_be_missing() -> None:
    options: Options = {
        "x_port": {"type": "int", "required": True},
        "x_members": {"type": "list", "elements": "dict", "options": {"name": {}}},
    }
    assert wrong_types("x", options, {"x_port": 1, "x_members": [{"name": "a"}]}) == []
    assert wrong_types("x", options, {}) == []


def test_templated_values_are_left_to_their_role() -> None:
    assert not is_literal({"a": ["b", "{{ c }}"]})
    assert is_literal({"a": ["b", 1, None]})


def test_every_roles_argument_specs_can_be_read() -> None:
    assert {"base", "preflight", "secrets", "etcd"} <= set(specifications(ROLES))
