"""The wheels of the dependencies: downloaded, or built from source where a package has no wheel for the target."""

import contextlib
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from tools.release import builder
from tools.release.errors import ReleaseError, pip, uv
from tools.release.target import MAINTAINED, Target

ONLY_WHEELS = "--only-binary=:all:"
NO_VERSION = Version("0")
OTHER_PLATFORM = re.compile("has no wheels with a matching")
ABSENT = re.compile(r"not found in the package registry|there is no version of|was not found")


def fetch(lines: Sequence[str], target: Target, into: Path, python: Path | None = None) -> None:
    """Put a wheel for each locked requirement into a folder. `python` is the bundle of the target's interpreter."""
    into.mkdir(parents=True, exist_ok=True)
    # Options that name package indexes come first.
    indexes = [line for line in lines if line.startswith("-")]
    from_git = [line for line in lines if " @ git+" in line]
    packages = [line for line in lines if line not in from_git + indexes]
    try:
        _download(packages, indexes, target, into)
    except ReleaseError:
        # Only now, because it takes longer: which packages exist as source only?
        missing = without_wheel([line.split()[0] for line in packages], target, indexes)
        if not missing:
            raise
        source_only = [line for line in packages if line.split()[0] in missing]
        build_all([*source_only, *from_git], target, into, python, indexes)
        _download([line for line in packages if line not in source_only], indexes, target, into)
    else:
        build_all(from_git, target, into, python, indexes)


def _download(lines: Sequence[str], indexes: Sequence[str], target: Target, into: Path) -> None:
    if not lines:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join([*indexes, *lines]) + "\n")
        file.flush()
        pip(
            *("download", "--quiet", "--require-hashes", "--only-binary=:all:", "--no-deps", *target.for_pip()),
            *(f"--dest={into}", f"--requirement={file.name}"),
            what=f"download the wheels for {target}",
        )


def _resolve(requirement: str, target: Target, *more: str, indexes: Sequence[str] = ()) -> str:
    """Return what uv chooses for a requirement, or for one in each line, without their dependencies."""
    options = ["--quiet", "--no-deps", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    text = "\n".join([*indexes, requirement])
    arguments = [*options, *target.for_uv(), *more, "-"]
    return uv("pip", "compile", *arguments, what=f"find {requirement.splitlines()[0]}", text=text).strip()


def without_wheel(requirements: Sequence[str], target: Target, indexes: Sequence[str] = ()) -> list[str]:
    """Return the requirements that have no wheel for the target."""
    names: dict[str, str] = {}
    for line in requirements:
        names.setdefault(canonicalize_name(re.split(r"[^\w.-]", line)[0]), line)
    rest = [line for line in requirements if line not in names.values()]  # several versions of one package
    found = set(without_wheel(rest, target, indexes)) if rest else set()
    # Neither way is enough: uv looks into one index for a version that it keeps, and the newest one is never withdrawn.
    lacking = _without(names, target, indexes, keep=True)
    found |= {*_without(lacking, target, indexes, keep=False).values()}
    return [line for line in requirements if line in found]


def without_file(pins: Sequence[str], target: Target) -> list[str]:
    """Return the pins that exist for other platforms or Pythons only, and not as source."""
    found = []
    for pin in without_wheel(pins, target):
        try:
            _resolve(pin, target)
        except ReleaseError as error:
            found += [pin] if OTHER_PLATFORM.search(str(error)) else []
    return found


def _without(pins: dict[str, str], target: Target, indexes: Sequence[str], *, keep: bool) -> dict[str, str]:
    """Return the pins that have no wheel, by name.

    All are resolved at once, as the newest versions up to the pins. Or uv has to `keep` the pins of its output file,
    and takes others only where it cannot. Of a package without any wheel it finds an empty one, of version 0.
    """
    if not pins:
        return {}
    known = {name: version for name, line in pins.items() if (version := _version(line))}
    lines = [f"{name}<={known[name]}" if name in known and not keep else name for name in pins]
    with tempfile.TemporaryDirectory() as work:
        chosen = Path(work) / "chosen.txt"
        chosen.write_text("\n".join(f"{name}=={version}" for name, version in known.items()) if keep else "")
        for name in pins:
            _write_empty_wheel(Path(work), name)
        more = [ONLY_WHEELS, f"--output-file={chosen}"]
        _resolve("\n".join(lines), target, *more, indexes=[*indexes, f"--find-links {work}"])
        versions = {line.partition("==")[0]: _version(line) for line in chosen.read_text().splitlines()}
    return {name: line for name, line in pins.items() if not _is_met(line, versions.get(name))}


def _is_met(line: str, version: Version | None) -> bool:
    wanted = _version(line)
    return version != NO_VERSION and (not wanted or not version or SpecifierSet(f"=={wanted}").contains(version, True))


def _version(line: str) -> Version | None:
    """Return the version of a pin. It is None if that is a pattern, or another requirement."""
    try:
        return Version(line.partition("==")[2].split(";")[0].strip())
    except InvalidVersion:
        return None


def _write_empty_wheel(folder: Path, name: str) -> None:
    stem = f"{name.replace('-', '_')}-{NO_VERSION}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {NO_VERSION}\n")
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


def better_python(
    pins: Sequence[str], target: Target, pythons: Iterable[str] = MAINTAINED, indexes: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """Return the first Python for which the most pins have a wheel, and the pins that have one only there.

    Both are empty if no other Python is better. A pin without a wheel for any Python is in most cases pure Python, and
    is built.
    """
    lacking = without_wheel(pins, target, indexes)
    best, missing = "", lacking
    for python in pythons if lacking else ():
        other = replace(target, python=python)
        less = without_wheel(missing, other, indexes) if other != target else missing
        if len(less) < len(missing):
            best, missing = python, less
    return best, [pin for pin in lacking if pin not in missing]


def build_all(
    lines: Sequence[str], target: Target, into: Path, python: Path | None, indexes: Sequence[str] = ()
) -> None:
    """Build packages from source. One error reports all that cannot be built."""
    compiled = []
    for line in lines:
        if _is_compiled(line):
            compiled.append(line)
            continue
        try:
            _build(line, into, indexes)
        except ReleaseError:
            compiled.append(line)
    if failures := builder.build(compiled, target, into, python, indexes) if compiled else {}:
        raise ReleaseError(_named({line.split()[0]: reason for line, reason in failures.items()}, target, indexes))


def _is_compiled(line: str) -> bool:
    """Return whether a package has compiled code, if its wheel for this machine's own Python shows it.

    Such a package is not built twice: numpy takes ten minutes.
    """
    if " @ " in line:
        return False
    with tempfile.TemporaryDirectory() as work, contextlib.suppress(ReleaseError):
        pip("download", "--quiet", "--no-deps", ONLY_WHEELS, f"--dest={work}", line.split()[0], what="download it")
        found = list(Path(work).glob("*.whl"))
        return bool(found) and not any(_is_pure(wheel) for wheel in found)
    return False


def _is_pure(wheel: Path) -> bool:
    return any(tag.platform == "any" for tag in parse_wheel_filename(wheel.name)[3])


def _build(line: str, into: Path, indexes: Sequence[str]) -> None:
    """Build a package on this machine. That works if it is pure Python."""
    name = line.split()[0].partition("==")[0]
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "requirements.txt"
        file.write_text("\n".join([*indexes, line]))
        hashes = ["--require-hashes"] if "--hash=" in line else []
        pip(
            *("wheel", "--quiet", "--no-deps", *hashes, f"--no-binary={name}", "--ignore-requires-python"),
            *(f"--wheel-dir={work}", f"--requirement={file}"),
            what="build it",
        )
        wheel = next(Path(work).glob("*.whl"))
        if not _is_pure(wheel):
            raise ReleaseError("it contains compiled code")
        shutil.move(wheel, into / wheel.name)


def _newest(name: str, target: Target, indexes: Sequence[str]) -> str:
    """Return the newest version that has a wheel, empty if there is none."""
    try:
        return _resolve(name, target, ONLY_WHEELS, indexes=indexes).partition("==")[2]
    except ReleaseError:
        return ""


def _named(failures: dict[str, str], target: Target, indexes: Sequence[str]) -> str:
    """Return one sentence about packages that are not available, with their newest versions that have a wheel."""
    with ThreadPoolExecutor(8) as pool:
        newest = list(pool.map(lambda pin: _newest(pin.partition("==")[0], target, indexes), failures))
    parts = [
        f"{pin} ({reason}; {f'version {version} has a wheel' if version else 'no version has a wheel'})"
        for (pin, reason), version in zip(failures.items(), newest, strict=True)
    ]
    python, pins = better_python([pin for pin in failures if "==" in pin], target, indexes=indexes)
    hint = f', or app_python = "{python}", for which there is a wheel of {", ".join(pins)}' if python else ""
    return f"These packages are not available for {target}: {', '.join(parts)}. Choose other versions{hint}"


def unavailable(pins: Sequence[str], target: Target, indexes: Sequence[str] = ()) -> str:
    """Return one sentence about pinned versions that do not exist or cannot be read. Empty if there are none."""
    failures = {}
    for pin in without_wheel(pins, target, indexes):
        try:
            _resolve(pin, target, indexes=indexes)
        except ReleaseError as error:
            reason = str(error).partition(": ")[2]
            failures[pin] = "there is no such version" if ABSENT.search(reason) else reason
    return _named(failures, target, indexes) if failures else ""
