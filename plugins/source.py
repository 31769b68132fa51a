"""The source of an application: mistakes that show without building it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.fleet.context import ROOT
from tools.release.errors import ReleaseError
from tools.release.extras import Extras
from tools.release.fetch import is_remote, refuse_unreadable
from tools.release.lock import find
from tools.release.source import refuse_other_python
from tools.release.target import HOST_PYTHON
from tools.release.tree import refuse_incomplete, shipped


def wrong_source(source: str, settings: Mapping[str, Any]) -> list[str]:
    """A sentence for each mistake in the application's source that shows without building it."""
    root = Path(str(source)).expanduser()
    if is_remote(str(source)):
        return []  # it is fetched before the first host changes
    if not root.is_dir():
        return [f"app_source = {source} is not a folder; set it to the application's folder, git URL or archive."]
    try:
        more = Extras(tuple(settings.get("app_extras") or ()), tuple(settings.get("app_extra_packages") or ()))
        more.check(find(root, settings.get("app_requirements") or ""))
        # A build command may read every file.
        paths = () if settings.get("app_build_command") else settings.get("app_release_paths") or ()
        refuse_incomplete(root, shipped(root, paths), paths)
        refuse_other_python(root, str(settings.get("app_python") or HOST_PYTHON))
    except ReleaseError as error:
        return [f"{error}."]
    return []


def unreadable(source: str) -> list[str]:
    """A sentence if this machine cannot read the git repository of the application."""
    try:
        refuse_unreadable(source, ROOT / ".cache")
    except ReleaseError as error:
        return [f"{error}."]
    return []
