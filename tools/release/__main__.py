"""Builds the two bundles of a release. A host needs nothing else to install this version of the application.

`python -m tools.release build` writes two files:

- `.cache/releases/<id>.tar.gz`, the application: its source, its wheel if it is a package, a `requirements.txt` with a
  hash for each wheel, `manifest.json` and `release.env`.
- `.cache/wheels/<key>/bundle.tar.gz`, the dependencies: wheels for the target's Python and machine, and the installer
  (uv). It changes only with the locked versions, so most hosts already have it.

It prints JSON: `id`, `package` (the wheel's name, empty if there is none), `machine`, the `path` and `sha256` of the
first bundle, whether it was `built` now, the `key` and `path` of the `dependencies`, the `tree` (a folder with the
source of the first bundle), `notes` for the user, and the `source`: the same one without network access.

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
from tools.release.errors import ReleaseError
from tools.release.extras import Extras
from tools.release.fetch import checkout
from tools.release.source import Source
from tools.release.target import Target


def main(argv: list[str] | None = None) -> int:
    """Run the command line. Print errors as one sentence on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.release", description="Build the application's release bundle."
    )
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "build", help="build the bundles and print their paths"
    )
    command.add_argument(
        "--source", default=str(ROOT), help="the application: a folder, a git URL with an optional #ref, or an archive"
    )
    command.add_argument(
        "--requirements", default="", help="file with the dependencies, relative to SOURCE; default: found by its name"
    )
    command.add_argument("--extra", action="append", default=[], help="an extra or a group of the project")
    command.add_argument("--extra-package", action="append", default=[], help="a package that the project lacks")
    command.add_argument("--lock-file", type=Path, help="file for the exact versions of what has no hashes")
    command.add_argument("--build-command", default="", help="command that runs in a clean copy of the source")
    command.add_argument(
        "--path", action="append", default=[], help="file or folder that is shipped; default: all that git tracks"
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
    cache = options.cache.resolve()
    try:
        found = checkout(options.source, cache)
        source = Source(
            root=found.root,
            tools=ROOT / "requirements" / "control.txt",
            lock_file=(options.lock_file or cache / "requirements.lock").expanduser().resolve(),
            requirements=options.requirements,
            more=Extras(tuple(options.extra), tuple(options.extra_package)),
            paths=tuple(options.path),
            build_command=options.build_command,
            commit=found.commit,
            complete=found.complete,
        )
        target = Target(options.python, options.machine)
        result = build(source, target, cache, known=options.known, serving=options.serving, dry_run=options.dry_run)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result | {"source": found.pinned}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
