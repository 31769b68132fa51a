"""Every template is valid Jinja, so a syntax error is found before a fleet's converge."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import Environment, TemplateSyntaxError

from tools.checks.plan import ROOT

TEMPLATES = sorted(ROOT.glob("roles/*/templates/**/*.j2"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "roles")))
def test_a_template_is_valid_jinja(path: Path) -> None:
    try:
        Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"], autoescape=True).parse(path.read_text())
    except TemplateSyntaxError as error:
        pytest.fail(f"{path}:{error.lineno}: {error.message}")
