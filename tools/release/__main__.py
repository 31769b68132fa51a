"""Builds a release's two bundles: everything that a host needs to run one state of the application, without a network.

``python -m tools.release build`` makes ``.cache/releases/<id>.tar.gz``, the application: its wheel, a ``requirements.txt`` that names every
wheel by hash, ``manifest.json`` and ``release.env``; and ``.cache/wheels/<key>/bundle.tar.gz``, its dependencies: their wheels for the
*target's* Python and machine, and the installer (uv). The second stays the same until the lock file changes, so most hosts have it already.
Printed as JSON are ``id``, ``package`` (the wheel's name), ``machine``, ``path`` and ``sha256`` of the first bundle, whether it was
``built`` now, and the ``key`` and ``path`` of ``dependencies``.

The id tells time, commit and the hash of what goes in, and is issued once: a tree whose hash the fleet (``--known``) or a bundle here has
already is that release.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

from tools.fleet.context import ROOT
from tools.release.build import build
from tools.release.source import ReleaseError, Source, Target


def main(argv: list[str] | None = None) -> int:
    """Run the command line; errors are one sentence on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.release", description="Build the application's release bundle."
    )
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "build", help="make the bundle, print where it is"
    )
    command.add_argument("--source", type=Path, default=ROOT, help="folder of the application's pyproject.toml")
    command.add_argument("--requirements", type=Path, help="lock file; default: SOURCE/requirements/app.txt")
    command.add_argument(
        "--path", action="append", default=[], help="what the id is hashed from; default: the wheel's packages"
    )
    command.add_argument("--python", default="3.13", help="the target's Python")
    command.add_argument(
        "--machine", default=platform.machine(), choices=["x86_64", "aarch64"], help="the target's machine"
    )
    command.add_argument("--cache", type=Path, default=ROOT / ".cache", help="where bundles and wheels are kept")
    command.add_argument("--known", action="append", default=[], help="a release that the fleet has")
    command.add_argument("--serving", default="", help="the release that is wanted instead, where its bundles are here")
    command.add_argument("--dry-run", action="store_true", help="print the id, build nothing")
    asked = parser.parse_args(argv)
    source = Source(
        root=asked.source.resolve(),
        requirements=(asked.requirements or asked.source / "requirements" / "app.txt").resolve(),
        tools=ROOT / "requirements" / "control.txt",
        paths=tuple(asked.path),
    )
    try:
        target, cache = Target(asked.python, asked.machine), asked.cache.resolve()
        result = build(source, target, cache, known=asked.known, serving=asked.serving, dry_run=asked.dry_run)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
