"""The generated READMEs of roles, and the check that finds stale ones."""

from pathlib import Path

import pytest
import yaml

from tools.docs import role_readme

SPEC = """
argument_specs:
  main:
    short_description: A door
    description:
      - It opens,
        and it closes.
    options:
      door_members:
        type: list
        elements: dict
        required: true
        description: Who may pass.
        options:
          name: {type: str, required: true, description: Their name.}
      door_width: {type: int, default: 80, description: Centimetres | not inches.}
      door_colour: {type: str, choices: [red, blue], default: red, description: Seen from outside.}
      door_address: {type: str, default: "{{ fleet_address }}", description: Where it is.}
"""
META = """
galaxy_info: {description: A door, min_ansible_version: "2.19", platforms: [{name: Debian, versions: [trixie]}]}
dependencies: []
"""
DEFAULTS = 'door_members: []\ndoor_width: 80\ndoor_colour: red\ndoor_address: "{{ fleet_address }}"\n'


@pytest.fixture
def roles(tmp_path: Path) -> Path:
    for name, text in {"meta/argument_specs.yml": SPEC, "meta/main.yml": META, "defaults/main.yml": DEFAULTS}.items():
        path = tmp_path / "door" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "A door.\n\n- It opens, and it closes.\n",
        "- Debian trixie on the hosts; ansible-core 2.19 or newer",
        "| `door_members` | list of dict | **required** | Who may pass. |",
        "| &nbsp;&nbsp;`name` | str | **required** | Their name. |",
        "| `door_width` | int | `80` | Centimetres \\| not inches. |",
        "| `door_colour` | str: `red`, `blue` | `red` | Seen from outside. |",
        "| `door_address` | str | `{{ fleet_address }}` | Where it is. |",
    ],
)
def test_the_readme_has_the_description_the_requirements_and_a_row_for_each_variable(roles: Path, text: str) -> None:
    assert text in role_readme.readme(roles / "door")


def test_ansibles_markup_becomes_markdown() -> None:
    text = "C(*.example.org) and *, V(refuse), C(create_app()) and\nC((head)) of F(site.yml)"
    assert role_readme.prose(text) == "`*.example.org` and \\*, `refuse`, `create_app()` and `(head)` of `site.yml`"


def test_the_example_is_a_play_with_the_required_variables(roles: Path) -> None:
    block = role_readme.readme(roles / "door").split("```yaml\n")[1].split("```")[0]
    (play,) = yaml.safe_load(block)
    assert play["roles"] == [{"role": "door", "vars": {"door_members": [{"name": "…"}]}}]


def test_check_reports_stale_files_and_writes_nothing(roles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert role_readme.main(["--check"], roles) == 1
    assert "roles/door/README.md is stale; run 'make docs'" in capsys.readouterr().out
    assert not (roles / "door" / "README.md").exists()


def test_a_second_run_changes_nothing(roles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert role_readme.main([], roles) == 0
    assert capsys.readouterr().out == "wrote roles/door/README.md\n"
    assert role_readme.main([], roles) == 0
    assert role_readme.main(["--check"], roles) == 0
    assert capsys.readouterr().out == ""


def test_a_default_without_a_description_is_refused(roles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (roles / "door" / "defaults" / "main.yml").open("a") as file:
        file.write("door_handle: left\n")
    assert role_readme.main(["--check"], roles) == 1
    assert "door_handle has a default and no entry in meta/argument_specs.yml" in capsys.readouterr().out


def test_a_default_that_differs_from_its_description_is_refused(
    roles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    defaults = roles / "door" / "defaults" / "main.yml"
    defaults.write_text(defaults.read_text().replace("width: 80", "width: 90"))
    assert role_readme.main(["--check"], roles) == 1
    assert "door_width has the default 80 in meta/argument_specs.yml, and 90 in" in capsys.readouterr().out
