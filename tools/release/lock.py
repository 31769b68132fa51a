"""The dependencies of a release: finds the project's own list, and locks what has no hashes."""

import hashlib
import json
import re
import shutil
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from tools.release import pipenv, requirements
from tools.release.errors import ReleaseError, uv
from tools.release.extras import NO_EXTRAS, Extras
from tools.release.target import Target
from tools.release.wheels import unavailable

# The first one that exists is used.
INPUTS = (
    *("pylock.toml", "uv.lock", "poetry.lock", "pdm.lock", "requirements.txt", "pyproject.toml"),
    *("Pipfile.lock", "Pipfile", "setup.py", "setup.cfg"),
)
SERVER = "gunicorn"
# A project that names it chooses its version.
SETUPTOOLS = re.compile(r"""(^|["'])setuptools\b""", re.MULTILINE)
# Part of the fingerprint. Increase it to lock again everywhere.
VERSION = 1
HEADER = """\
# The dependencies of the application for {target}, with hashes.
# Made by `python -m tools.release build` from {name}. Commit this file. It stays as it is until its input changes.
# To take newer versions, remove this file and deploy.
# input: {fingerprint}
"""


@dataclass
class Lock:
    """The locked requirements of a release."""

    lines: list[str]
    notes: list[str] = field(default_factory=list)


def find(root: Path, given: str) -> Path:
    """Return the file that lists the dependencies."""
    if given:
        path = root / Path(given).expanduser()
        if not path.is_file():
            raise ReleaseError(
                f"app_requirements={given} is not a file in app_source={root}; correct it, or remove it to use the "
                f"first of {', '.join(INPUTS)}"
            )
        return path
    found = next((root / name for name in INPUTS if (root / name).is_file() and _lists(root / name)), None)
    if found is None:
        raise ReleaseError(
            f"app_source={root} lists no dependencies: it has none of {', '.join(INPUTS)}; add one of them, or set "
            "app_requirements"
        )
    return found


def _lists(path: Path) -> bool:
    """Return whether a file lists dependencies. A pyproject.toml may only have settings of tools."""
    try:
        return path.name != "pyproject.toml" or "project" in tomllib.loads(path.read_text())
    except ValueError as error:
        raise _invalid(path, error) from error


def _invalid(path: Path, error: ValueError) -> ReleaseError:
    return ReleaseError(f"{path} cannot be read: {error}; correct it")


def _input(path: Path, more: Extras) -> list[str]:
    """Return what the locked versions depend on: the file and those that it includes."""
    text = requirements.text_of(path)
    if path.name == "pyproject.toml":
        settings = tomllib.loads(text)
        project, tool = settings.get("project", {}), settings.get("tool", {}).get("uv", {})
        used = ("dependencies", "dynamic", "requires-python")
        own = [json.dumps([{name: project.get(name) for name in used}, tool], sort_keys=True)]
        return own + [json.dumps(more.tables(path), sort_keys=True)] * bool(more.names)
    included = []
    if path.suffix not in (".lock", ".toml"):
        found = re.findall(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]+(\S+)", text, re.MULTILINE)
        included = [part for name in found for part in _input(path.parent / name, more)]
    return [text, *included]


def fingerprint(path: Path, target: Target, more: Extras = NO_EXTRAS) -> str:
    """Return the hash of everything that the locked versions depend on."""
    wanted = [VERSION, path.name, target.python, target.machine, *_input(path, more)]
    if more:
        wanted += [more.names, more.packages]
    return hashlib.sha256(json.dumps(wanted).encode()).hexdigest()


def _exported(path: Path, more: Extras) -> str:
    """Return a project's dependencies as requirements, with hashes if its own lock file has them."""
    what, folder = f"export the dependencies of {path}", str(path.parent)
    if path.name == "pylock.toml":
        return requirements.from_pylock(path)
    if path.name == "uv.lock":
        options = ["--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate", f"--project={folder}"]
        return uv("export", "--format=requirements-txt", *options, *more.options(path), what=what)
    if path.name == "pdm.lock":
        return requirements.from_pdm(path, {"default", *more.names})
    if path.name == "Pipfile.lock":
        return pipenv.locked(requirements.text_of(path))
    if path.name == "poetry.lock":
        # In a copy, because Poetry may write into the project.
        with tempfile.TemporaryDirectory() as work:
            for name in ("pyproject.toml", "poetry.lock"):
                shutil.copy(path.parent / name, work)
            export = ["poetry", "export", "--format=requirements.txt", "--no-interaction"]
            export += more.options(path, "--extras", "--with")
            return uv("tool", "run", "--from=poetry", "--with=poetry-plugin-export", *export, what=what, cwd=Path(work))
    return ""


def compiled(path: Path, target: Target, known: str, more: Extras = NO_EXTRAS) -> str:
    """Return the exact versions of all dependencies, with hashes. Versions in `known` stay if they still fit."""
    try:
        exported = _exported(path, more)
        listed = pipenv.listed(requirements.text_of(path)) if path.name == "Pipfile" else ""
    except ValueError as error:
        raise _invalid(path, error) from error
    if requirements.unhashed(exported):  # the package index has no hashes; uv computes them
        exported, listed = "", exported
    texts = _input(path, more)
    added = more.added(SERVER) + requirements.build_tools(exported or listed or "\n".join(texts))
    if exported and requirements.includes(exported, added):
        return exported
    with tempfile.TemporaryDirectory() as work:
        output, constraints = Path(work) / "requirements.lock", Path(work) / "constraints.txt"
        output.write_text(known)
        # Packages that need setuptools mean one that still has pkg_resources, but most set no limit.
        has_own = any(SETUPTOOLS.search(text) for text in (listed, *texts))
        constraints.write_text(exported or ("" if has_own else requirements.SETUPTOOLS))
        own = [] if listed or exported else [*more.options(path), str(path)]
        inputs = [f"--constraint={constraints}", *own]
        options = ["--quiet", "--generate-hashes", "--no-header", "--no-emit-index-url", "--no-emit-find-links"]
        try:
            uv(
                *("pip", "compile", *options, *target.for_uv(), f"--output-file={output}", *inputs, "-"),
                what=f"lock the dependencies of {path} for {target}",
                text=f"{listed}{added}",
                cwd=path.parent,
            )
        except ReleaseError as error:
            indexes = [line for text in texts for line in requirements.indexes(text)]
            if problems := unavailable(requirements.pins(texts), target, indexes):
                raise ReleaseError(f"{str(error).rstrip('.')}. {problems}") from error
            raise
        resolved = requirements.lines(output.read_text())
        exported_names = requirements.names(exported)
        new = [line for line in resolved if not requirements.names(line) & exported_names]
        return exported + "\n".join(new) + "\n" if exported else output.read_text()


def _without_the_project(text: str, path: Path, root: Path) -> str:
    """Return a lock file's text without the project itself, which is built from its source."""
    kept = []
    for line in text.splitlines(keepends=True):
        if match := requirements.LOCAL.match(line):
            folder = (match[1] or match[2]).removeprefix("file://")
            if (path.parent / folder).resolve() != root:
                raise ReleaseError(
                    f"{path} needs {folder}, a folder of this machine; list a published package or a git URL instead"
                )
        else:
            kept.append(line)
    return "".join(kept)


def _with_flask(text: str, kept: list[str], path: Path, target: Target) -> list[str]:
    """Return the requirements for the target. Refuse a list that has Flask, but only for other platforms."""
    if "flask" in requirements.names(text) and "flask" not in requirements.names("\n".join(kept)):
        raise ReleaseError(
            f"{path} has flask only for other platforms than Linux with {target}; remove that restriction (a marker, "
            "or for uv environments in pyproject.toml), and lock again"
        )
    return kept


def lock(
    root: Path, given: str, target: Target, file: Path, *, more: Extras = NO_EXTRAS, dry_run: bool = False
) -> Lock:
    """Return the locked requirements. What has no hashes is locked into `file`, which stays until its input changes."""
    path = find(root, given)
    more.check(path)
    text = requirements.text_of(path)
    indexes = requirements.indexes(text) if path.suffix not in (".lock", ".toml") else []
    wanted = more.added(SERVER) + requirements.build_tools(text)
    complete = requirements.is_locked(text) and requirements.includes(text, wanted)
    if path.suffix not in (".lock", ".toml") and complete:
        return Lock(indexes + _with_flask(text, requirements.locked(path, target), path, target))
    header = HEADER.format(target=target, name=path.name, fingerprint=fingerprint(path, target, more))
    known = file.read_text() if file.is_file() else ""
    if header.splitlines()[-1] in known.splitlines():
        return Lock(indexes + requirements.parse(known, file, target))
    content = header + _without_the_project(compiled(path, target, known, more), path, root)
    found = indexes + _with_flask(f"{content}{text}", requirements.parse(content, file, target), path, target)
    if dry_run:
        return Lock(found)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    except OSError as error:
        raise ReleaseError(
            f"cannot write app_lock_file={file}: {error.strerror}; set it to a file that you can write"
        ) from error
    return Lock(
        found,
        [f"The dependencies of {path.name} are locked for {target} in {file}. Read that file and commit it."],
    )
