"""Builds the two bundles of a release. A host needs nothing else to install this version of the application.

`python -m tools.release build` writes two files:

- `.cache/releases/<id>.tar.gz`, the application: its wheel, a `requirements.txt` with a hash for each wheel,
  `manifest.json` and `release.env`.
- `.cache/wheels/<key>/bundle.tar.gz`, the dependencies: wheels for the target's Python and machine, and the installer
  (uv). It changes only with the lock file, so most hosts already have it.

It prints JSON: `id`, `package` (the wheel's name), `machine`, the `path` and `sha256` of the first bundle, whether it
was `built` now, and the `key` and `path` of the `dependencies`.

The id contains the time, the commit and a hash of the content. A tree with the same hash as a release of the fleet
(`--known`) or a local bundle gets the id of that release.
"""

import argparse
import json
import platform
import sys
from pathlib import Path

from tools.fleet.context import ROOT
from tools.release.build import build
from tools.release.source import ReleaseError, Source, Target


def main(argv: list[str] | None = None) -> int:
    """Run the command line. Print errors as one sentence on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.release", description="Build the application's release bundle."
    )
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "build", help="build the bundles and print their paths"
    )
    command.add_argument("--source", type=Path, default=ROOT, help="folder of the application's pyproject.toml")
    command.add_argument("--requirements", type=Path, help="lock file; default: SOURCE/requirements/app.txt")
    command.add_argument(
        "--path",
        action="append",
        default=[],
        help="file or folder that the id is hashed from; default: the wheel's packages",
    )
    command.add_argument("--python", default="3.13", help="the target's Python")
    command.add_argument(
        "--machine", default=platform.machine(), choices=["x86_64", "aarch64"], help="the target's machine"
    )
    command.add_argument("--cache", type=Path, default=ROOT / ".cache", help="folder for bundles and wheels")
    command.add_argument("--known", action="append", default=[], help="a release that the fleet has")
    command.add_argument("--serving", default="", help="release to return instead, if its bundles exist here")
    command.add_argument("--dry-run", action="store_true", help="print the id, build nothing")
    options = parser.parse_args(argv)
    source = Source(
        root=options.source.resolve(),
        requirements=(options.requirements or options.source / "requirements" / "app.txt").resolve(),
        tools=ROOT / "requirements" / "control.txt",
        paths=tuple(options.path),
    )
    try:
        target, cache = Target(options.python, options.machine), options.cache.resolve()
        result = build(source, target, cache, known=options.known, serving=options.serving, dry_run=options.dry_run)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
