"""What a lock file chooses for the hosts."""

import re
from collections.abc import Iterator
from typing import Any

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tools.project.tree import table
from tools.release.target import Target

Package = dict[str, Any]


def applies(marker: Any, target: Target) -> bool:
    """Return whether a marker holds on the target. What cannot be read holds. Poetry has one for each group."""
    if isinstance(marker, dict):
        return any(applies(one, target) for one in marker.values())
    try:
        return not marker or Marker(str(marker)).evaluate(target.environment(), context="lock_file")
    except (InvalidMarker, UndefinedEnvironmentName):
        return True


def chosen(lock: dict[str, Any], direct: set[str], target: Target) -> dict[str, Package]:
    """Return the packages that the target needs, by name: not those of development or of other platforms."""
    known: dict[str, Package] = {}
    todo: dict[str, tuple[str, ...]] = dict.fromkeys(direct, ())
    for package in lock.get("package") or lock.get("packages") or []:
        forks = package.get("resolution-markers") or [""]
        if applies(package.get("markers") or package.get("marker"), target) and any(applies(f, target) for f in forks):
            known.setdefault(canonicalize_name(package["name"]), package)
        if table(package, "source").keys() & {"editable", "virtual"} and "." in package["source"].values():
            todo = dict(edges(package, (), target))
    if "packages" in lock or not todo.keys() & known.keys():
        return known
    wanted: dict[str, Package] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    queue = list(todo.items())
    while queue:
        if (part := queue.pop()) in seen or part[0] not in known:
            continue
        seen.add(part)
        wanted[part[0]] = known[part[0]]
        queue += edges(known[part[0]], part[1], target)
    return wanted


def edges(package: Package, extras: tuple[str, ...], target: Target) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the dependencies of a package on the target, each with its extras: of uv, Poetry or PDM."""
    listed = package.get("dependencies", [])
    if isinstance(listed, dict):
        listed = [
            {**(one if isinstance(one, dict) else {}), "name": name}
            for name, value in listed.items()
            for one in (value if isinstance(value, list) else [value])
        ]
    more = table(package, "optional-dependencies")
    for part in [*listed, *(one for extra in extras for one in more.get(extra, []))]:
        if isinstance(part, str):
            try:
                wanted = Requirement(part)
            except InvalidRequirement:
                continue
            part = {"name": wanted.name, "marker": str(wanted.marker or ""), "extra": sorted(wanted.extras)}
        if applies(part.get("marker") or part.get("markers"), target):
            yield canonicalize_name(part["name"]), tuple(part.get("extra") or part.get("extras") or ())


def files(package: Package, lock: dict[str, Any]) -> list[str]:
    """Return the names of the files that a lock file has for a package. Lock files of older Poetry have a table."""
    listed = package.get("files") or table(lock, "metadata", "files").get(package["name"]) or []
    listed = [*listed, *package.get("wheels", []), *(package[key] for key in ("sdist", "archive") if key in package)]
    found = (file.get("file") or file.get("name") or file.get("url") or file.get("path") or "" for file in listed)
    return [re.split(r"[/\\]", name)[-1].partition("#")[0] for name in found]
