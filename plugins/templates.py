"""Variables of an inventory that are required and not set, or whose templates have no value."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from jinja2 import Environment, TemplateSyntaxError, nodes

from plugins.values import is_literal, shown

# Required variable → an example, and what it is.
REQUIRED = {
    "fleet_name": ("production", ""),
    "fleet_domain": ("news.example.org", ""),
    "fleet_subnet": ("192.0.2.0/24", "the hosts' network"),
    "fleet_vip": ("192.0.2.5", "a free address of fleet_subnet, or '' for none"),
    "fleet_admin_networks": ("[198.51.100.7/32]", "the networks that may log in"),
}
APPLICATION = {
    "app_name": ("shop", ""),
    "app_source": ("/home/kim/shop", "the application's folder, git URL or archive"),
    "app_module": ("shop:create_app()", ""),
}
# Other names that begin with ansible_ may be facts, which the preflight does not have.
CONNECTION = ("ansible_host", "ansible_port", "ansible_user")
ABSENT = re.compile(r"'(\w+)' is undefined")
ATTRIBUTE = re.compile(r"has no attribute '(\w+)'")
# Parts of Ansible's errors that explain nothing.
NOISE = re.compile(r"^Error rendering template: |^Syntax error in template: | Use -vvvvv to see paths searched\.$")


@dataclass(frozen=True)
class Broken:
    """A variable without a value: its name, the template that fails, and Ansible's error."""

    name: str
    template: str
    error: str


@dataclass(frozen=True)
class Known:
    """What an inventory says about its variables."""

    variables: Mapping[str, Any]
    # Variable → its file.
    places: Mapping[str, str]
    # Those that inventories/shared computes, so nobody has to correct them.
    shared: Collection[str] = ()
    # Secrets that the run generates, and defaults that exist only inside of their roles.
    later: Collection[str] = ()


def subjects(sentences: Iterable[str]) -> set[str]:
    """The first word of each sentence, after a host's name."""
    return {found[1] for sentence in sentences if (found := re.match(r"(?:[\w.-]+: )?(\w+)", sentence))}


def not_set(variables: Mapping[str, Any], folder: Path, shared: Path, reported: Iterable[str]) -> list[str]:
    """A sentence for each required variable that the inventory does not have, unless it is reported."""
    if "fleet_ports" not in variables:
        link = folder / "00_shared"
        return [f"fleet_ports is not set, because {link} is missing; create it with 'ln -s {shared} {link}'."]
    done = subjects(reported)
    files = {"main.yml": REQUIRED, "application.yml": APPLICATION}
    return [
        f"{name} is not set; set it in {folder / file}, such as `{name}: {example}`{meaning and f' ({meaning})'}."
        for file, examples in files.items()
        for name, (example, meaning) in examples.items()
        if name not in done and (variables.get(name) is None or (variables[name] == "" and name in APPLICATION))
    ]


def broken(
    names: Iterable[str], variables: Mapping[str, Any], evaluate: Callable[[Any, Mapping[str, Any]], Any]
) -> Iterator[Broken]:
    """Yield those of `names` that have no value.

    Args:
        names: The variables to compute.
        variables: All variables of the host, with their templates.
        evaluate: Computes a value with variables. It gets the values that are already known.
    """
    known = dict(variables)
    for name in names:
        try:
            known[name] = evaluate(variables[name], known)
        except AnsibleError as error:
            template = str(error.obj) if isinstance(error.obj, str) else ""
            owner = next((other for other in variables if template and template in texts(variables[other])), name)
            yield Broken(owner, template, NOISE.sub("", str(error)).rstrip("."))


def texts(value: Any) -> Iterator[str]:
    """Yield the strings of a value."""
    if isinstance(value, str):
        yield str(value)
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from texts(part)


def used(template: str) -> set[str]:
    """The names in a template."""
    try:
        return {name.name for name in Environment(autoescape=True).parse(template).find_all(nodes.Name)}
    except TemplateSyntaxError:
        return set()


def causes(template: str, known: Known) -> list[str]:
    """The variables of the inventory with a literal value that a template uses, also by other variables."""
    names, found = sorted(used(template)), []
    for name in names:
        value = known.variables.get(name)
        if name in known.places and name not in known.shared and is_literal(value):
            found.append(name)
        elif name in known.places:
            names += sorted(set().union(*map(used, texts(value))) - set(names))
    return found


def without_value(failures: Iterable[Broken], known: Known, main: Path, reported: Iterable[str]) -> list[str]:
    """A sentence for each template that has no value, unless another sentence has its cause.

    Args:
        failures: The variables that have no value.
        known: The variables of the inventory.
        main: The file for variables of the inventory.
        reported: The sentences of other checks.
    """
    reported = list(reported)
    words = {word for sentence in reported for word in re.findall(r"\w+", sentence)}
    done = subjects(reported)
    found: dict[str, None] = {}
    # A variable of the shared files fails because of another one, which may have a sentence.
    for failure in sorted(failures, key=lambda failure: failure.name in known.shared):
        where = f"{failure.name} of {known.places.get(failure.name, 'the inventory')}"
        absent, attribute = ABSENT.search(failure.error), ATTRIBUTE.search(failure.error)
        name = absent[1] if absent else ""
        names = causes(failure.template, known)
        consequence = failure.name in known.shared and (reported or found)
        if consequence or name in {*known.later, *words} or is_fact(name) or {failure.name, *names} & done:
            continue
        if name.startswith("vault_"):
            store = f"store it with `bin/fleet secret set {name.removeprefix('vault_')}`"
            found[f"{where} uses {name}, which is not in the vault; {store}."] = None
        elif name:
            close = get_close_matches(name, known.places, n=1, cutoff=0.8)
            fix = f"write {close[0]} instead, or set {name}" if close else "correct the name, or set it"
            found[f"{where} uses {name}, which is not set; {fix} in {main}."] = None
        elif not (attribute and attribute[1] in words) and not any(map(is_fact, used(failure.template))):
            values = [f"{name} = {shown(name, known.variables[name])}" for name in names]
            fix = " or ".join([*([] if failure.name in known.shared else ["it"]), *values]) or "it"
            found[f"{where} has no value: {failure.error}; correct {fix}."] = None
    return list(found)


def is_fact(name: str) -> bool:
    """Whether a name may be a fact, which the preflight does not have."""
    return name.startswith("ansible_") and name not in CONNECTION
