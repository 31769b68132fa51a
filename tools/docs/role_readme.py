"""Generates each role's README from its argument_specs: `make docs`. With `--check`, it only reports stale ones."""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.fleet.context import ROOT, echo

MARK = "<!-- Generated from meta/argument_specs.yml by `make docs`; a change made here is lost. -->"
# Characters of a default in the table. For a longer one, the table links to defaults/main.yml.
MAX_LENGTH = 60
MARKUP = re.compile(r"\b[CFMOPV]\(((?:[^()]|\([^()]*\))+)\)")


def load(path: Path) -> Any:
    """Load a YAML file."""
    return yaml.safe_load(path.read_text())


def code(value: Any) -> str:
    """Format a value as YAML on one line."""
    text = str(yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True))
    text = " ".join(text.removesuffix("...\n").split())
    if text[:1] in "'\"" and "{{" in text:
        text = text[1:-1].replace("''", "'")  # templates are easier to read without YAML's quotes
    return "[long](defaults/main.yml)" if len(text) > MAX_LENGTH else f"`{text}`".replace("|", "\\|")


def kind(option: Mapping[str, Any]) -> str:
    """Describe the type of an option, with its elements or choices."""
    name = str(option.get("type", "str"))
    name += f" of {option['elements']}" if "elements" in option else ""
    return f"{name}: {', '.join(f'`{choice}`' for choice in option['choices'])}" if "choices" in option else name


def prose(text: str) -> str:
    """Join a description to one line, and turn Ansible's markup, such as C(code), into Markdown."""
    line = " ".join(text.split()).replace("|", "\\|")
    parts = MARKUP.split(line)  # every second part is code
    return "".join(f"`{part}`" if index % 2 else part.replace("*", "\\*") for index, part in enumerate(parts))


def rows(options: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the table's rows. The options of a dict follow it, indented."""
    lines = []
    for name, option in options.items():
        default = code(defaults[name]) if name in defaults else ""
        shown = "**required**" if option.get("required") else default
        lines.append(f"| {prefix}`{name}` | {kind(option)} | {shown} | {prose(option['description'])} |")
        parts = option.get("options", {})
        part_defaults = {part: values["default"] for part, values in parts.items() if "default" in values}
        lines += rows(parts, part_defaults, f"{prefix}&nbsp;&nbsp;")
    return lines


def example(role: str, options: Mapping[str, Mapping[str, Any]], meta: Mapping[str, Any]) -> str:
    """Return a play that uses the role."""
    lines = [
        f"- name: {meta['galaxy_info']['description']}",
        "  hosts: all",
        "  become: true",
        "  roles:",
        f"    - role: {role}",
    ]
    required = [(name, option) for name, option in options.items() if option.get("required")]
    if required:
        lines.append("      vars:")
        lines += [f"        {name}: {sample(option)}" for name, option in required]
    return "\n".join(lines)


def sample(option: Mapping[str, Any]) -> str:
    """Return a sample value of an option's type."""
    if "choices" in option:
        return str(option["choices"][0])
    inner = ", ".join(
        f"{name}: {sample(part)}" for name, part in option.get("options", {}).items() if part.get("required")
    )
    values = {"int": "1", "bool": "true", "float": "1.0", "dict": f"{{{inner}}}", "path": "/path"}
    if option.get("type") == "list":
        return f"[{sample({**option, 'type': option.get('elements', 'str')})}]"
    return values.get(str(option.get("type")), "…")


def readme(folder: Path) -> str:
    """Return the README of the role in `folder`."""
    spec = load(folder / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    meta = load(folder / "meta" / "main.yml")
    options = spec["options"]
    systems = ", ".join(
        f"{system['name']} {' '.join(system['versions'])}" for system in meta["galaxy_info"]["platforms"]
    )
    core = meta["galaxy_info"]["min_ansible_version"]
    needs = [f"- {systems} on the hosts; ansible-core {core} or newer on the control node."]
    if any(option.get("required") for option in options.values()):
        source = "in this repository `inventories/shared` computes them from groups, ports and secrets"
        needs.append(f"- The required variables; {source}.")
    return "\n".join(
        [
            f"# {folder.name}",
            "",
            MARK,
            "",
            f"{spec['short_description'].rstrip('.')}.",
            "",
            *(f"- {prose(line)}" for line in spec["description"]),
            "",
            "## Requirements",
            "",
            *needs,
            "",
            "## Variables",
            "",
            "| variable | type | default | what it is for |",
            "| --- | --- | --- | --- |",
            *rows(options, load(folder / "defaults" / "main.yml")),
            "",
            "## Example",
            "",
            "```yaml",
            example(folder.name, options, meta),
            "```",
            "",
        ]
    )


def wrong_defaults(options: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each default that the argument specs lack or contradict."""
    for name, value in sorted(defaults.items()):
        if name not in options:
            yield f"{name} has a default and no entry in meta/argument_specs.yml; describe it there."
        # The specs describe a long default in words.
        elif len(str(value)) <= MAX_LENGTH and options[name].get("default", value) != value:
            yield (
                f"{name} has the default {options[name]['default']!r} in meta/argument_specs.yml, and {value!r} in "
                "defaults/main.yml; make them equal."
            )


def main(arguments: list[str] | None = None, roles: Path = ROOT / "roles") -> int:
    """Write or check all READMEs. Return 1 if one is stale or a variable is undocumented."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs.role_readme", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 if a README is stale")
    check = parser.parse_args(arguments).check
    status = 0
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        folder = path.parents[1]
        options = load(path)["argument_specs"]["main"]["options"]
        for problem in wrong_defaults(options, load(folder / "defaults" / "main.yml")):
            echo(f"roles/{folder.name}: {problem}")
            status = 1
        target, text = folder / "README.md", readme(folder)
        if target.exists() and target.read_text() == text:
            continue
        if check:
            echo(f"roles/{folder.name}/README.md is stale; run 'make docs' and commit it.")
            status = 1
        else:
            target.write_text(text)
            echo(f"wrote roles/{folder.name}/README.md")
    return status


if __name__ == "__main__":
    sys.exit(main())
