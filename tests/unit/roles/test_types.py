"""Numbers and booleans that are given by `-e NAME=VALUE` are text, so expressions convert them before they use them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, nodes

from tools.checks.plan import ROOT

FILES = sorted(
    path
    for pattern in (
        "roles/*/templates/**/*.j2",
        "roles/*/[dhtv]*/**/*.yml",
        "playbooks/**/*.yml",
        "inventories/shared/*.yml",
    )
    for path in ROOT.glob(pattern)
)
ENVIRONMENT = Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"], autoescape=True)
CONDITIONS = {"when", "until", "failed_when", "changed_when", "that"}
ARITHMETIC = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow)


def variables(*types: str) -> set[str]:
    """Return the public variables of these types, of all roles."""
    found = set()
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        options = yaml.safe_load(path.read_text())["argument_specs"]["main"].get("options", {})
        found |= {name for name, option in options.items() if option.get("type") in types}
    return found


NUMBERS, BOOLEANS = variables("int", "float"), variables("bool")


def templates(value: Any, key: str = "") -> Iterator[str]:
    """Yield the templates of a YAML document. A condition gets the braces that Ansible adds."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from templates(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from templates(item, key)
    elif isinstance(value, str):
        yield f"{{% if ({value}) %}}{{% endif %}}" if key in CONDITIONS and "{{" not in value else value


def names(found: list[Any]) -> set[str]:
    """Return the variables that are used without a filter."""
    return {node.name for node in found if isinstance(node, nodes.Name)}


def unconverted(template: str) -> set[str]:
    """Return the numbers that a template computes with or compares, and the values it tests, that may be text."""
    tree = ENVIRONMENT.parse(template)
    numbers: list[Any] = [
        side for kind in ARITHMETIC for node in tree.find_all(kind) for side in (node.left, node.right)
    ]
    for node in tree.find_all(nodes.Compare):
        numbers += [node.expr, *(operand.expr for operand in node.ops if operand.op not in {"in", "notin"})]
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name in {"max", "min", "sum"} and isinstance(filtered.node, nodes.List):
            numbers += filtered.node.items
    tested: list[Any] = [node.node for node in tree.find_all(nodes.Not)]
    tested += [node.test for node in tree.find_all(nodes.If)] + [node.test for node in tree.find_all(nodes.CondExpr)]
    tested += [
        side for kind in (nodes.And, nodes.Or) for node in tree.find_all(kind) for side in (node.left, node.right)
    ]
    return names(numbers) & NUMBERS | names(tested) & (NUMBERS | BOOLEANS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_values_given_as_text_are_converted(path: Path) -> None:
    text = path.read_text()
    found = [text] if path.suffix == ".j2" else templates(yaml.safe_load(text))
    assert {name for template in found for name in unconverted(template)} == set()


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{{ etcd_quota_mb * 1024 }}", {"etcd_quota_mb"}),
        ("{{ etcd_quota_mb | int * 1024 }}", set()),
        ("{% if celery_metrics_port %}{% endif %}", {"celery_metrics_port"}),
        ("{{ 1 if not nginx_ipv6 else 2 }}", {"nginx_ipv6"}),
        ("{{ 1 if nginx_ipv6 | bool and nginx_hsts_max_age > 0 }}", {"nginx_hsts_max_age"}),
        ("{{ [etcd_quota_mb, 64] | max }}", {"etcd_quota_mb"}),
        (next(templates({"when": "nginx_ipv6"})), {"nginx_ipv6"}),
    ],
)
def test_the_check_finds_values_that_are_not_converted(template: str, found: set[str]) -> None:
    assert unconverted(template) == found
