"""Builds packages with compiled code in a throw-away container, which is made from the image of the sandbox hosts.

The container has the hosts' Python, C library and compiler. Libraries that the hosts lack become part of the wheel.
"""

import hashlib
import os
import platform
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.fleet.context import ROOT
from tools.release.errors import ReleaseError, cause, run
from tools.release.target import GLIBC, Target

# A compiler, and the headers that common packages need.
PACKAGES = (
    "build-essential default-libmysqlclient-dev libffi-dev libjpeg-dev libldap-dev libpq-dev libsasl2-dev libssl-dev "
    "libxml2-dev libxslt1-dev patchelf pkg-config python3-dev python3-venv zlib1g-dev"
)
AUDITWHEEL = "auditwheel==6.8.2"
PREPARE = f"""
set -e
apt-get update --quiet
DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends {PACKAGES}
apt-get clean
python3 -m venv /opt/build
/opt/build/bin/pip install --quiet {AUDITWHEEL}
"""
BUILD = """
export SOURCE_DATE_EPOCH=315532800 PATH=/opt/build/bin:$PATH
pip=/opt/build/bin/pip
for python in /build/python/*/bin/python3; do
    [ ! -x "$python" ] ||
        { "$python" -m venv --without-pip /opt/python && pip="/opt/build/bin/pip --python=/opt/python/bin/python"; }
done
for folder in /build/[0-9]*; do
    name=$(cat "$folder/name")
    hashes=$(grep -q -e --hash= "$folder/requirements.txt" && echo --require-hashes)
    {
        $pip wheel --quiet --no-deps $hashes --no-binary="$name" --wheel-dir="$folder/raw" \
            --requirement="$folder/requirements.txt" &&
            auditwheel repair --plat PLATFORM --wheel-dir="$folder/repaired" "$folder"/raw/*.whl
    } >"$folder/log" 2>&1
done
chmod -R a+rX /build
"""
PASSED = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "http_proxy", "https_proxy", "no_proxy")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def engine(*arguments: str, what: str) -> str:
    """Run the container engine of the sandbox hosts."""
    return run([str(ROOT / "bin" / "engine"), *arguments], what)


def no_engine() -> str:
    """Return the reason why this machine can run no containers, empty if it can."""
    name = os.environ.get("ENGINE", "podman")
    return "" if shutil.which(name) else f"{name} is not installed: run make setup"


def container(work: Path) -> list[str]:
    """Return the options of a container that reaches the same package index as this machine."""
    # Names only: the engine takes the values from its environment, and the list of processes shows no password.
    passed = [f"--env={name}" for name in PASSED if name in os.environ]
    if CERTIFICATES.exists():
        shutil.copy(CERTIFICATES, work / "ca.crt")
        passed.append("--env=PIP_CERT=/build/ca.crt")
    return ["--network=host", f"--volume={work}:/build", *passed]


def host_image() -> str:
    """Return the name of the image of the hosts, after making it."""
    return run([str(ROOT / "bin" / "host-image")], "make the image of the hosts").strip()


def _image(work: Path) -> str:
    """Return the name of the image with the compiler, after making it."""
    host = host_image()
    tag = hashlib.sha256(f"{host}{PREPARE}".encode()).hexdigest()[:12]
    image, name = f"localhost/flaskfleet-builder:{tag}", f"flaskfleet-builder-{os.getpid()}"
    what = "make the builder for packages with compiled code"
    try:
        engine("image", "inspect", image, what=what)
    except ReleaseError:
        try:
            engine("run", f"--name={name}", *container(work), host, "sh", "-c", PREPARE, what=what)
            engine("commit", "--quiet", name, image, what=what)
        finally:
            engine("rm", "--force", "--volumes", name, what=what)
    return image


def build(
    lines: Sequence[str], target: Target, into: Path, python: Path | None, indexes: Sequence[str] = ()
) -> dict[str, str]:
    """Build locked requirements, and return the reason for each that cannot be built.

    Args:
        lines: The requirements.
        target: The hosts' Python and machine.
        into: Folder for the wheels.
        python: Bundle of the target's interpreter, if it is not the hosts' own.
        indexes: Options that name package indexes. The container does not have the variables in their URLs.
    """
    if reason := no_engine():
        return dict.fromkeys(lines, f"it has compiled code, which needs a container, and {reason}")
    if target.machine != platform.machine():
        return dict.fromkeys(lines, f"it has compiled code, which only a machine of type {target.machine} can compile")
    failures = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if python:
            with tarfile.open(python) as tar:
                tar.extractall(work / "python")  # written by this program
        for number, line in enumerate(lines):
            (own := work / str(number)).mkdir()
            (own / "name").write_text(line.split()[0].partition("==")[0])
            (own / "requirements.txt").write_text("\n".join([*map(os.path.expandvars, indexes), line]))
        script = BUILD.replace("PLATFORM", f"manylinux_{GLIBC[0]}_{GLIBC[1]}_{target.machine}")
        options = ["--rm", *container(work)]
        engine("run", *options, _image(work), "sh", "-c", script, what="compile packages")
        for number, line in enumerate(lines):
            wheel = next((work / str(number)).glob("repaired/*.whl"), None)
            if wheel:
                shutil.move(wheel, into / wheel.name)
            else:
                failures[line] = cause((work / str(number) / "log").read_text(errors="replace"))
    return failures
