"""Whether packages have files for the target."""

from collections.abc import Iterable
from functools import cache

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from tools.release.target import Target


@cache
def _tags(target: Target) -> frozenset[Tag]:
    major, _, minor = target.python.partition(".")
    version = (int(major), int(minor))
    old = [f"manylinux{year}_{target.machine}" for year in (2010, 1)]
    platforms = [*target.platforms(), *old]
    own = cpython_tags(version, platforms=platforms)
    return frozenset([*own, *compatible_tags(version, f"cp{major}{minor}", platforms)])


def has_file(names: Iterable[str], target: Target) -> bool:
    """Return whether one of these files is a wheel for the target, or a source, which can be built."""
    for name in names:
        if not name.endswith(".whl"):
            return True
        try:
            if parse_wheel_filename(name)[3] & _tags(target):
                return True
        except InvalidWheelFilename:
            return True
    return False
