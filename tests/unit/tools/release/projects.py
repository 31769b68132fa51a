"""What the tests of releases share."""

import tarfile

from tools.release.requirements import locked
from tools.release.source import Source
from tools.release.target import Target

TARGET = Target(python="3.13", machine="x86_64")
LOCK = """\
# compiled
flask==3.1.3 \\
    --hash=sha256:aaaa \\
    --hash=sha256:bbbb
    # via the application
gunicorn==27.0.1 \\
    --hash=sha256:abcd
async-timeout==5.0.1 ; python_full_version < '3.11.3' \\
    --hash=sha256:cccc
tzdata==2026.6 ; sys_platform == 'win32' \\
    --hash=sha256:dddd
pycparser==3.12 ; implementation_name != 'PyPy' \\
    --hash=sha256:eeee
"""


def digest(source: Source, target: Target = TARGET) -> str:
    """Return the hash of the tree as it is now."""
    return source.digest(target, locked(source.root / source.requirements, target))


def unpacked(path: str) -> dict[str, tuple[int, bytes]]:
    """Return the mode and content of a bundle's members by name."""
    with tarfile.open(path) as bundle:
        return {member.name: (member.mode, file.read()) for member in bundle if (file := bundle.extractfile(member))}
