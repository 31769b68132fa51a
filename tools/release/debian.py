"""Python interpreters of Debian's older releases, for a control node that cannot reach those of uv.

apt fetches them in a throw-away container of the hosts' image, from the hosts' mirror, and verifies their signatures.
The hosts have all shared libraries that these interpreters need.
"""

import tarfile
import tempfile
from pathlib import Path

from tools.release import builder, bundle
from tools.release.errors import ReleaseError
from tools.release.target import Target

# Debian 11's 3.9 is not among them: Debian 13 lacks its libssl1.1 and libffi7, and it gets no security updates.
RELEASES = {"3.11": ("12", "bookworm")}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Files that belong to Debian's own installation: a mark that pip must not install, and other places for packages.
DEBIANS_OWN = {"EXTERNALLY-MANAGED", "_distutils_system_mod.py", "sitecustomize.py"}
# Otherwise builds of packages would look for the headers in /usr.
RELOCATED = """
import sys

build_time_vars.update(dict.fromkeys(("prefix", "exec_prefix"), sys.base_prefix))
build_time_vars.update(dict.fromkeys(("INCLUDEPY", "CONFINCLUDEPY"), f"{sys.base_prefix}/include/pythonVERSION"))
"""
FETCH = """
set -e
work=$(mktemp -d)
chmod 0755 "$work"
cd "$work"
mkdir sources lists packages unpacked
chown _apt packages
cp /etc/apt/sources.list sources/main.list 2>/dev/null || true
cp /etc/apt/sources.list.d/* sources/ 2>/dev/null || true
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
sed -i "s/\\b$suite\\b/$SUITE/g" sources/*
cd packages
get() {
    apt-get --quiet -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/sources" \
        -o Dir::State::Lists="$work/lists" -o APT::Architecture="$MACHINE" -o APT::Architectures="$MACHINE" \
        "$@" >/dev/null
}
get update --error-on=any
get download "$PYTHON-minimal" "lib$PYTHON-minimal" "lib$PYTHON-stdlib" "lib$PYTHON-dev"
for package in *.deb; do dpkg-deb --extract "$package" ../unpacked; done
dpkg-deb --field "$PYTHON"-minimal_*.deb Version >/build/version
tar --create --directory=../unpacked/usr --file=/build/usr.tar bin include "lib/$PYTHON"
"""


def cached(cache: Path, target: Target) -> str:
    """Return the name of the newest bundle with Debian's interpreter for a target, empty if there is none."""
    pattern = f"debian-{target.python}.*-{target.machine}.tar.gz"
    found = sorted((cache / "pythons").glob(pattern), key=lambda path: path.stat().st_mtime)
    return found[-1].name.removesuffix(".tar.gz") if found else ""


def fetch(cache: Path, target: Target) -> str:
    """Fetch Debian's interpreter for a target into a bundle, and return its name."""
    if target.python not in RELEASES:
        raise ReleaseError("no older release of Debian that the hosts can use has it")
    release, suite = RELEASES[target.python]
    what = f"fetch the interpreter of Debian {release}"
    if reason := builder.no_engine():
        raise ReleaseError(f"cannot {what}: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        variables = {"PYTHON": f"python{target.python}", "SUITE": suite, "MACHINE": ARCHITECTURES[target.machine]}
        options = ["--rm", *builder.container(work), *(f"--env={name}={value}" for name, value in variables.items())]
        builder.engine("run", *options, builder.host_image(), "sh", "-c", FETCH, what=what)
        version = (work / "version").read_text().strip().replace("+", "-").replace("~", "-")
        with tarfile.open(work / "usr.tar") as tar:
            tar.extractall(work / "usr")  # packages of Debian, verified by apt
        name = f"debian-{version}-{target.machine}"
        file = Path(bundle.interpreter(cache, name)["path"])
        file.parent.mkdir(parents=True, exist_ok=True)
        bundle.write(file, {f"{name}/{path}": content for path, content in prefix(work / "usr", target.python).items()})
    return name


def prefix(usr: Path, version: str) -> dict[str, bytes | Path]:
    """Return the files of an interpreter, taken from /usr and changed so that it runs in any folder."""
    python = f"python{version}"
    library = usr / "lib" / python
    wanted = [usr / "bin" / python, *(usr / "include" / python).rglob("*"), *library.rglob("*")]
    found: dict[str, bytes | Path] = {
        str(path.relative_to(usr)): path for path in wanted if path.is_file() and path.name not in DEBIANS_OWN
    }
    # nis needs libraries that the hosts lack, and nobody uses it. config-* is for programs that embed Python.
    for name in [name for name in found if "/nis." in name or f"/{python}/config-" in name]:
        del found[name]
    # Replaces a header that only includes this one, by its path below /usr.
    found |= {f"include/{python}/pyconfig.h": path for path in usr.glob(f"include/*-linux-gnu/{python}/pyconfig.h")}
    for path in library.glob("_sysconfigdata_*.py"):
        settings = path.read_text() + RELOCATED.replace("VERSION", version)
        found[str(path.relative_to(usr))] = settings.encode()
    (link := usr / "bin" / "python3").unlink(missing_ok=True)
    link.symlink_to(python)
    return found | {"bin/python3": link}
