"""The Python that an application needs."""

import platform
import re
from collections.abc import Callable, Iterable

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from tools.project.dependencies import Dependencies
from tools.project.tree import Finding, ProjectError, Tree
from tools.release.errors import ReleaseError
from tools.release.target import HOST_PYTHON, MAINTAINED, PYTHONS, Target, fits

# Releases that have no wheel for a Python, or fail at import on it.
TOO_OLD = {
    "3.13": "cffi<1.17 gevent<24.10 greenlet<3.1 lxml<5.3 markupsafe<3 multidict<6.0.5 numpy<2.1 pandas<2.2.3 "
    "pillow<10.4 psycopg2-binary<2.9.10 pydantic-core<2.20 pyyaml<6.0.2 sqlalchemy>=2,<2.0.31 typing-extensions<4.12",
    "3.12": "cffi<1.16 gevent<23.9 greenlet<3 lxml<4.9.3 markupsafe<2.1.3 multidict<6.0.5 numpy<1.26 pandas<2.1.1 "
    "pillow<10.1 psycopg2-binary<2.9.9 pydantic-core<2.6 pyyaml<6.0.1",
    "3.11": "cffi<1.15.1 gevent<22.10 greenlet<1.1.3 lxml<4.9.1 markupsafe<2.1 multidict<6.0.3 numpy<1.23.2 pandas<1.5 "
    "pillow<9.3 psycopg2-binary<2.9.5 pyyaml<6",
    "3.10": "markupsafe<2 psycopg2-binary<2.9.2 pyyaml<6",
}
# Releases that import what this Python and newer ones have removed. distutils is no reason, because setuptools has it.
REMOVED = {
    (3, 10): "flask<1.1 jinja2<2.11 babel<2.7 pyjwt<1.7 sqlalchemy<1.3 werkzeug<1",  # names of `collections`
    (3, 11): "celery<5 kombu<5.0.2 vine<5",  # a function of `inspect`
    # `imp`, and finders of modules
    (3, 12): "billiard<3.5.0.4 gunicorn<20 requests<2.25 six<1.16 stripe<3.1 urllib3<1.26.5",
    (3, 13): "boto3<1.26 botocore<1.29.13 feedparser<6.0.11 webob<1.8.9",  # `cgi`
}
TOO_OLD["3.14"] = TOO_OLD["3.13"]
TOO_OLD = {
    version: " ".join([old, *(gone for since, gone in REMOVED.items() if since <= tuple(map(int, version.split("."))))])
    for version, old in TOO_OLD.items()
}
# Such as better_python of tools.release.wheels.
Better = Callable[[list[str], Target, Iterable[str]], tuple[str, list[str]]]
Available = Callable[[str], bool]


def python(
    tree: Tree, dependencies: Dependencies, better: Better | None = None, is_available: Available = lambda _: True
) -> Finding | None:
    """Return the Python that the application needs, or None for that of the hosts.

    `better` looks for wheels. `is_available` returns whether this control node can get an interpreter.
    """
    place = f"requires-python = {dependencies.requires_python!r}"
    try:
        specifier = SpecifierSet(dependencies.requires_python)
    except InvalidSpecifier:
        specifier = SpecifierSet()
    allowed = [version for version in PYTHONS if fits(version, specifier)]
    if not allowed:
        raise ProjectError(f"{place} allows no Python that the fleet can run ({', '.join(PYTHONS)}); widen it.")
    asked = wish(tree, bool(dependencies.requires_python))
    if asked and asked[0] in allowed and (asked[0] == HOST_PYTHON or is_available(asked[0])):
        return Finding("app_python", *asked) if asked[0] != HOST_PYTHON else None
    fitting = [version for version in allowed if not too_old(dependencies, version)] or allowed
    # If only one of them can be fetched, take it, although a newer one exists.
    usable = fitting if fitting[0] == HOST_PYTHON else [v for v in fitting if is_available(v)] or fitting
    best, pins = with_wheels(dependencies, usable, better, is_available) if better else (usable[0], [])
    if best == HOST_PYTHON:
        return None
    if pins:
        reason = f"{dependencies.input}: no wheel for Python {usable[0]}: {', '.join(pins)}"
    elif best == allowed[0]:
        return Finding("app_python", best, f"pyproject.toml: {place}")
    else:
        pins = too_old(dependencies, allowed[0])
        reason = f"{dependencies.input}: too old for Python {allowed[0]}: {', '.join(pins)}"
    return Finding("app_python", best, reason, assumed=True)


def with_wheels(
    dependencies: Dependencies, pythons: list[str], better: Better, is_available: Available
) -> tuple[str, list[str]]:
    """Return the Python for which the most pinned packages have a wheel, and those that the first one has none for."""
    pins = [f"{name}=={version}" for name, version in dependencies.versions.items()]
    # Lazy: only if a wheel is missing does it matter whether an interpreter can be fetched.
    others = (v for v in pythons[1:] if v in MAINTAINED and is_available(v))
    if pythons[0] not in MAINTAINED or not pins:
        return pythons[0], []
    try:
        best, lacking = better(pins, Target(pythons[0], platform.machine()), others)
    except ReleaseError:  # no package index can be reached
        return pythons[0], []
    return best or pythons[0], lacking


def wish(tree: Tree, exact: bool) -> tuple[str, str] | None:
    """Return the Python that a file of the project names, and the file. A Dockerfile's may be just the image's."""
    patterns = {".python-version": r"^(?:python-)?(\d\.\d+)", "runtime.txt": r"^python-(\d\.\d+)"}
    patterns["Pipfile"] = r"(?m)^python(?:_full)?_version\s*=\s*[\"'](\d\.\d+)"
    image = r"(?mi)^FROM (?:--\S+ )?(?:\S+/)?python:(\d\.\d+)"
    patterns |= {} if exact else dict.fromkeys(("Dockerfile", "docker/Dockerfile"), image)
    for name, pattern in patterns.items():
        if found := re.search(pattern, tree.read(name)):
            return found[1], name
    return None


def too_old(dependencies: Dependencies, version: str) -> list[str]:
    """Return the pinned packages that do not work with this Python."""
    old = []
    for broken in map(Requirement, TOO_OLD.get(version, "").split()):
        pinned = dependencies.versions.get(broken.name, "")
        if re.fullmatch(r"[\d.]+", pinned) and pinned in broken.specifier:
            old.append(f"{broken.name} {pinned}")
    return old
